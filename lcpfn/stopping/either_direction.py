"""Searches of which the host tells later which way is better."""

from contextlib import suppress
from typing import Any

from lcpfn.shared_model import name_of
from lcpfn.stopping.search_monitor import SearchMonitor


class EitherDirection:
    """A monitor of a search for each direction that is asked for.

    Args:
        **options: as of `SearchMonitor`.

    Raises:
        ValueError, TypeError: for options that are impossible either way.
    """

    def __init__(self, **options: Any) -> None:
        self.options, self.made = options, dict[str, SearchMonitor]()
        # Recorded runs among the options may be of one direction.
        with suppress(ValueError, TypeError):
            self.of("max")
        self.any = self.made.get("max") or self.of("min")

    def of(self, mode: str) -> SearchMonitor:
        """The one that this direction has."""
        if mode not in self.made:
            self.made[mode] = SearchMonitor(mode, **self.options)
        return self.made[mode]

    def __getstate__(self) -> dict[str, Any]:
        """For pickle and copies: a loaded model by its path."""
        model = name_of(self.options.get("model"))
        return vars(self) | {"options": self.options | {"model": model}}
