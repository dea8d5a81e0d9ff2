"""Keras 3: a callback that ends `fit` when the run has too little left to gain."""

from typing import Any

import keras

from lcpfn.stopping.monitor import RunMonitor


class LCEarlyStopping(keras.callbacks.Callback):
    """Stops training when the monitored metric will hardly beat `beat` or its own best.

        model.fit(..., callbacks=[LCEarlyStopping("val_accuracy", mode="max")])

    Every `fit` from epoch 0 begins a new curve; one with `initial_epoch` goes on with
    the last. `state_dict` and `load_state_dict` carry the curve to another process.

    Args:
        monitor: name of the metric in the logs.
        mode: "max" or "min".
        horizon: epochs of a full run; default: the `epochs` of `fit`.
        start_from_epoch: no stop before this epoch, counted from 0.
        **rule: `beat`, `bounds`, `confidence`, ... of `lcpfn.EarlyStopping`; `model`,
            `dry_run`, `start_from`, ... of `lcpfn.stopping.monitor.RunMonitor`.

    Attributes:
        run_monitor: its decisions, reason and predicted final value.
        stopped_epoch: epoch at which it stopped training; 0 if it did not.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        *,
        mode: str,
        horizon: float | None = None,
        start_from_epoch: int = 0,
        **rule: Any,
    ) -> None:
        super().__init__()
        self.monitor, self.stopped_epoch = monitor, 0
        rule["start_from"] = start_from_epoch + 1
        self.run_monitor = RunMonitor(mode, horizon, **rule)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """The host says how many epochs there are."""
        self.stopped_epoch = 0
        self.run_monitor.set_horizon(self.params.get("epochs"))

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Begins a new curve with the first epoch."""
        if epoch == 0:
            self.run_monitor.reset()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Takes the newest value and decides."""
        if self.run_monitor.take(logs, self.monitor, epoch + 1):
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def state_dict(self) -> dict[str, Any]:
        """The curve so far; plain JSON values."""
        return self.run_monitor.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from a `state_dict()`; call `fit` with `initial_epoch` then."""
        self.run_monitor.load_state_dict(state)
