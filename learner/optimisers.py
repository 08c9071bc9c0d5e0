"""Optimisers by name, safe to differentiate through."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

PyTree = Any


def make_optimiser(
    name: str,
    *,
    learning_rate: float | optax.Schedule,
    decay: float,
    epsilon: float,
    clip: float,
    initial_scale: float = 0.0,
) -> optax.GradientTransformation:
    """Global-norm clipping, then `rmsprop`, `adam` or `sgd`.

    Epsilon sits inside the root of both (TensorFlow's convention, IMPALA's):
    the root of a zero second moment has no finite derivative.

    Args:
      name: of the optimiser.
      learning_rate: a number, or a schedule of the update count.
      decay: of the second moment; unused by sgd.
      epsilon: inside the root; unused by sgd.
      clip: of the gradient's global norm; 0 for none.
      initial_scale: first value of rmsprop's second moment. TensorFlow's, and
        so IMPALA's, is 1, which makes the first hundreds of updates small.
    """
    makers = {
        "rmsprop": lambda: optax.rmsprop(
            learning_rate,
            decay=decay,
            eps=epsilon,
            eps_in_sqrt=True,
            initial_scale=initial_scale,
        ),
        "adam": lambda: optax.adam(
            learning_rate, b2=decay, eps=0.0, eps_root=epsilon
        ),
        "sgd": lambda: optax.sgd(learning_rate),
    }
    return _clipped(clip, makers[name]())


def make_meta_optimiser(
    *, learning_rate: float | jax.Array, epsilon: float, clip: float
) -> optax.GradientTransformation:
    """Adam outside the differentiated path: betas 0.9/0.999, epsilon outside
    the root. 1e-4 is large next to KL gradients: it damps small ones."""
    return _clipped(clip, optax.adam(learning_rate, eps=epsilon))


def _clipped(
    clip: float, optimiser: optax.GradientTransformation
) -> optax.GradientTransformation:
    if not clip:
        return optimiser
    return optax.chain(clip_by_global_norm(clip), optimiser)


def clip_by_global_norm(most: float) -> optax.GradientTransformation:
    """g min(1, most / |g|), differentiable at g = 0.

    Optax's takes the root of |g|^2 whatever it is: at zero that has no finite
    derivative, and one update without a gradient (every step of a batch
    masked) made the whole meta-gradient NaN.

    Args:
      most: the norm above which gradients are scaled down to it.
    """

    def clip(gradient: PyTree, _: PyTree = None) -> PyTree:
        squared = optax.tree.norm(gradient, squared=True)
        above = squared > most**2
        # The root of a constant where nothing is clipped: what is not chosen
        # is differentiated too, and zero times infinity is NaN.
        norm = jnp.sqrt(jnp.where(above, squared, 1.0))
        scale = jnp.where(above, most / norm, 1.0)
        return jax.tree.map(lambda g: g * scale, gradient)

    return optax.stateless(clip)
