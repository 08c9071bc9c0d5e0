"""Meta-parameters w: bounded, squashed by a sigmoid, some tuned, some fixed.

STACX (Zahavy et al. 2020), section 3: every self-tuned hyper-parameter is
sigmoid(w), the loss weights scaled by their initial value.
"""

import difflib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

PyTree = Any


class Bounds(NamedTuple):
    """The open interval in which a self-tuned hyper-parameter stays."""

    low: float | np.ndarray
    high: float | np.ndarray


class SelfTuned(NamedTuple):
    """A pair of pure functions between w and hyper-parameters.

    init: `() -> meta_params`, a dict `{name: array}` of the tuned fields.
    values: `meta_params -> hyper-parameters`, tuned and fixed together.
    """

    init: Callable[[], dict[str, np.ndarray]]
    values: Callable[[Mapping[str, jax.Array]], Any]


def squash(w: jax.Array, bounds: Bounds) -> jax.Array:
    """low + (high - low) sigmoid(w)."""
    low, high = jnp.asarray(bounds.low), jnp.asarray(bounds.high)
    return low + (high - low) * jax.nn.sigmoid(w)


def unsquash(value: Any, bounds: Bounds) -> np.ndarray:
    """The inverse of `squash`: log(y / (1 - y)), y = (value - low) / range.

    Raises:
      ValueError: if a value is not strictly inside its bounds.
    """
    value = np.asarray(value, np.float64)
    if not np.all((bounds.low < value) & (value < bounds.high)):
        raise ValueError(
            f"{value}: must lie strictly between {bounds.low} and {bounds.high}"
        )
    y = (value - bounds.low) / (np.asarray(bounds.high) - bounds.low)
    return (np.log(y) - np.log1p(-y)).astype(np.float32)


def self_tuned(initial: Any, bounds: Mapping[str, Bounds]) -> SelfTuned:
    """Tunes the fields that `bounds` names; holds the others fixed.

    Args:
      initial: a NamedTuple of arrays, the hyper-parameters to start from.
      bounds: `{field: Bounds}` of the self-tuned fields; may be empty.

    Raises:
      ValueError: for a field that `initial` lacks, or a value out of bounds.
    """
    for name, bound in bounds.items():
        if name not in initial._fields:
            close = difflib.get_close_matches(name, initial._fields, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ValueError(
                f"no hyper-parameter {name!r} among "
                f"{', '.join(initial._fields)}{hint}"
            )
        try:
            unsquash(getattr(initial, name), bound)
        except ValueError as error:
            raise ValueError(f"{name} = {error}") from None

    def init() -> dict[str, np.ndarray]:
        return {
            name: unsquash(getattr(initial, name), bound)
            for name, bound in bounds.items()
        }

    def values(meta_params: Mapping[str, jax.Array]) -> Any:
        tuned = {
            name: squash(meta_params[name], bound)
            for name, bound in bounds.items()
        }
        return initial._replace(**tuned)

    return SelfTuned(init, values)
