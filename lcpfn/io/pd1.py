"""PD1: JSON lines with one trial each, gzipped or not, alone or inside `pd1.tar.gz`.

A trial holds its hyperparameters (`hps.*`), `global_step` and, aligned with that, lists
of `train/`, `valid/` and `test/` `ce_loss` and `error_rate`. The task is `study_group`:
data set, model and batch size. Trials that diverged before their first evaluation have
no lists and are left out; null inside a list is a record that was not finite. The
archive is read front to back and never unpacked to disk.

Source: README.txt of the data set; Wang et al. 2024 (JMLR 25), whose repository
github.com/google-research/hyperbo links it.
"""

import io
import tarfile
from collections.abc import Iterator
from typing import Any, cast

from lcpfn.curves import Run
from lcpfn.io.json_stream import parse
from lcpfn.io.packed import bar, damage, file_lines, lines, unpacked
from lcpfn.io.request import Request, known_or_asked, numbers, one_of
from lcpfn.io.scalar_log import in_order
from lcpfn.metric import Metric

MEMBERS = (".jsonl", ".jsonl.gz")
KNOWN = {
    "ce_loss": Metric("min", (0.0, None)),
    "error_rate": Metric("min", (0.0, 1.0)),
}


def direction(metric: str) -> Metric | None:
    """Which way a metric is better and its range; None for costs and rates."""
    split, _, name = metric.partition("/")
    return KNOWN.get(name) if split in ("train", "valid", "test") else None


def read_pd1(request: Request) -> Iterator[Run]:
    """One run per trial and metric."""
    seen: set[str] = set()
    for where, line in _lines(request):
        if not line.strip():
            continue
        row = parse(line, where)
        if not isinstance(row, dict) or "global_step" not in row:
            raise ValueError(f'{where} has no "global_step"; is this PD1?')
        curves = {name: x for name, x in row.items() if isinstance(x, list)}
        seen.update(curves)
        config = {name: x for name, x in row.items() if name.startswith("hps.")}
        name = str(row.get("trial_dir") or where)
        for metric, known in known_or_asked(curves, request, direction):
            steps = numbers(row["global_step"], f"global_step of {name}")
            values = numbers(curves[metric], f"{metric} of {name}")
            if len(steps) != len(values):
                raise ValueError(
                    f"{name} has {len(steps)} steps, {len(values)} values of {metric}"
                )
            yield request.run(
                name,
                *in_order(steps, values),
                known,
                task=_task(row),
                metric=metric,
                config=config,
            )
    if request.metric is not None:
        one_of(seen, request.metric)


def _task(row: dict[str, Any]) -> str:
    parts = [row.get(name) for name in ("dataset", "model", "hps.batch_size")]
    return str(row.get("study_group") or ",".join(map(str, parts)))


def _lines(request: Request) -> Iterator[tuple[str, str]]:
    """Where each line is, and the line."""
    path = request.path
    if not {".tar", ".tgz"} & set(path.suffixes):
        for number, line in enumerate(file_lines(path, request.progress), 1):
            yield f"line {number}", line
        return
    found = False
    with path.open("rb") as file, bar(path, request.progress) as shown:
        with damage(path.name):
            archive = tarfile.open(fileobj=unpacked(file, path.name), mode="r|")
            for member in archive:
                if member.isfile() and member.name.endswith(MEMBERS):
                    found = True
                    content = cast(io.BufferedReader, archive.extractfile(member))
                    stream = unpacked(content, member.name)
                    for number, line in enumerate(lines(stream, member.name), 1):
                        yield f"{member.name}, line {number}", line
                        shown.update(file.tell() - shown.n)
    if not found:
        raise ValueError(f"holds no file that ends in {' or '.join(MEMBERS)}")
