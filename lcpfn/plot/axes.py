"""What all pictures share: matplotlib, when it is needed, and the colours."""

from typing import Any

# Okabe and Ito's colour-blind safe palette.
PALETTE = (
    *("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9"),
    *("#d55e00", "#f0e442"),
)
COLOUR, THRESHOLD, GREY = PALETTE[0], PALETTE[5], "#a0a0a0"


def pyplot() -> Any:
    """matplotlib.pyplot, or an error that says how to get it."""
    try:
        import matplotlib.pyplot as plt
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "plots need matplotlib: pip install 'lcpfn-jax[plot]'"
        ) from None
    return plt


def axes(ax: Any, size: tuple[float, float] = (7, 4)) -> Any:
    """The axes given, or new ones of a size in inches."""
    if ax is not None:
        return ax
    return pyplot().subplots(figsize=size, layout="constrained")[1]


def finish(ax: Any, xlabel: str, ylabel: str, title: str) -> Any:
    """Labels, a faint grid and a legend; returns the axes."""
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    ax.grid(alpha=0.2)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, fontsize="small")
    return ax
