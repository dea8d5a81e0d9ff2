"""PyTorch Lightning: a callback that ends a fit which has too little left to gain."""

import math
import sys
from typing import Any

from lcpfn.stopping.monitor import RunMonitor

if "pytorch_lightning" in sys.modules and "lightning.pytorch" not in sys.modules:
    from pytorch_lightning.callbacks import Callback
else:
    try:
        # Two classes to a type checker that finds both packages.
        from lightning.pytorch.callbacks import (  # type: ignore[assignment,unused-ignore]
            Callback,
        )
    except ModuleNotFoundError:
        from pytorch_lightning.callbacks import Callback


class LCEarlyStopping(Callback):
    """Stops training when the monitored metric will hardly beat `beat` or its own best.

        Trainer(max_epochs=50, callbacks=[LCEarlyStopping("val_loss", mode="min")])

    Steps are epochs, or parts of them if validation is more frequent; they are
    optimizer steps where the trainer has `max_steps` alone. Checkpoints carry the
    curve. With several devices the fit ends as soon as one of them says so.

    Args:
        monitor: name of a logged metric.
        mode: "max" or "min".
        horizon: last step of a full run; default: where the trainer ends, which is the
            earlier of its `max_epochs` and the epoch in which it reaches `max_steps`.
        check_on_train_epoch_end: decide after the training epoch instead of after
            validation.
        **rule: `beat`, `bounds`, `confidence`, ... of `lcpfn.EarlyStopping`; `model`,
            `dry_run`, `start_from`, ... of `lcpfn.stopping.monitor.RunMonitor`.

    Attributes:
        run_monitor: its decisions, reason and predicted final value.
        stopped_epoch: epoch at which it stopped training; 0 if it did not.
        stopping_reason_message: why; None if it did not.
    """

    def __init__(
        self,
        monitor: str,
        *,
        mode: str,
        horizon: float | None = None,
        check_on_train_epoch_end: bool = False,
        **rule: Any,
    ) -> None:
        self.monitor, self.mode = monitor, mode
        self.run_monitor = RunMonitor(mode, horizon, **rule)
        self.check_on_train_epoch_end = check_on_train_epoch_end
        self.stopped_epoch = 0
        self.stopping_reason_message: str | None = None

    @property
    def state_key(self) -> str:
        """Apart from those of other metrics."""
        return self._generate_state_key(monitor=self.monitor, mode=self.mode)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Decides here if asked to."""
        if self.check_on_train_epoch_end:
            self._check(trainer)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Decides here, but for the sanity check before training."""
        fitting = trainer.state.fn == "fit" and not trainer.sanity_checking
        if fitting and not self.check_on_train_epoch_end:
            self._check(trainer)

    def _check(self, trainer: Any) -> None:
        batches, epochs = trainer.num_training_batches, trainer.max_epochs
        step, horizon = trainer.global_step, trainer.max_steps
        if epochs is not None and epochs > 0 and batches != math.inf:
            done = (trainer.fit_loop.batch_idx + 1) / batches
            step, horizon = trainer.current_epoch + done, epochs
            if trainer.max_steps > 0:  # steps of the optimizer, not batches
                each = math.ceil(batches / trainer.accumulate_grad_batches)
                horizon = min(epochs, math.ceil(trainer.max_steps / each))
        self.run_monitor.set_horizon(horizon)
        stop = self.run_monitor.take(trainer.callback_metrics, self.monitor, step)
        if trainer.strategy.reduce_boolean_decision(stop, all=False):
            trainer.should_stop = True
            self.stopped_epoch = trainer.current_epoch
            self.stopping_reason_message = self.run_monitor.reason

    def state_dict(self) -> dict[str, Any]:
        """For the trainer's checkpoint."""
        return self.run_monitor.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """From the trainer's checkpoint."""
        self.run_monitor.load_state_dict(state_dict)
