"""An `EarlyStopping` that is made when it is first asked, from the curve it missed.

So the model loads at the first decision, a run that waits costs no memory, and a curve
that was put right is simply read anew.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lcpfn.jax_setup import shared_model
from lcpfn.stopping.early_stopping import Decision, EarlyStopping
from lcpfn.stopping.observations import Once

if TYPE_CHECKING:
    from lcpfn.model import Model


class Latecomer:
    """Decides on a curve that somebody else keeps.

    Args:
        rule: options of `lcpfn.EarlyStopping`; a horizon of None has to be set before
            the first decision.
        model: a loaded model, a checkpoint name or path, or None for the default.
        once: how to warn.

    Raises:
        ValueError, TypeError: for options that `EarlyStopping` refuses.
    """

    def __init__(
        self, rule: dict[str, Any], model: "Model | str | Path | None", once: Once
    ) -> None:
        self.rule, self.model, self.once = rule, model, once
        self._check(rule)
        self.forget()

    def _check(self, rule: dict[str, Any]) -> None:
        EarlyStopping(**rule | {"horizon": self.horizon or 1})

    @property
    def horizon(self) -> float | None:
        """Last step of a full run."""
        return self.rule["horizon"]

    def set(self, **rule: Any) -> None:
        """Changes the rule of a run that is going."""
        changed = {k: v for k, v in rule.items() if v != self.rule.get(k)}
        if not changed:
            return
        self._check(self.rule | changed)
        self.rule = self.rule | changed
        self.rest()

    def forget(self) -> None:
        """The curve is to be read anew."""
        self._stopper: EarlyStopping | None = None
        self._saved: Any = None
        self._read = 0

    def rest(self) -> None:
        """Gives back the memory of a run that is not going on for now."""
        if self._stopper is not None:
            self._saved, self._stopper = self._stopper.state_dict(), None

    def decide(
        self,
        curve: dict[float, float],
        protected: bool | Callable[[], bool] = False,
    ) -> Decision | None:
        """Reads what is new and decides; None if nothing is.

        Args:
            curve: values by step, in order. Records outside hard bounds are deleted.
            protected: as of `EarlyStopping.update`.
        """
        model = shared_model(self.model)
        if self._stopper is None:
            self._stopper = self._open(model)
        metric = model.metric(self.rule["mode"], self.rule.get("bounds"))
        for at in list(curve)[self._read :]:
            try:
                metric.check(np.array([curve[at]]), f"the value at step {at:g}")
            except ValueError as error:
                self.once("record", f"a record was left out: {error}")
                del curve[at]
        new = list(curve.items())[self._read :]
        if not new:
            return None
        self._read = len(curve)
        steps, values = zip(*new, strict=True)
        return self._stopper.replay(values, steps, protected)

    def _open(self, model: "Model") -> EarlyStopping:
        stopper = EarlyStopping(**self.rule, model=model)
        if self._saved is not None:
            rule, saved = stopper.state_dict()["rule"], self._saved["rule"]
            if saved | {"beat": None} == rule | {"beat": None}:
                stopper.load_state_dict(self._saved | {"rule": rule})
            else:  # changed since: agreeing decisions are counted anew
                self._read = 0
            self._saved = None
        return stopper

    def state(self) -> dict[str, Any]:
        """Plain JSON values, without the curve."""
        saved = self._stopper.state_dict() if self._stopper else self._saved
        return {"read": self._read, "stopper": saved}

    def restore(self, state: Mapping[str, Any]) -> None:
        """From a `state()`; raises what Python raises for anything else."""
        saved = state["stopper"]
        if saved is not None:
            dict(saved["rule"])
        self._stopper, self._saved, self._read = None, saved, int(state["read"])

    def __getstate__(self) -> dict[str, Any]:
        """For pickle and copies: no network in it, a loaded model by its path."""
        model = getattr(self.model, "path", None) or self.model
        saved = self.state()["stopper"]
        return vars(self) | {"model": model, "_stopper": None, "_saved": saved}
