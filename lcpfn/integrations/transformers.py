"""Hugging Face Transformers: a callback that ends training with too little to gain."""

from typing import Any

from transformers import TrainerCallback, TrainingArguments
from transformers.trainer_callback import (
    ExportableState,
    TrainerControl,
    TrainerState,
)

from lcpfn.stopping.monitor import RunMonitor


class LCEarlyStoppingCallback(TrainerCallback, ExportableState):
    """Stops training when the metric will hardly beat `beat` or its own best.

        Trainer(..., args=TrainingArguments(eval_strategy="steps", ...),
                callbacks=[LCEarlyStoppingCallback("eval_loss", mode="min")])

    Steps are the trainer's global steps; it decides whenever the trainer evaluates. A
    resumed run finds its curve in the checkpoint.

    Args:
        monitor: the metric; default: the arguments' `metric_for_best_model`.
        mode: "max" or "min"; default: the arguments' `greater_is_better`.
        horizon: last step of a full run; default: the trainer's `max_steps`.
        **rule: `beat`, `bounds`, `confidence`, ... of `lcpfn.EarlyStopping`; `model`,
            `dry_run`, `start_from`, ... of `lcpfn.stopping.monitor.RunMonitor`.

    Attributes:
        run_monitor: its decisions, reason and predicted final value.
    """

    def __init__(
        self,
        monitor: str | None = None,
        *,
        mode: str | None = None,
        horizon: float | None = None,
        **rule: Any,
    ) -> None:
        self.monitor, self.mode, self.horizon = monitor, mode, horizon
        self.options = rule
        self.saved: dict[str, Any] | None = None
        self._evaluated: dict[str, Any] = {}  # since the last step of training
        self.run_monitor = RunMonitor(mode or "min", horizon, **self.options)

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Takes from the host what it knows, and the curve of a resumed run."""
        if self.mode is None:
            if args.greater_is_better is None:
                raise ValueError('which way is better? Give mode="max" or mode="min"')
            self.mode = "max" if args.greater_is_better else "min"
        name = self.monitor or args.metric_for_best_model or "loss"
        self.monitor = name if name.startswith("eval_") else f"eval_{name}"
        self.run_monitor = RunMonitor(self.mode, self.horizon, **self.options)
        self.run_monitor.set_horizon(state.max_steps)
        if self.saved is not None:
            self.run_monitor.load_state_dict(self.saved)
            self.saved = None
            return
        for entry in state.log_history:
            if self.monitor in entry:
                self.run_monitor.report(
                    entry[self.monitor], entry["step"], decide=False
                )

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Takes the newest value and decides; sets are evaluated one after another."""
        metrics = kwargs.get("metrics") or {}
        self._evaluated |= metrics
        if self.monitor in metrics and self.run_monitor.take(
            metrics, str(self.monitor), state.global_step
        ):
            control.should_training_stop = True

    def on_step_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Says if no set that was evaluated has the metric."""
        if self._evaluated and self.monitor not in self._evaluated:
            self.run_monitor.take(self._evaluated, str(self.monitor), state.global_step)
        self._evaluated = {}

    on_train_end = on_step_begin

    def state(self) -> dict[str, Any]:
        """For the trainer's checkpoint, in JSON."""
        model = self.options.get("model")
        model = getattr(model, "path", model)
        options = self.options | {"model": None if model is None else str(model)}
        names = ("monitor", "mode", "horizon")
        return {
            "args": {name: getattr(self, name) for name in names} | options,
            "attributes": {"saved": self.run_monitor.state_dict()},
        }
