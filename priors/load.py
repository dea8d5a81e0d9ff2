"""Finds priors by name, and refuses those that cannot be trained on."""

import importlib
import importlib.util
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
from numpyro import handlers

from lcpfn.priors.base import Prior, candidate

LEAST_ACCEPTANCE = 0.01


def load_prior(name: str) -> Prior:
    """Finds and checks a prior named `module:attribute` or `path/to/file.py:attribute`.

    The attribute is a `Prior`, or a NumPyro model function (then the defaults of
    `Prior` apply: 100 steps, lower is better, no bounds).

    Raises:
        ValueError: if it cannot be found, or `check_prior` refuses it.
    """
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise ValueError(
            f"a prior is named module:function or file.py:function, got {name!r}"
        )
    found = getattr(_import(module_name), attribute, None)
    if found is None:
        raise ValueError(f"{module_name} has no attribute {attribute!r}")
    if not callable(found) and not isinstance(found, Prior):
        raise ValueError(
            f"{name} must be a NumPyro model function or a lcpfn.priors.Prior, "
            f"got {type(found).__name__}"
        )
    prior = found if isinstance(found, Prior) else Prior(found, name=name)
    check_prior(prior)
    return prior


def _import(name: str) -> object:
    if name.endswith(".py"):
        path = Path(name).resolve()
        if not path.is_file():
            raise ValueError(f"there is no file {path}")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if spec is None or spec.loader is None:
            raise ValueError(f"{path} cannot be imported as Python")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ValueError(f"no module named {name!r} ({error})") from error


def check_prior(prior: Prior, key: jax.Array | None = None, n: int = 256) -> float:
    """Draws from a prior and refuses one that cannot be trained on.

    Returns:
        The acceptance rate.

    Raises:
        ValueError: no site "y", a wrong shape, values outside hard bounds, all values
            non-finite, or fewer than one candidate in a hundred accepted.
    """
    key = jax.random.key(0) if key is None else key
    try:
        shape = jax.eval_shape(lambda k: candidate(prior, k)[0], key).shape
    except KeyError as error:
        raise ValueError(f'prior {prior.name} has no sample site "y"') from error
    if shape != (prior.length,):
        raise ValueError(
            f"prior {prior.name}: y must have one value per step, "
            f"shape ({prior.length},), got {shape}"
        )
    y, *_, fine = jax.jit(jax.vmap(lambda k: candidate(prior, k)))(
        jax.random.split(key, n)
    )
    fine &= jnp.all(jnp.isfinite(y), axis=1)
    rate = float(jnp.mean(fine))
    if not bool(jnp.any(jnp.all(jnp.isfinite(y), axis=1))):
        raise ValueError(f"prior {prior.name}: no curve of {n} was finite throughout")
    if rate < LEAST_ACCEPTANCE:
        raise ValueError(
            f"prior {prior.name}: {rate:.1%} of {n} candidates were accepted, at least "
            f"{LEAST_ACCEPTANCE:.0%} are needed; loosen its acceptance rule"
        )
    low, high = prior.bounds
    inside = y[fine]
    if prior.hard_bounds and (
        (low is not None and bool(jnp.any(inside < low)))
        or (high is not None and bool(jnp.any(inside > high)))
    ):
        raise ValueError(
            f"prior {prior.name}: curves leave the bounds {prior.bounds}; widen them "
            "or declare hard_bounds=False"
        )
    return rate


def site_names(prior: Prior) -> set[str]:
    """Names of the sites of a prior's model."""

    def values(key: jax.Array) -> dict[str, jax.Array]:
        sites = handlers.trace(handlers.seed(prior.model, key)).get_trace(prior.steps)
        return {name: site["value"] for name, site in sites.items()}

    return set(jax.eval_shape(values, jax.random.key(0)))
