"""Forecasts from the other runs of a search, by other means than ours.

    kernel regression   what like runs gained from here to their ends
    LKGP                a Gaussian process over configurations x steps, fitted to all
                        curves at once: Lin et al. 2024, "Scaling Gaussian processes for
                        learning curve prediction via latent Kronecker structure"
                        (2410.09239), as BoTorch has it
    decaying GP         an exact one over configurations and steps, whose kernel of the
                        steps is that of exponential decays (Swersky et al. 2014,
                        "Freeze-thaw Bayesian optimization", 1406.3896), from BoTorch

All forecast the final values of several runs of one task, given other runs: `asked` are
runs as far as they are known, maybe without an observation, `horizons` the steps of
their ends. The processes know runs by their configurations: numbers in [0, 1], and one
column for each category. Where no fit of a process succeeds its parameters stay where
the last one left them, or where they began if nothing can be drawn there. Processes
need the extra `rivals`.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from lcpfn.curves import Run
from lcpfn.eval.baselines.last_value import gaussians
from lcpfn.hyperparameters import encode_configs
from lcpfn.mixture import Mixture

# A run whose last step is this near to the horizon has ended.
ENDED = 0.95
GRID = 25  # steps of the Gaussian process
ITERATIONS = 100  # of fitting a process
TAIL = 0.05  # share of the values that is clipped at either end
KEPT = 256  # its posterior samples
PER_RUN = 20  # observations of a run that the exact process sees


def kernel_regression(
    asked: Sequence[Run], horizons: Sequence[float], others: Sequence[Run]
) -> Mixture:
    """The newest value plus what like runs gained from there to their ends.

    Runs are alike if their values at the same step are. Of runs that have not ended
    nothing is learned, unless none has. Fields are `(len(asked), len(others))`; fewer
    have weight.
    """
    weights, means, widths = [], [], []
    for run, horizon in zip(asked, horizons, strict=True):
        ended = [o for o in others if o.steps[-1] >= ENDED * horizon] or list(others)
        finite = run.values[np.isfinite(run.values)]
        end = np.array([_at(o, horizon) for o in ended])
        share = np.ones(len(end))
        if len(finite):
            there = np.array([_at(o, run.steps[-1]) for o in ended])
            spread = max(float(np.std(there)), 1e-12 + 1e-6 * abs(finite[-1]))
            far = np.abs(there - finite[-1]) / (0.5 * spread)
            share = np.exp(-0.5 * (far**2 - far.min() ** 2))
            end = finite[-1] + end - there
        share = share / share.sum()
        centre = share @ end
        deviation = np.sqrt(share @ (end - centre) ** 2)
        # Silverman's factor for as many runs as count.
        width = deviation * np.sum(share**2) ** 0.2
        blank = (0, len(others) - len(end))
        weights.append(np.pad(share, blank))
        means.append(np.pad(end, blank))
        widths.append(max(width, 1e-9 + 1e-4 * abs(centre)))
    found = gaussians(asked, np.stack(means), np.array(widths)[:, None])
    return found._replace(weight=np.stack(weights))


def latent_kronecker(
    asked: Sequence[Run], horizons: Sequence[float], others: Sequence[Run]
) -> Mixture:
    """Posterior samples of a latent Kronecker Gaussian process, fitted to all curves.

    Steps are shares of the horizon on a grid, on a log scale as its authors have them.
    Fields are `(len(asked), KEPT)`.
    """
    import torch
    from gpytorch.settings import fast_computations, max_cholesky_size
    from linear_operator.utils.errors import NotPSDError

    runs = [*asked, *others]
    points = min(GRID, max(len(run.values) for run in runs))
    shares = np.arange(1, points + 1) / points
    steps = shares * max(*horizons, *(run.steps[-1] for run in others))
    table = np.stack([_on_grid(run, steps) for run in runs])
    # A first loss fifty times the last would be all that the process sees.
    table = np.clip(table, *np.nanquantile(table, (TAIL, 1 - TAIL)))
    times = 1 + np.log(shares)[:, None] / np.log(points)
    configs, at, values = map(torch.tensor, (_numbers(runs), times, table))
    torch.manual_seed(0)
    model = _latent(configs, at, values)
    # As many points as here are fitted exactly in less time than by iterations.
    with max_cholesky_size(GRID * len(runs)), fast_computations(False, False, False):
        _fit(model)
    try:
        samples = _samples(model, configs[: len(asked)], at)
    except NotPSDError:
        # The fit went to where rounding rules: the process as its authors begin.
        model = _latent(configs, at, values)
        samples = _samples(model, configs[: len(asked)], at)
    last = np.abs(steps - np.array(horizons)[:, None]).argmin(1)
    ends = samples[:, np.arange(len(asked)), last].T
    deviation = model.likelihood.noise.detach().sqrt()
    noise = float(deviation) * float(model.outcome_transform.stdvs)
    width = np.hypot(ends.std(1) * KEPT**-0.2, noise)
    return gaussians(asked, ends, width[:, None])


def _latent(configs: Any, times: Any, values: Any) -> Any:
    from botorch.models.latent_kronecker_gp import LatentKroneckerGP
    from botorch.models.transforms import Standardize

    scaled = Standardize(m=1)
    return LatentKroneckerGP(configs, times, values, outcome_transform=scaled)


def _samples(model: Any, configs: Any, times: Any) -> np.ndarray:
    """Posterior samples of a fitted `LatentKroneckerGP` `(KEPT, configs, times)`."""
    import torch
    from gpytorch.settings import cholesky_jitter

    # Smooth kernels on a fine grid are singular to rounding.
    with model.use_iterative_methods(), cholesky_jitter(double_value=1e-5):
        model.eval()
        samples = model.posterior(configs, times).rsample(torch.Size([KEPT]))
    return samples.detach().numpy().reshape(KEPT, len(configs), -1)


def decaying_process(
    asked: Sequence[Run], horizons: Sequence[float], others: Sequence[Run]
) -> Mixture:
    """Posterior of a Gaussian process of decays, fitted to all curves.

    Of a long run it sees observations that are evenly spread, clipped as those of
    `latent_kronecker`; steps are shares of the horizon. Fields are `(len(asked), 1)`.
    """
    import torch
    from botorch.models import SingleTaskMultiFidelityGP

    runs = [*asked, *others]
    configs = _numbers(runs)
    length = max(*horizons, *(run.steps[-1] for run in others))
    seen = [_spread(run) for run in runs]
    inputs = [
        [*config, step / length]
        for config, run, rows in zip(configs, runs, seen, strict=True)
        for step in run.steps[rows]
    ]
    values = np.concatenate([run.values[r] for run, r in zip(runs, seen, strict=True)])
    values = np.clip(values, *np.quantile(values, (TAIL, 1 - TAIL)))
    ask = [[*c, end / length] for c, end in zip(configs, horizons, strict=False)]
    torch.manual_seed(0)
    model = SingleTaskMultiFidelityGP(
        torch.tensor(inputs).double(),
        torch.tensor(values)[:, None],
        iteration_fidelity=configs.shape[1],
        linear_truncated=False,
    )
    _fit(model)
    model.eval()
    with torch.no_grad():
        found = model.posterior(torch.tensor(ask).double(), observation_noise=True)
        mean, variance = found.mean.numpy(), found.variance.numpy()
    return gaussians(asked, mean, np.sqrt(variance))


def _fit(model: Any) -> None:
    """By the marginal likelihood; where no fit succeeds, as far as the last one got."""
    from botorch.exceptions.errors import ModelFittingError
    from botorch.fit import fit_gpytorch_mll
    from gpytorch.mlls import ExactMarginalLogLikelihood
    from linear_operator.utils.errors import NotPSDError

    with suppress(ModelFittingError, NotPSDError):
        fit_gpytorch_mll(
            ExactMarginalLogLikelihood(model.likelihood, model),
            optimizer_kwargs={"options": {"maxiter": ITERATIONS}},
        )


def _spread(run: Run) -> np.ndarray:
    """At most `PER_RUN` of a run's observations, evenly spread; their indices."""
    finite = np.flatnonzero(np.isfinite(run.values))
    count = min(len(finite), PER_RUN)
    return finite[np.linspace(0, len(finite) - 1, count).astype(int)]


def _at(run: Run, steps: float | np.ndarray) -> Any:
    """Values at steps, between its observations on a line."""
    finite = np.isfinite(run.values)
    return np.interp(steps, run.steps[finite], run.values[finite])


def _on_grid(run: Run, steps: np.ndarray) -> np.ndarray:
    """Values at these steps, NaN from the end of the record on."""
    if not np.isfinite(run.values).any():
        return np.full(len(steps), np.nan)
    return np.where(steps <= run.steps[-1] * (1 + 1e-9), _at(run, steps), np.nan)


def _numbers(runs: Sequence[Run]) -> np.ndarray:
    """Configurations in [0, 1]; categories have a column each `(runs, D)`."""
    configs = encode_configs([run.config for run in runs])
    columns = []
    for values, categorical in zip(configs.values.T, configs.categorical, strict=True):
        known = values[np.isfinite(values)]
        if not len(known) or np.ptp(known) == 0:
            continue
        if categorical:
            columns += [(values == kind).astype(float) for kind in np.unique(known)]
        else:
            share = (values - known.min()) / np.ptp(known)
            columns.append(np.where(np.isfinite(share), share, 0.5))
    return np.stack(columns, 1) if columns else np.zeros((len(runs), 1))
