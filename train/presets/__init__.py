"""Runs that ship or that tests use, by name. A preset is a claim: see its docstring."""

from lcpfn.train.presets.curves import CURVES
from lcpfn.train.presets.default import DEFAULT
from lcpfn.train.presets.domhan import DOMHAN
from lcpfn.train.presets.planned import PLANNED
from lcpfn.train.presets.recorded import RECORDED
from lcpfn.train.presets.tiny import TINY

PRESETS = {
    "curves": CURVES,
    "default": DEFAULT,
    "domhan": DOMHAN,
    "planned": PLANNED,
    "recorded": RECORDED,
    "tiny": TINY,
}
