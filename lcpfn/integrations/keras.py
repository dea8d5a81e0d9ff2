"""Keras 3: a callback that ends `fit` when the run has too little left to gain."""

from typing import Any

import keras

from lcpfn.stopping.monitor import RunMonitor


class LCEarlyStopping(keras.callbacks.Callback):
    """Stops training when the monitored metric will hardly beat `beat` or its own best.

        model.fit(..., callbacks=[LCEarlyStopping("val_accuracy", mode="max")])

    A `fit` of another model begins a new curve. One of the same model goes on with its
    curve, as does one with `initial_epoch`, unless the model was compiled anew; for
    `fit` in a loop give the `horizon` of the whole loop, and end it when
    `run_monitor.stopped_at` is set. `state_dict` and `load_state_dict` carry the curve
    to another process.

    Args:
        monitor: name of the metric in the logs.
        mode: "max" or "min".
        horizon: epochs of a full run; default: the `epochs` of `fit`, behind those of
            the fits that it goes on from.
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
        rule.setdefault("start_from", start_from_epoch + 1)
        self.run_monitor = RunMonitor(mode, horizon, **rule)
        self._whole, self._begins, self._offset = horizon is not None, True, 0
        self._fitted: Any = None  # the optimizer of the last fit

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Another fit begins, perhaps of the model that was trained last."""
        self.stopped_epoch, self._begins = 0, True

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Begins a new curve, or goes on with that of the model."""
        if self._begins:
            self._begin(epoch)
        self._begins = False

    def _begin(self, epoch: int) -> None:
        optimizer, monitor = self.model.optimizer, self.run_monitor
        trained = self._fitted is optimizer and int(optimizer.iterations) > 0
        self._fitted = optimizer
        if epoch == 0 and not trained:
            monitor.reset()
        self._offset = int(monitor.observations.last or 0) if epoch == 0 else 0
        horizon = self._offset + self.params["epochs"]
        if trained and not self._whole and horizon != monitor.horizon:
            monitor.warn_once(
                "length",
                "the model is trained on in another fit, whose epochs are not all that "
                "follow; give horizon= the epochs of all fits",
            )
        monitor.set_horizon(horizon)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Takes the newest value and decides."""
        step = self._offset + epoch + 1
        if self.run_monitor.take(logs, self.monitor, step):
            self.stopped_epoch = step - 1
            self.model.stop_training = True

    def state_dict(self) -> dict[str, Any]:
        """The curve so far; plain JSON values."""
        return self.run_monitor.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from a `state_dict()`; call `fit` with `initial_epoch` then."""
        self.run_monitor.load_state_dict(state)
