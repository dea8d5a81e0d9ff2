"""The log of a run: a JSONL file, a progress bar, and TensorBoard if asked for."""

import json
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from lcpfn.json_files import write_text


class NonFiniteLoss(RuntimeError):
    """The loss became NaN or infinite; the last checkpoint before it is kept."""


def read_log(path: Path, step: int) -> list[dict]:
    """Lines of a log up to `step`; a torn last line is dropped."""
    lines = []
    text = path.read_text(errors="replace") if path.exists() else ""
    for line in text.splitlines():
        try:
            entry = json.loads(line)
            if entry["step"] <= step:
                lines.append(entry)
        except (ValueError, TypeError, KeyError):
            break
    return lines


def _tensorboard(folder: Path) -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "TensorBoard logs need tensorboardX: pip install 'lcpfn-jax[tensorboard]'"
        ) from None
    return SummaryWriter(str(folder))


class Journal:
    """Keeps account of the steps of a run; only the first process writes.

    Attributes:
        entries: the lines of the log, cut back to where the run resumes.
        skipped: steps so far whose loss or gradient was not finite.
    """

    def __init__(
        self,
        out: Path,
        first: int,
        steps: int,
        skips: int,
        *,
        progress: bool,
        tensorboard: bool,
    ) -> None:
        self.path = out / "log.jsonl"
        self.lead = jax.process_index() == 0
        self.entries = read_log(self.path, first)
        if self.lead:
            text = "".join(json.dumps(entry) + "\n" for entry in self.entries)
            write_text(self.path, text)
        self._board = None
        if tensorboard and self.lead:
            self._board = _tensorboard(out / "tensorboard")
        self._number, self._skips = first, skips
        self.skipped = self.entries[-1].get("skipped", 0) if self.entries else 0
        self._before = self.entries[-1]["seconds"] if self.entries else 0.0
        self._seen = self._start = self.entries[-1]["curves"] if self.entries else 0
        self._began = time.perf_counter()
        self._losses: list[float] = []
        self._norm = np.nan
        self._pending: tuple[int, dict[str, jax.Array]] | None = None
        self._bar = tqdm(
            total=steps,
            initial=first,
            unit="step",
            disable=not (progress and self.lead),
        )

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()
        if self._board is not None:
            self._board.close()

    def add(self, number: int, metrics: dict[str, jax.Array]) -> None:
        """Notes a step that was started, and reads the figures of the one before.

        Reading would wait for the step that runs; so it is always one behind.

        Raises:
            NonFiniteLoss: naming the step.
        """
        self.settle()
        self._pending = (number, metrics)
        self._bar.update()

    def settle(self) -> None:
        """Reads the figures of the newest step, waiting for it."""
        if self._pending is None:
            return
        (self._number, metrics), self._pending = self._pending, None
        loss, norm = float(metrics["loss"]), float(metrics["grad_norm"])
        finite = np.isfinite(loss + norm)
        self.skipped += not finite
        if self.skipped > self._skips:
            bad = f"gradient norm became {norm}"
            what = bad if np.isfinite(loss) else f"loss became {loss}"
            saved = [entry["step"] for entry in self.entries if "gap_10" in entry]
            raise NonFiniteLoss(
                f"the {what} at step {self._number}; last good checkpoint: step "
                f"{saved[-1] if saved else 'none'} in {self.path.parent / 'state'}. "
                "Lower the learning rate or check the prior"
            )
        if finite:
            self._losses.append(loss)
            self._norm = norm
        self._seen += int(metrics["curves"])

    def write(self, scores: dict[str, float]) -> None:
        """Appends a line on the steps since the last one, all of them settled."""
        seconds = time.perf_counter() - self._began
        rate = (self._seen - self._start) / seconds
        entry = {
            "step": self._number,
            "curves": self._seen,
            "seconds": round(self._before + seconds, 2),
            "loss": float(np.mean(self._losses or [np.nan])),
            "grad_norm": self._norm,
            "curves_per_second": rate,
            "skipped": self.skipped,
        } | scores
        self._losses.clear()
        self.entries.append(entry)
        self._bar.set_postfix_str(f"loss {entry['loss']:.4f}, {rate:.0f} curves/s")
        if not self.lead:
            return
        with self.path.open("a") as file:
            file.write(json.dumps(entry) + "\n")
        if self._board is not None:
            for name, value in entry.items():
                self._board.add_scalar(name, value, self._number)
            self._board.flush()
