"""`lcpfn evaluate`: how good, how safe and how fast forecasts are, by protocol."""

import argparse
from pathlib import Path

from lcpfn.cli import nas
from lcpfn.cli.options import add_checkpoint, add_curves, read_curves_of
from lcpfn.eval.tables import report

EXAMPLE = "curves history.csv --mode max --bounds 0 1 --html report.html"

CURVES = """\
Forecasts of recorded runs, scored against how the runs went on.

After 10, 20, 40 and 80 % of a run's observations every checkpoint and baseline
predicts the last one. Baselines: the last value and the best value so far, with the
errors they make elsewhere, and least-squares fits of four families. Then, after
10, 20, ..., 90 %, all later ones are predicted and the methods ranked run by
run, the protocol of LC-PFN's paper. The report adds paired differences with 95 %
intervals, worst tasks, calibration, the order of runs, flat and diverged runs,
compute, and whether correcting the spread would help.

columns of the first table:
  10 % ... 80 %        error of the median / CRPS at that cutoff, both over the
                       error of the last value: below 1 is better than that
  all                  geometric mean over suites and cutoffs
  90 % interval holds  share of true final values inside it

example:
  lcpfn evaluate curves lcbench.npz history.csv --mode max --bounds 0 1 \\
    --checkpoint default domhan --out results.json --html report.html
"""
STOPPING = """\
Stopping rules and baselines on recorded searches.

The runs of a task come in random order, with a budget of 20 full runs. Every
policy decides which runs are stopped and when; what it saves goes to further runs.
Tasks with at least 20 runs of 10 observations or more are used.

columns of the table:
  speed-up              how much sooner it reaches the regret that no stopping has
                        in the end: geometric mean over tasks, then by source
  slowest task          the same on its worst task
  tasks slower ...      tasks on which it takes longer than no stopping
  winner stopped        orders in which the best run begun was stopped
  top 3 stopped early   share of the best three runs that was stopped
  better than the ...   how far the best run found lies above the average run
  of the possible       the same as a share of what the best run of all brings

example:
  lcpfn evaluate stopping lcbench.npz taskset.npz --curves 100 --plot front.png
"""
CONTEXT = """\
Forecasts that know the other runs of a search, beside the same weights alone.

Of every task twelve runs are asked about and others are given: 5, 20 or 50, half of
them finished; all of them; stopped by successive halving; without configurations;
with ten runs of another task among them by mistake.

columns of the table:
  none yet     before the first observation; beside the median end of the others
  10 % ... 80  error of the median / CRPS, both over the error of the last value, and
               the share of true final values in the 90 % interval
  tau, 10 %    Kendall's tau of the order of predicted final values, and in
               parentheses that of the best values so far

example:
  lcpfn evaluate context lcbench.npz taskset.npz --out context.json
"""
PRIOR = """\
Held-out curves of the prior that a checkpoint was trained on.

After 10, 20, 40 and 80 % of a fresh curve: mean log-density of its later values,
per value, higher is better. The oracle knows the true curve and the noise.

columns of the table:
  10 % ... 80 %   mean log-density at that cutoff and its standard error; on
                  LC-PFN's prior beside Table 3 of its paper, on others the
                  difference to the oracle

On LC-PFN's prior, two comparisons with exact inference on the same curves:
  --exact   importance sampling from a million curves at cutoffs of 5, 10 and 20
            observations: what exact inference would gain, in nats per value
  --mcmc    an ensemble sampler and NUTS: scores, differences, seconds of a curve;
            takes half an hour, and continues the file given with --out

example:
  lcpfn evaluate prior --checkpoint domhan --curves 16384 --out results.json
"""
SPEED = """\
Speed, memory and growth on this machine, which should be idle otherwise.

Every figure is a median of calls that take turns with what they are compared
with: a forward pass of LC-PFN's largest network (12 x 512, random weights), a
NumPy loop over its prior, a bare interpreter.

columns of the table:
  measured   median of the calls
  against    what it is compared with, measured in the same run
  ratio      how many times better the first is
  goal       what the project aims at, and whether it is met

example:
  lcpfn evaluate speed --quick --out speed.json
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `lcpfn evaluate`, those of each protocol below its name."""
    protocols = parser.add_subparsers(
        required=True, metavar="{curves,context,stopping,nas,prior,speed}"
    )
    for name, text, options, score in (
        ("curves", CURVES, _curves_options, _curves),
        ("context", CONTEXT, _context_options, _context),
        ("stopping", STOPPING, _stopping_options, _stopping),
        ("nas", nas.TEXT, nas.add_options, nas.run),
        ("prior", PRIOR, _prior_options, _prior),
        ("speed", SPEED, _speed_options, _speed),
    ):
        description, example = text.split("\n\nexample:\n")
        protocol = protocols.add_parser(
            name,
            help=text.split("\n", 1)[0].rstrip("."),
            description=description,
            epilog=f"example:\n{example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        protocol.set_defaults(protocol=score)
        options(protocol)
        protocol.add_argument("--out", type=Path, help="results file (JSON)")


def _add_recorded(parser: argparse.ArgumentParser, how_many: str) -> None:
    parser.add_argument(
        "suites",
        nargs="+",
        metavar="CURVES",
        help="recorded runs: a file or folder per suite, in any format of lcpfn.io",
    )
    add_curves(parser, needs_mode=False)
    parser.add_argument("--curves", type=int, help=how_many)


def _curves_options(parser: argparse.ArgumentParser) -> None:
    _add_recorded(parser, "runs taken of each suite (400)")
    parser.add_argument(
        "--checkpoint", nargs="+", help="bundled names or paths; the first is reported"
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
        help="add fits by MCMC as baselines, seconds per case",
    )
    parser.add_argument("--markdown", type=Path, help="file for the whole report")
    parser.add_argument(
        "--html", type=Path, help="the same as one page with pictures (extra: report)"
    )


def _stopping_options(parser: argparse.ArgumentParser) -> None:
    _add_recorded(parser, "runs taken of each task (150)")
    add_checkpoint(parser)
    parser.add_argument(
        "--plot", metavar="FILE", help="picture of regret against observations trained"
    )


def _context_options(parser: argparse.ArgumentParser) -> None:
    _add_recorded(parser, "runs taken of each source, evenly over its tasks (all)")
    add_checkpoint(parser)
    parser.add_argument(
        "--rivals",
        type=int,
        default=0,
        metavar="TASKS",
        help="tasks of each suite on which BoTorch's Gaussian processes are fitted "
        "too, half a minute a cutoff (extra: rivals)",
    )


def _prior_options(parser: argparse.ArgumentParser) -> None:
    add_checkpoint(parser)
    parser.add_argument(
        "--curves",
        type=int,
        help="how many (4096; 256 with --exact, 200 with --mcmc)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the curves")
    variant = parser.add_mutually_exclusive_group()
    variant.add_argument("--exact", action="store_true", help="see above")
    variant.add_argument("--mcmc", action="store_true", help="see above")


def _speed_options(parser: argparse.ArgumentParser) -> None:
    add_checkpoint(parser)
    parser.add_argument("--quick", action="store_true", help="fewer repeats")


def run(args: argparse.Namespace) -> int:
    """Scores forecasts and decisions; `lcpfn evaluate PROTOCOL --help` says how."""
    args.protocol(args)
    return 0


def _curves(args: argparse.Namespace) -> None:
    import lcpfn
    from lcpfn.eval.evaluate_curves import evaluate_curves
    from lcpfn.eval.report import from_markdown, to_html, to_markdown
    from lcpfn.eval.report_plots import pictures
    from lcpfn.json_files import write_text
    from lcpfn.plot import pyplot

    if args.html:  # a missing package is named now, not after minutes
        pyplot()
        from_markdown("")
    suites = [read_curves_of(args, path)[0] for path in args.suites]
    models = [lcpfn.load(name) for name in args.checkpoint or (None,)]
    results = evaluate_curves(models, suites, args.curves or 400, args.fits, args.mcmc)
    text = to_markdown(results)
    if args.markdown:
        write_text(args.markdown, text + "\n")
    if args.html:
        write_text(args.html, to_html(results, pictures(results, models[0], suites)))
    report(results, text, args.out)


def _context(args: argparse.Namespace) -> None:
    import lcpfn
    from lcpfn.eval.evaluate_context import evaluate_context, to_markdown

    suites = [read_curves_of(args, path)[0] for path in args.suites]
    if args.curves:
        suites = [suite.sample(args.curves) for suite in suites]
    results = evaluate_context(
        lcpfn.load(args.checkpoint), suites, args.rivals, out=args.out
    )
    report(results, to_markdown(results), args.out)


def _stopping(args: argparse.Namespace) -> None:
    import lcpfn
    from lcpfn.eval.stopping import benchmark

    suites = [read_curves_of(args, path)[0] for path in args.suites]
    model = lcpfn.load(args.checkpoint)
    results = benchmark.evaluate_stopping(model, suites, most=args.curves or 150)
    report(results, benchmark.to_markdown(results), args.out)
    if args.plot:
        benchmark.draw(results, benchmark.SHOWN).savefig(args.plot, dpi=90)


def _prior(args: argparse.Namespace) -> None:
    import lcpfn
    from lcpfn.eval.exact import importance, mcmc_score, prior_score

    model = lcpfn.load(args.checkpoint)
    if args.mcmc:
        results = mcmc_score.mcmc_score(model, args.curves or 200, out=args.out)
        report(results, mcmc_score.to_markdown(results), None)
    elif args.exact:
        results = importance.compare_all(model, args.curves or 256, seed=args.seed)
        report(results, importance.to_markdown(results), args.out)
    else:
        results = prior_score.prior_score(model, args.curves or 4096, args.seed)
        report(results, prior_score.to_markdown(results), args.out)


def _speed(args: argparse.Namespace) -> None:
    import lcpfn
    from lcpfn.eval.speed.bench import bench, to_markdown

    results = bench(lcpfn.load(args.checkpoint), quick=args.quick)
    report(results, to_markdown(results), args.out)
