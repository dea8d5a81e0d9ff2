"""`lcpfn evaluate`: scores, on recorded curves or on a prior."""

import argparse
from pathlib import Path

from lcpfn.cli.options import add_hints, read_suites, report, write

EXAMPLE = "default domhan --suite runs.csv --mode max --html report.html"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `lcpfn evaluate`."""
    parser.add_argument(
        "checkpoint", nargs="*", help="default: the bundled one; several with --suite"
    )
    parser.add_argument("--suite", nargs="+", help="recorded curves, see lcpfn.io")
    add_hints(parser)
    parser.add_argument(
        "--curves", type=int, help="how many; runs per suite, or per pool"
    )
    parser.add_argument(
        "--exact",
        action="store_true",
        help="against exact inference by importance sampling (LC-PFN's prior)",
    )
    parser.add_argument(
        "--table3",
        action="store_true",
        help="against MCMC (LC-PFN's prior), with seconds; half an hour, resumes --out",
    )
    parser.add_argument(
        "--no-fits",
        dest="fits",
        action="store_false",
        help="leave out the least-squares baselines, which take minutes",
    )
    parser.add_argument(
        "--mcmc",
        action="store_true",
        help="add the fits by MCMC as baselines, seconds per question",
    )
    parser.add_argument(
        "--stopping",
        action="store_true",
        help="race stopping rules and baselines on the runs of the suites",
    )
    parser.add_argument("--plot", metavar="FILE", help="picture of --stopping")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="results file (JSON)")
    parser.add_argument(
        "--markdown", type=Path, help="all tables of --suite, with what they say"
    )
    parser.add_argument(
        "--html",
        type=Path,
        help="the same as one page with pictures (needs matplotlib)",
    )


def run(args: argparse.Namespace) -> int:
    """Scores a checkpoint on recorded curves, or on fresh ones of its own prior."""
    import lcpfn
    from lcpfn.eval.exact import importance, prior_score
    from lcpfn.eval.stopping import benchmark

    if args.suite and not args.stopping:
        return _score_suites(args)
    if len(args.checkpoint) > 1 or args.html or args.markdown:
        raise ValueError("several checkpoints, --html and --markdown go with --suite")
    model = lcpfn.load(*args.checkpoint)
    if args.stopping:
        if not args.suite:
            raise ValueError("--stopping needs recorded curves: give --suite")
        curves = read_suites(args.suite, args.mode, args.bounds)
        results = benchmark.evaluate_stopping(model, curves, most=args.curves or 150)
        report(results, benchmark.to_markdown(results), args.out)
        if args.plot:
            benchmark.draw(results, benchmark.SHOWN).savefig(args.plot, dpi=90)
        return 0
    if args.table3:
        from lcpfn.eval.exact import table3

        results = table3.table3(model, n=args.curves or 200, out=args.out)
        report(results, table3.to_markdown(results), None)
        return 0
    if args.exact:
        results = importance.compare_all(model, n=args.curves or 256, seed=args.seed)
        report(results, importance.to_markdown(results), args.out)
        return 0
    results = prior_score.prior_score(model, n=args.curves or 4096, seed=args.seed)
    report(results, prior_score.to_markdown(results), args.out)
    return 0


def _score_suites(args: argparse.Namespace) -> int:
    import lcpfn
    from lcpfn.eval import report as page
    from lcpfn.eval import report_plots, suites
    from lcpfn.plot import pyplot

    if args.html:
        pyplot()  # said now if it is missing, not after minutes
    curves = read_suites(args.suite, args.mode, args.bounds)
    models = [lcpfn.load(name) for name in args.checkpoint or (None,)]
    results = suites.evaluate_suites(
        models, curves, args.curves or 400, args.fits, args.mcmc
    )
    text = page.to_markdown(results)
    if args.markdown:
        write(args.markdown, text + "\n")
    if args.html:
        drawn = report_plots.pictures(results, models[0], curves)
        write(args.html, page.to_html(results, drawn))
    report(results, text, args.out)
    return 0
