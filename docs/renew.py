"""Which results are of other weights than those that ship, and what makes them anew.

    python -m docs.renew              lists what is older than the weights
    python -m docs.renew CURVES       makes it anew, one file after the other; hours

CURVES is a folder with the recorded curves, `lcbench.npz` and so on; their sources are
named in checkpoints/README.md. Interrupted, the same command goes on with what is left.
Then `python -m docs.tables` and `python -m docs.figures` write tables and figures.
The rivals of `context.json` need `pip install '.[rivals]'`.

Not here: what belongs to making weights (`calibration.json`, `crps.json`,
`left_out.json`, `ablation.json`, `prior.json`), times, which are no matter of the
weights, and `tpe.json`, which does not say whose it is (`python examples/optuna_tpe.py
--out FILE`).
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from docs.tables import RESULTS, ROOT
from lcpfn.card import read_card, scored
from lcpfn.checkpoint import find

SEARCHES = (
    "lcbench taskset deepobs olmo_ladder small_tasks spikenas nn_hpo lr_scheduling "
    "dask_hyperband gluon_logs"
)
PROMISED = (
    "deepobs taskset lcbench olmo_ladder small_tasks colpret nn_hpo spikenas "
    "gluon_logs steel_grid"
)
SHOWN = (
    "colpret deepobs gluon_logs lcbench lcdb lr_scheduling nats_sample olmo_ladder "
    "pythia_evals small_tasks taskset"
)
STUDIES = "lcpfn.eval.studies"
# Results file -> module and options, and the sources that follow these: a star for all.
COMMANDS = {
    "suites.json": (
        "lcpfn evaluate curves --checkpoint default domhan --curves 60",
        "*",
    ),
    "context.json": ("lcpfn evaluate context --rivals 1", "*"),
    "stopping.json": ("lcpfn evaluate stopping --curves 40", SEARCHES),
    "planned_rate.json": (
        f"{STUDIES}.planned_rate default",
        "gluon_logs lcbench lr_scheduling nats_sample small_tasks",
    ),
    "surprise.json": (
        f"{STUDIES}.worst default",
        SHOWN,
    ),
    "optuna.json": (f"{STUDIES}.in_optuna", "small_tasks"),
    "pruners.json": (f"{STUDIES}.equal_epochs", ""),
    "promise.json": (f"{STUDIES}.promise", PROMISED),
    "ftpfn_protocol.json": (f"{STUDIES}.ftpfn_protocol", "lcbench taskset"),
    "history.json": (f"{STUDIES}.history", "lcbench olmo_ladder"),
    "decisions_amid_others.json": (f"{STUDIES}.decisions_amid_others", SEARCHES),
    "nas.json": ("lcpfn evaluate nas eval/results/digits_cells.npz", "spikenas"),
    "fits.json": (
        "lcpfn evaluate curves --checkpoint default domhan --mcmc --curves 16",
        "*",
    ),
    "domhan.json": ("lcpfn evaluate prior --checkpoint domhan --curves 16384", ""),
    "exact.json": ("lcpfn evaluate prior --exact --checkpoint domhan", ""),
    "table3.json": ("lcpfn evaluate prior --mcmc --checkpoint domhan", ""),
}


def is_older(results: dict) -> bool:
    """Whether a results file is of other weights than those of its checkpoints."""
    one = {results.get("checkpoint", "default"): results["checksum"]}
    return any(
        checksum not in _checksums(name)
        for name, checksum in (one | results.get("checksums", {})).items()
    )


def _checksums(name: str) -> set[str]:
    """Of a checkpoint, and of what it was before it learned of plans; these stayed."""
    card = read_card(find(name))
    return {card["checksum"], scored(card)}


def older() -> list[str]:
    """Names of the results files that are older than the weights."""
    return [n for n in COMMANDS if is_older(json.loads((RESULTS / n).read_text()))]


def command(name: str, curves: Path, out: Path) -> list[str]:
    """What makes a results file in another place, as arguments of a process."""
    line, sources = COMMANDS[name]
    module, *options = line.split()
    files = (
        sorted(curves.glob("*.npz"))
        if sources == "*"
        else [curves / f"{source}.npz" for source in sources.split()]
    )
    missing = [str(file) for file in files if not file.is_file()]
    if missing or (sources and not files):
        what = ", ".join(missing) or f"no .npz file in {curves}"
        raise FileNotFoundError(f"recorded curves are missing: {what}")
    named = ["--suite"] if files and module != "lcpfn" else []
    words = [module, *options, *named, *map(str, files), "--out", str(out)]
    return [sys.executable, "-m", *words]


def main(argv: Sequence[str] | None = None) -> None:
    """The commands above."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("curves", nargs="?", type=Path, help="folder of .npz files")
    curves = parser.parse_args(argv).curves
    names = older()
    if curves and "context.json" in names and not find_spec("botorch"):
        parser.error("the rivals of context.json are missing: pip install '.[rivals]'")
    for name in names:
        print(name, flush=True)
        if curves is None:
            continue
        # Some are written part by part: half a file is no result of the new weights.
        part = RESULTS / f"{name}.part"
        subprocess.run(command(name, curves.resolve(), part), check=True, cwd=ROOT)
        part.replace(RESULTS / name)


if __name__ == "__main__":
    main()
