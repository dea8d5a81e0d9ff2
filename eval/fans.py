"""Fans over recorded curves, with what came."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lcpfn.curves import CurveSet
from lcpfn.eval.curves import measure, of_model
from lcpfn.eval.data import Case, normal_cases
from lcpfn.model import Model
from lcpfn.plot import fan, pyplot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Places in the order of CRPS, from best to worst.
PLACES = {"typical": 0.5, "one in ten is worse": 0.9, "the worst": 1.0}
STEPS = 80


def fans(
    model: Model, suites: Sequence[CurveSet], percent: int = 20, most: int = 200
) -> "Figure":
    """A line of fans per suite, from typical to worst."""
    figure, axes = pyplot().subplots(
        len(suites),
        len(PLACES),
        figsize=(10, 2.3 * len(suites)),
        squeeze=False,
        layout="constrained",
    )
    for line, suite in zip(axes, suites, strict=True):
        cases = normal_cases(suite, most, (percent,))
        if not cases:
            continue
        crps = measure(cases, of_model(model)(cases))["crps"]
        order = np.argsort(crps)
        for ax, (what, place) in zip(line, PLACES.items(), strict=True):
            case = cases[order[round(place * (len(order) - 1))]]
            fan_of(model, case, ax)
            ax.set_title(f"{suite.name}: {what}", fontsize=9)
    return figure


def fan_of(model: Model, case: Case, ax: Any) -> None:
    """The fan of one case and how its run went on."""
    ahead = np.linspace(case.steps[-1], case.horizon, STEPS + 1)[1:]
    forecast = model.extrapolate(
        case.values,
        case.horizon,
        mode=case.mode,
        bounds=case.bounds,
        steps=case.steps,
        at=ahead,
    )
    fan(forecast, case.values.tolist(), case.steps.tolist(), ax=ax)
    ax.plot(case.later_steps, case.later_values, color="black", lw=0.8, zorder=4)
    ax.get_legend().remove()
    ax.set(xlabel="", ylabel="")
    ax.tick_params(labelsize=7)
