"""What all pictures share: matplotlib, when it is needed, and the colours."""

from typing import Any

from lcpfn.io.cells import printable_lines

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


def plain(text: str) -> str:
    """A name as it is: nothing in it is a formula or controls a terminal."""
    return printable_lines(text).replace("$", r"\$")


def finish(ax: Any, xlabel: str, ylabel: str, title: str) -> Any:
    """Labels, a faint grid and a legend; returns the axes."""
    ax.set(xlabel=xlabel, ylabel=ylabel, title=plain(title))
    ax.grid(alpha=0.2)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, fontsize="small")
    return ax
