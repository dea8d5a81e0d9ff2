"""A stopper that lives inside other people's training, and never breaks it.

Every adapter in `lcpfn.integrations` is a few lines around one `RunMonitor` per run.
What hosts do to a curve, and what follows:

* an observation that is no number, outside hard bounds or beyond the horizon, a metric
  that is missing: left out;
* NaN or infinity: the run diverged, which is a reason to stop like any other; with
  `nan="skip"` NaN is no observation, for scores that some epochs leave undefined;
* repeated, late and rewound observations, restarted curves: see `ReportKind`; a
  repeated observation keeps its decision, a late one makes none;
* a forecast that fails, a state that cannot be read: the run goes on.

Wrong options are refused when it is made. After that nothing is raised: each kind of
trouble is said once, as a `MonitorWarning`.
"""

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lcpfn.seen_curve import context_of
from lcpfn.stopping.decision import Decision, decide
from lcpfn.stopping.given_runs import take_given
from lcpfn.stopping.interval import DecisionInterval, Pace
from lcpfn.stopping.observations import (
    Observations,
    ReportKind,
    WarnOnce,
    check_nan,
    number,
)
from lcpfn.stopping.rule import Rule
from lcpfn.stopping.run_reader import RunReader
from lcpfn.stopping.saved_state import STATE_FORMAT, saved_run
from lcpfn.stopping.whole_curves import (
    Protected,
    decide_on_curve,
    forecast_curves,
    never,
)

if TYPE_CHECKING:
    from lcpfn.model import Model

log = logging.getLogger(__name__)


class RunMonitor:
    """Watches one run: takes its reports, says when to stop, raises nothing.

        monitor = RunMonitor("max", horizon=50, bounds=(0, 1), beat=0.81)
        for epoch in range(1, 51):
            if monitor.report(train_one_epoch(), epoch):
                break
        print(monitor.reason)

    Args:
        mode: "max" or "min".
        horizon: last step of a full run; None: the host tells it, see `set_horizon`.
        start_from: no decision before this step; earlier observations still count.
        every: decide at the first observation of every so many steps; "auto": as
            often as a tenth of the time allows, by the clock.
        dry_run: stop nothing; log what would have been done.
        model: a loaded model, a checkpoint name or path, or None for the default. It
            is loaded at the first decision, once per process.
        name: of the run, for the log.
        warn_once: how to warn; monitors that share it warn once together.
        **rule: further fields of `lcpfn.stopping.rule.Rule`; and `nan`: "diverged", a
            run whose newest value is NaN is stopped, or "skip", such a value is left
            out and only infinity is divergence; `others`, finished runs of its task or
            the file they are in; `config`, this run's hyperparameters.

    Attributes:
        observations: those so far.
        decision: the last one; None before the first.
        stopped_at: step at which it first said stop, or would have in a dry run.
        quiet: do not log that.
        reader: makes the forecasts, alone or among other runs.

    Raises:
        ValueError, TypeError: for options that `Rule` refuses.
    """

    def __init__(
        self,
        mode: str,
        horizon: float | None = None,
        *,
        start_from: float = 0,
        every: float | Literal["auto"] | Pace = 1,
        dry_run: bool = False,
        model: "Model | str | Path | None" = None,
        name: str = "the run",
        warn_once: WarnOnce | None = None,
        **rule: Any,
    ) -> None:
        self.interval, self.dry_run = DecisionInterval.of(start_from, every), dry_run
        self.name, self.quiet = name, False
        self.nan = check_nan(rule.pop("nan", "diverged"))
        self.warn_once = warn_once or WarnOnce()
        self.horizon, self._from_host = horizon, horizon is None
        # A rule needs some horizon; nothing is decided before the host has told it.
        given = take_given(rule, mode, rule.get("bounds"))
        self.rule = Rule.of(1.0 if horizon is None else horizon, mode, **rule)
        self.reader = RunReader(name, model, *given)
        self.reset()

    def reset(self) -> None:
        """Begins another curve."""
        self.observations = Observations(self.warn_once, self.nan)
        self.decision: Decision | None = None
        self.stopped_at: float | None = None
        self._read_anew()

    def _read_anew(self) -> None:
        """The curve has changed before its end: agreeing decisions count anew."""
        self.reader.rest()
        self._streak = 0

    def rest(self) -> None:
        """Gives back the memory of a run that is not going on for now."""
        self.reader.rest()

    def set_horizon(self, horizon: Any) -> None:
        """The host says how long a full run is; a horizon of the user's own stays."""
        length = number(horizon) or math.nan
        changed = 0 < length < math.inf and length != self.horizon
        if self._from_host and changed:
            self.horizon, self.rule = length, replace(self.rule, horizon=length)
            self._read_anew()

    @property
    def beat(self) -> float | None:
        """The value to beat; may be set while the run is going."""
        return self.rule.beat

    @beat.setter
    def beat(self, value: float | None) -> None:
        if value != self.rule.beat:
            self.rule = replace(self.rule, beat=value)

    @property
    def reason(self) -> str:
        """Why the last decision is what it is."""
        return "" if self.decision is None else self.decision.reason

    @property
    def predicted_final(self) -> tuple[float, float] | None:
        """Mean and standard deviation at the horizon, for programs; None: not yet."""
        last = self.observations.last
        if last is not None and last == self.horizon:
            return self.observations.curve[last], 0.0
        if self.decision is None:
            return None
        return self.decision.expected_final, self.decision.final_std

    def take(
        self, metrics: Mapping[str, Any] | None, metric: str, step: Any, **options: Any
    ) -> bool:
        """`report` of one entry of the host's metrics; warns once of a missing one."""
        found = (metrics or {}).get(metric)
        if found is None:
            known = ", ".join(map(str, metrics or ())) or "no metrics at all"
            self.warn_once("missing", f"{metric!r} was not reported, only {known}")
            return False
        return self.report(found, step, **options)

    def report(
        self,
        value: Any,
        step: Any = None,
        *,
        decide: bool = True,
        protected: Protected = never,
    ) -> bool:
        """Takes an observation and decides; True: stop the run now.

        Args:
            value: the metric, in the user's units.
            step: its step; default: the last one plus 1.
            decide: False: only remember it.
            protected: whether the run is not to be stopped, unless it has diverged.
        """
        before = self.observations.last
        kind = self.observations.add(value, step, self.horizon)
        last = self.observations.last
        if kind is ReportKind.RESTART:
            self.decision = self.stopped_at = None
        if kind in (ReportKind.RESTART, ReportKind.BACK, ReportKind.LATE):
            self._read_anew()
        if kind in (ReportKind.LATE, ReportKind.NOTHING) or not decide or last is None:
            return False
        if kind is ReportKind.REPEATED:
            return self._verdict()
        due = self.interval.due(last, before) and self.interval.pace.due()
        return due and self._attempt(self._update, protected)

    def read(self, curve: Mapping[Any, Any], protected: Protected = never) -> bool:
        """Decides from all of a run's observations, as if they had come one by one.

        Only the newest decisions, which count for `patience`, are made. For hosts that
        keep the observations themselves; the curve so far is forgotten.
        """
        self.reset()
        for step in sorted(curve):
            self.observations.add(curve[step], step, self.horizon)
        return self.interval.pace.due() and self._attempt(self._read, protected)

    def _attempt(
        self, make: Callable[[Protected], Decision | None], protected: Protected
    ) -> bool:
        """Makes a decision; whatever goes wrong in it, the run goes on."""
        try:
            with self.interval.pace.timed():
                decision = make(protected)
        except Exception as error:  # noqa: BLE001 - the training must go on
            self._read_anew()
            self.warn_once("forecast", "no forecast, the run goes on", error)
            return False
        self.decision = decision or self.decision
        return decision is not None and self._verdict()

    def _update(self, protected: Protected) -> Decision | None:
        """Reads what is new and decides; None if nothing is."""
        if not self.reader.take(self.observations, self.rule):
            return None
        newest, curve = self.reader.newest(self.rule), self.observations.curve
        decision, self._streak = decide(
            self.rule, *newest, self._streak, lambda: protected(curve)
        )
        return decision

    def _read(self, protected: Protected) -> Decision | None:
        """Decides at the end of the curve; None if no decision is due there."""
        curve, newest = self.observations.curve, self.observations.last
        if newest is None or newest == self.horizon:
            return None
        metric = self.reader.metric(self.rule)
        self.observations.leave_out_beyond(metric, list(curve))
        if newest not in curve:
            return None
        rule, ask = self.rule, self.reader.asker(self.rule)
        context = lambda _, seen: context_of(seen, metric, rule.horizon, rule.plan)
        (known,), _ = forecast_curves(
            ask, context, rule, {self.name: curve}, self.interval
        )
        return decide_on_curve(rule, known, protected)

    def _verdict(self) -> bool:
        """Whether the last decision says stop; logs the first that does."""
        if self.decision is None or not self.decision.stop:
            return False
        if self.stopped_at is None:
            self.stopped_at = self.observations.last
            would = "dry run, would " if self.dry_run else ""
            level = logging.WARNING if would else logging.INFO
            # The reason takes as long as the decision: only for those who read it.
            if not self.quiet and log.isEnabledFor(level):
                text = f"stop {self.name} at step {self.stopped_at:g}: {self.reason}"
                log.log(level, would + text)
        return not self.dry_run

    def state_dict(self) -> dict[str, Any]:
        """What a host's checkpoint should hold; plain JSON values."""
        return {
            "format": STATE_FORMAT,
            "curve": self.observations.state(),
            "stopped_at": self.stopped_at,
            "streak": self._streak,
            "rule": self.rule.state() | {"horizon": self.horizon},
        }

    def load_state_dict(self, state: Any) -> None:
        """Goes on from a `state_dict()`, under this monitor's own rule.

        Agreeing decisions count anew if that is another rule, apart from `beat`. A
        state that cannot be read is said once; the curve then begins here.
        """
        self.reset()
        try:
            curve, stopped_at, streak, rule = saved_run(state)
            if rule is not None:
                self.set_horizon(rule["horizon"])
                mine = self.rule.state() | {"horizon": self.horizon, "beat": None}
                if mine == mine | rule | {"beat": None}:
                    self._streak = streak
            self.observations.restore(curve)
            self.stopped_at = stopped_at
        except Exception as error:  # noqa: BLE001 - the training must go on
            self.reset()
            self.warn_once("state", "no state of a monitor, beginning anew", error)

    def __getstate__(self) -> dict[str, Any]:
        """For pickle and copies: without the network's forecast."""
        return vars(self) | {"decision": None}
