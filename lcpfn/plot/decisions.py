"""The decisions on one run."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lcpfn.plot.axes import COLOUR, THRESHOLD, axes, finish

if TYPE_CHECKING:
    from lcpfn.stopping.decision import Decision
    from lcpfn.stopping.rule import Rule

HOLLOW = {"surprised": "D", "protected": "s", "too early": "v", "patience": "^"}
# Probabilities below are drawn as this.
LEAST = 1e-4


def timeline(
    decisions: Sequence["Decision"],
    steps: Sequence[float] | None = None,
    *,
    rule: "Rule | None" = None,
    ax: Any = None,
    title: str = "",
) -> Any:
    """Draws the decisions on one run: the probability behind each, and the threshold.

    Filled circles go on, hollow ones look hopeless but go on for the reason that the
    legend names, crosses stop. The reason of the first stop stands beside its line.

    Args:
        decisions: of `EarlyStopping.update`, in order.
        steps: where to draw them; default: the steps that they were made at.
        rule: `EarlyStopping.rule`, for the threshold.
        ax: matplotlib axes; default: new ones.
        title: of the axes.

    Returns:
        The axes; the probabilities are on a logarithmic scale that ends at `LEAST`.
    """
    if not decisions:
        raise ValueError("there are no decisions to draw")
    made = [decision.progress.step for decision in decisions]
    at = np.asarray(made if steps is None else steps, float)
    if len(at) != len(decisions):
        raise ValueError(
            f"{len(decisions)} decisions need as many steps, got {len(at)}"
        )
    ax = axes(ax)
    chance = np.maximum([d.prob_better for d in decisions], LEAST)
    if rule is not None:
        most = [max(rule.least_chance(step / rule.horizon), LEAST) for step in made]
        ax.plot(
            at,
            most,
            color=THRESHOLD,
            ls="--",
            drawstyle="steps-post",
            label="threshold",
        )
        ax.fill_between(at, LEAST, most, step="post", color=THRESHOLD, alpha=0.12, lw=0)
    ax.plot(at, chance, color=COLOUR, lw=1, zorder=2)
    for kind in dict.fromkeys(d.kind for d in decisions):
        here = np.array([d.kind == kind for d in decisions])
        stops = any(d.stop for d in decisions if d.kind == kind)
        style = {"marker": "X", "color": THRESHOLD} if stops else {"color": COLOUR}
        if kind not in ("promising", "finished") and not stops:
            style |= {"facecolor": "white", "marker": HOLLOW.get(kind, "o")}
        ax.scatter(at[here], chance[here], label=kind, zorder=3, **style)
    ax.set(yscale="log", ylim=(LEAST / 1.5, 1.5))
    stopped = next((i for i, d in enumerate(decisions) if d.stop), None)
    if stopped is not None:
        ax.axvline(at[stopped], color=THRESHOLD, lw=1, zorder=1)
        reason = f"stop at {at[stopped]:g}: {decisions[stopped].reason}"
        title = title or "\n".join(textwrap.wrap(reason, 64))
    finish(ax, "step", "probability of beating the threshold", title)
    ax.title.set_fontsize("medium")
    return ax
