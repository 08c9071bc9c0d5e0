"""Lengths and angles of pytrees: metrics of parameters and gradients."""

from typing import Any

import jax
import optax

PyTree = Any


def distance(a: PyTree, b: PyTree) -> jax.Array:
    """|a - b|, Euclidean over all entries."""
    return optax.tree.norm(optax.tree.sub(a, b))


def cosine(a: PyTree, b: PyTree) -> jax.Array:
    """<a, b> / (|a| |b|) over all entries; NaN where one of them is zero."""
    return optax.tree.vdot(a, b) / (optax.tree.norm(a) * optax.tree.norm(b))
