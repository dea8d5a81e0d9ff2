"""Generative models of learning curves. Imports nothing else of lcpfn."""

from lcpfn.priors.base import Draws, Prior, draw, observe
from lcpfn.priors.broad import BROAD_PRIOR, SCHEDULED_PRIOR, Effects, broad_prior
from lcpfn.priors.domhan import LCPFN_PRIOR
from lcpfn.priors.families import FAMILIES, Family
from lcpfn.priors.load import check_prior, load_prior

PRIORS = {prior.name: prior for prior in (BROAD_PRIOR, LCPFN_PRIOR, SCHEDULED_PRIOR)}


def find_prior(name: str) -> Prior:
    """A prior by its key in `PRIORS`, or as `load_prior` finds it."""
    return PRIORS[name] if name in PRIORS else load_prior(name)


__all__ = [
    "BROAD_PRIOR",
    "FAMILIES",
    "LCPFN_PRIOR",
    "PRIORS",
    "SCHEDULED_PRIOR",
    "Draws",
    "Effects",
    "Family",
    "Prior",
    "broad_prior",
    "check_prior",
    "draw",
    "find_prior",
    "load_prior",
    "observe",
]
