"""The eleven parametric families of Domhan et al. (IJCAI 2015), as a table.

A family is data: a formula, how its parameters are drawn, a source. Formulas are those
of the appendix of Domhan et al.; the parameter priors of pow3, ilog2 and janoschek are
those LC-PFN was trained on (Adriaensen et al., NeurIPS 2023, Table 1, "peaked"), the
others are uniform or log-normal boxes that keep most curves of accuracies in [0, 1].
All formulas take steps t >= 1 and describe a metric that rises.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import jax
import jax.numpy as jnp
import numpyro.distributions as dist

U, N, L = dist.Uniform, dist.Normal, dist.LogNormal
DOMHAN = "Domhan, Springenberg, Hutter 2015, IJCAI, Table 1"
LCPFN = f"{DOMHAN}; parameters: Adriaensen et al. 2023, arXiv 2310.20447, Table 1"


@dataclass(frozen=True)
class Family:
    """One parametric learning curve.

    Attributes:
        name: as in the source.
        formula: for people.
        value: `(t, **parameters) -> y`, elementwise.
        parameters: prior of each parameter.
        source: of the formula and of the parameter priors.
    """

    name: str
    formula: str
    value: Callable[..., jax.Array]
    parameters: Mapping[str, dist.Distribution]
    source: str


def _family(
    name: str,
    formula: str,
    value: Callable[..., jax.Array],
    source: str = DOMHAN,
    **parameters: dist.Distribution,
) -> Family:
    return Family(name, formula, value, MappingProxyType(parameters), source)


_ROWS = (
    _family(
        "pow3",
        "c - a t^-alpha",
        lambda t, c, a, alpha: c - a * t**-alpha,
        LCPFN,
        c=U(0.0, 1.25),
        a=U(-0.6, 0.6),
        alpha=L(0.0, 2.0),
    ),
    _family(
        "ilog2",
        "c - a / log(t + 1)",
        lambda t, c, a: c - a / jnp.log(t + 1),
        LCPFN,
        c=U(0.0, 1.0),
        a=U(-0.5, 0.5),
    ),
    _family(
        "janoschek",
        "a - (a - b) exp(-k t^d)",
        lambda t, a, b, k, d: a - (a - b) * jnp.exp(-k * t**d),
        LCPFN,
        a=U(0.0, 1.0),
        b=U(0.0, 2.0),
        k=L(-2.0, 1.0),
        d=L(0.0, 0.5),
    ),
    _family(
        "vap",
        "exp(a + b / t + c log t)",
        lambda t, a, b, c: jnp.exp(a + b / t + c * jnp.log(t)),
        a=U(-2.0, 0.0),
        b=U(-4.0, 0.0),
        c=U(-0.1, 0.1),
    ),
    _family(
        "weibull",
        "a - (a - b) exp(-(k t)^d)",
        lambda t, a, b, k, d: a - (a - b) * jnp.exp(-((k * t) ** d)),
        a=U(0.0, 1.5),
        b=U(0.0, 1.0),
        k=L(-2.0, 1.0),
        d=L(0.0, 0.5),
    ),
    _family(
        "pow4",
        "c - (a t + b)^-alpha",
        lambda t, c, a, b, alpha: c - (a * t + b) ** -alpha,
        c=U(0.0, 1.25),
        a=L(0.0, 1.0),
        b=L(0.0, 1.0),
        alpha=L(0.0, 1.0),
    ),
    _family(
        "mmf",
        "a - (a - b) / (1 + (k t)^d)",
        lambda t, a, b, k, d: a - (a - b) / (1 + (k * t) ** d),
        a=U(0.0, 1.0),
        b=U(0.0, 1.0),
        k=L(-2.0, 1.0),
        d=L(0.0, 0.5),
    ),
    _family(
        "exp4",
        "c - exp(b - a t^alpha)",
        lambda t, c, a, b, alpha: c - jnp.exp(b - a * t**alpha),
        c=U(0.0, 1.25),
        a=L(-2.0, 1.0),
        b=U(-2.0, 0.5),
        alpha=L(0.0, 0.5),
    ),
    _family(
        "dr_hill",
        "theta t^eta / (kappa^eta + t^eta)",
        lambda t, theta, eta, kappa: theta * t**eta / (kappa**eta + t**eta),
        theta=U(0.0, 1.0),
        eta=L(0.0, 0.5),
        kappa=L(1.0, 1.5),
    ),
    _family(
        "log_power",
        "a / (1 + (t / exp(b))^c)",
        lambda t, a, b, c: a / (1 + (t / jnp.exp(b)) ** c),
        a=U(0.0, 1.0),
        b=U(0.0, 4.0),
        c=U(-3.0, 0.0),
    ),
    _family(
        "loglog_linear",
        "log(a log t + b)",
        lambda t, a, b: jnp.log(a * jnp.log(t) + b),
        a=U(0.0, 0.3),
        b=U(1.0, 2.0),
    ),
)

FAMILIES: Mapping[str, Family] = MappingProxyType({row.name: row for row in _ROWS})
