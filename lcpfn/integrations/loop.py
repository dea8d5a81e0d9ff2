"""A loop of one's own: Flax, plain JAX, PyTorch, scikit-learn's `partial_fit`."""

from collections.abc import Iterator
from typing import Any

from lcpfn.stopping.monitor import RunMonitor


class Epochs(RunMonitor):
    """A monitor that counts the epochs as well.

        epochs = Epochs(100, "max", bounds=(0, 1), beat=0.93)
        for epoch in epochs:
            train_one_epoch()
            epochs.report(accuracy())     # ends the loop when it is hopeless
        print(epochs.reason)

    After `load_state_dict` the loop begins behind the last epoch reported. Each further
    loop, for the next fold for instance, begins a curve of its own.

    Args:
        horizon: epochs of a full run, counted from 1.
        mode: "max" or "min".
        **options: further ones of `lcpfn.stopping.monitor.RunMonitor` and of
            `lcpfn.EarlyStopping`.

    Attributes:
        should_stop: whether the loop is to end.
    """

    def __init__(self, horizon: int, mode: str, **options: Any) -> None:
        super().__init__(mode, horizon, **options)

    def reset(self) -> None:
        """Begins another curve."""
        super().reset()
        self.should_stop, self.epoch, self._looped = False, 0, False

    def __iter__(self) -> Iterator[int]:
        if self._looped:
            self.reset()
        self._looped, self.should_stop = True, False
        self.epoch = int(self.observations.last or 0)
        while self.epoch < int(self.horizon or 0) and not self.should_stop:
            self.epoch += 1
            yield self.epoch

    def report(self, value: Any, step: Any = None, **options: Any) -> bool:
        """Takes the value of this epoch; True: the loop ends."""
        step = self.epoch or None if step is None else step
        self.should_stop = super().report(value, step, **options)
        return self.should_stop
