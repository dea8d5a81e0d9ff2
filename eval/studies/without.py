"""The broad prior without a group of its effects, to measure what each is worth.

lcpfn pretrain curves --prior lcpfn.eval.studies.without:schedules
"""

from dataclasses import replace

from lcpfn.priors.base import Prior
from lcpfn.priors.broad import Effects, broad_prior

GROUPS = {
    "schedules": ("schedule", "warm_up", "heat"),
    "bends": ("onset", "breaking", "bump"),
    "overfitting": ("overfit", "rising"),
    "accidents": ("collapse", "explosion", "wild"),
    "rest": ("ceiling", "dying", "rest", "stuck"),
    "little_learned": ("flat", "small"),
    "transients": ("untrained", "transient"),
    "drift": ("correlated", "wander", "smoothed", "best_so_far"),
    "rough_noise": ("trend", "skewed", "heavy", "spikes", "rounded"),
}


def __getattr__(name: str) -> Prior:
    if name not in GROUPS:
        raise AttributeError(f"no group {name!r}; there are {', '.join(GROUPS)}")
    effects = replace(Effects(), **dict.fromkeys(GROUPS[name], 0.0))
    return broad_prior(effects, name=f"broad without {name}")
