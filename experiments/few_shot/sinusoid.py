"""Sinusoids to regress on (Finn et al. 2017, section 5.1).

y = a sin(x - b), a in [0.1, 5], b in [0, pi], x in [-5, 5], all uniform
(recalled).
"""

import jax
import jax.numpy as jnp

from experiments.few_shot.episode import Episode, Examples, Tasks


def sinusoids(*, shots: int, queries: int) -> Tasks:
    """Tasks of `shots` points in the support and `queries` others."""

    def sample(data: tuple[()], key: jax.Array) -> Episode:
        del data
        amplitude_key, phase_key, x_key = jax.random.split(key, 3)
        amplitude = jax.random.uniform(amplitude_key, minval=0.1, maxval=5.0)
        phase = jax.random.uniform(phase_key, maxval=jnp.pi)
        x = jax.random.uniform(
            x_key, (shots + queries, 1), minval=-5.0, maxval=5.0
        )
        y = amplitude * jnp.sin(x - phase)
        return Episode(
            Examples(x[:shots], y[:shots]), Examples(x[shots:], y[shots:])
        )

    return Tasks((), sample)
