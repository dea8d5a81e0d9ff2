"""Step axes: which steps a run was recorded at.

A forecast sees steps relative to their horizon and gap, so what varies here is what
still matters: how many observations there are, whether the first one is step 0, and
whether they are evenly spaced.
"""

import jax
import jax.numpy as jnp
from jax import Array


def ragged(key: Array, shortest: int, observations: int) -> tuple[Array, Array]:
    """Between `shortest` and `observations` of them, evenly spaced or denser early.

    Some are geometric, as where an error is measured at growing sample sizes, with up
    to four powers of ten between the first step and the horizon.

    Returns:
        Steps `(observations,)`, behind the end the last one again, and their number.
    """
    keys = jax.random.split(key, 6)
    low, high = jnp.log(float(shortest)), jnp.log(observations + 1.0)
    count = jnp.exp(jax.random.uniform(keys[0], minval=low, maxval=high))
    count = jnp.clip(count.astype(int), shortest, observations)
    index = jnp.arange(1.0, observations + 1)
    # u -> u^power gathers observations early, as logarithmic logging does.
    power = 1 + jax.random.exponential(keys[1]) * 0.6
    bent = count * (index / count) ** power
    powers = jax.random.uniform(keys[5], minval=0.7, maxval=4.0)
    geometric = count * 10.0 ** (powers * ((index - 1) / (count - 1) - 1))
    odds = jax.random.uniform(keys[2])
    steps = jnp.where(odds < 0.08, bent, jnp.where(odds > 0.93, geometric, index))
    from_zero = jax.random.bernoulli(keys[3], 0.2)
    steps = jnp.where(from_zero, steps - steps[0], steps)
    return jnp.where(index <= count, steps, steps[count - 1]), count
