"""A stopper that lives inside other people's training, and never breaks it.

Every adapter in `lcpfn.integrations` is a few lines around one `Guard` per run. What
hosts do to a curve, and what follows:

* a record that is no number, outside hard bounds or beyond the horizon, a metric that
  is missing: left out;
* NaN or infinity: the run diverged, which is a reason to stop like any other;
* repeated, late and rewound records, restarted curves: see `News`; a
  repeated record keeps its decision, a late one makes none;
* a forecast that fails, a state that cannot be read: the run goes on.

Wrong options are refused when the guard is made. After that nothing is raised: each
kind of trouble is said once, as a `GuardWarning`.
"""

import logging
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcpfn.stopping.early_stopping import Decision
from lcpfn.stopping.latecomer import Latecomer
from lcpfn.stopping.observations import News, Once, Reports, Schedule, number

if TYPE_CHECKING:
    from lcpfn.model import Model

log = logging.getLogger(__name__)
STATE_FORMAT = 1


class Guard:
    """Watches one run: takes its reports, says when to stop, raises nothing.

        guard = Guard("max", horizon=50, bounds=(0, 1), beat=0.81)
        for epoch in range(1, 51):
            if guard.report(train_one_epoch(), epoch):
                break
        print(guard.reason)

    Args:
        mode: "max" or "min".
        horizon: last step of a full run; None: the host tells it through `open`.
        start_from: no decision before this step; the records still count.
        every: decide at the first record of every so many steps.
        dry_run: stop nothing; log what would have been done.
        model: a loaded model, a checkpoint name or path, or None for the default. It
            is loaded at the first decision, once per process.
        name: of the run, for the log.
        once: how to warn; guards that share it warn once together.
        **rule: further options of `lcpfn.EarlyStopping`.

    Attributes:
        reports: the records so far.
        decision: the last one; None before the first.
        stopped_at: step at which it first said stop, or would have in a dry run.

    Raises:
        ValueError, TypeError: for options that `EarlyStopping` refuses.
    """

    def __init__(
        self,
        mode: str,
        horizon: float | None = None,
        *,
        start_from: float = 0,
        every: float = 1,
        dry_run: bool = False,
        model: "Model | str | Path | None" = None,
        name: str = "the run",
        once: Once | None = None,
        **rule: Any,
    ) -> None:
        self.schedule, self.dry_run = Schedule(start_from, every), dry_run
        self.name, self.once = name, once or Once()
        self._from_host = horizon is None
        rule = {"horizon": horizon, "mode": mode, **rule}
        self._stopper = Latecomer(rule, model, self.once)
        self.reset()

    def reset(self) -> None:
        """Begins another curve."""
        self.reports = Reports(self.once)
        self.decision: Decision | None = None
        self.stopped_at: float | None = None
        self._stopper.forget()

    @property
    def horizon(self) -> float | None:
        """Last step of a full run; None while nobody has told it."""
        return self._stopper.horizon

    def open(self, horizon: Any) -> None:
        """The host says how long a full run is; a horizon of the user's own stays."""
        length = number(horizon)
        if self._from_host and length is not None and 0 < length < math.inf:
            self._stopper.set(horizon=length)

    @property
    def beat(self) -> float | None:
        """The value to beat; may be set while the run is going."""
        return self._stopper.rule.get("beat")

    @beat.setter
    def beat(self, value: float | None) -> None:
        self._stopper.set(beat=value)

    @property
    def reason(self) -> str:
        """Why the last decision is what it is."""
        return "" if self.decision is None else self.decision.reason

    @property
    def predicted_final(self) -> tuple[float, float] | None:
        """Mean and standard deviation at the horizon; None before a decision."""
        if self.decision is None:
            return None
        steps = self.decision.forecast.steps.size
        std = float(self.decision.forecast.final.std()) if steps else 0.0
        return self.decision.expected_final, std

    def take(
        self,
        metrics: Mapping[str, Any] | None,
        monitor: str,
        step: Any,
        *,
        decide: bool = True,
        protected: bool | Callable[[], bool] = False,
    ) -> bool:
        """`report` of one entry of the host's metrics; a missing one is said once."""
        found = (metrics or {}).get(monitor)
        if found is None:
            known = ", ".join(map(str, metrics or ())) or "no metrics at all"
            self.once("missing", f"{monitor!r} was not reported, only {known}")
            return False
        return self.report(found, step, decide=decide, protected=protected)

    def report(
        self,
        value: Any,
        step: Any = None,
        *,
        decide: bool = True,
        protected: bool | Callable[[], bool] = False,
    ) -> bool:
        """Takes a record and decides; True: stop the run now.

        Args:
            value: the metric, in the user's units.
            step: its step; default: the last one plus 1.
            decide: False: only remember it.
            protected: as of `EarlyStopping.update`.
        """
        before = self.reports.last
        news = self.reports.add(value, step, self.horizon)
        last = self.reports.last
        if news is News.RESTART:
            self.decision = self.stopped_at = None
        if news in (News.RESTART, News.BACK, News.LATE):
            self._stopper.forget()
        if news in (News.LATE, News.NOTHING) or not decide or last is None:
            return False
        if news is News.REPEATED:
            return self._verdict(last)
        if not self.schedule.due(last, before):
            return False
        try:
            decision = self._stopper.decide(self.reports.curve, protected)
            self.decision = decision or self.decision
        except Exception as error:  # noqa: BLE001 - the training must go on
            self._stopper.forget()
            what = f"{type(error).__name__}: {error}"
            self.once("forecast", f"no forecast, the run goes on ({what})")
            return False
        return self._verdict(last)

    def read(
        self,
        curve: Mapping[Any, Any],
        protected: bool | Callable[[], bool] = False,
    ) -> bool:
        """Decides from all of a run's records, as if they had come one by one.

        Only the decisions that count for `patience` are made: the newest ones.
        """
        steps = sorted(curve)
        due = self.schedule.of(steps)
        if not due or due[-1] != steps[-1]:
            return False
        deciding = set(due[-self._stopper.rule.get("patience", 1) :])
        answers = [
            self.report(curve[s], s, decide=s in deciding, protected=protected)
            for s in steps
        ]
        return answers[-1]

    def _verdict(self, step: float) -> bool:
        if self.decision is None or not self.decision.stop:
            return False
        if self.stopped_at is None:
            self.stopped_at = step
            level = logging.WARNING if self.dry_run else logging.INFO
            what = "dry run, would stop" if self.dry_run else "stop"
            text = f"{what} {self.name} at step {step:g}: {self.reason}"
            log.log(level, "%s", text)
        return not self.dry_run

    def rest(self) -> None:
        """Gives back the memory of a run that is not going on for now."""
        self._stopper.rest()

    def state_dict(self) -> dict[str, Any]:
        """What a host's checkpoint should hold; plain JSON values."""
        return {
            "format": STATE_FORMAT,
            "curve": self.reports.state(),
            "stopped_at": self.stopped_at,
            **self._stopper.state(),
        }

    def load_state_dict(self, state: Any) -> None:
        """Goes on from a `state_dict()`, under this guard's own rule.

        A state that cannot be read is said once; the curve then begins here.
        """
        self.reset()
        try:
            if state["format"] != STATE_FORMAT:
                raise ValueError(f"format {state['format']!r}, not {STATE_FORMAT}")
            self.stopped_at = state["stopped_at"]
            self.reports.restore(state["curve"])
            self._stopper.restore(state)
        except Exception as error:  # noqa: BLE001 - the training must go on
            self.reset()
            what = f"{type(error).__name__}: {error}"
            self.once("state", f"no state of a guard, beginning anew ({what})")

    def __getstate__(self) -> dict[str, Any]:
        """For pickle and copies; a decision holds the whole network."""
        return vars(self) | {"decision": None}
