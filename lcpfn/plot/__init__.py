"""Pictures of forecasts; needs matplotlib (`pip install 'lcpfn-jax[plot]'`).

fan           one curve: median and intervals
runs          many curves, the most promising ones in colour
timeline      the decisions on a run, and the threshold
reliability   how often true values fall below the quantiles that were forecast

Every function draws on the axes given, or on new ones, and returns them.
"""

from lcpfn.plot.axes import COLOUR, GREY, PALETTE, THRESHOLD, pyplot
from lcpfn.plot.calibration import reliability
from lcpfn.plot.decisions import timeline
from lcpfn.plot.forecasts import LEVELS, fan, runs

__all__ = [
    "COLOUR",
    "GREY",
    "LEVELS",
    "PALETTE",
    "THRESHOLD",
    "fan",
    "pyplot",
    "reliability",
    "runs",
    "timeline",
]
