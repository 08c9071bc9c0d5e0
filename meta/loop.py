"""Loops over a sequence: written out, or compiled once and repeated.

Both take `(body, carry, items)` with `body: (carry, item) -> (carry, output)`
as `jax.lax.scan` does, and give `(carry, outputs)`; lists take the place of
stacked arrays.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

PyTree = Any
Body = Callable[[PyTree, PyTree], tuple[PyTree, PyTree]]
Loop = Callable[[Body, PyTree, Sequence[PyTree]], tuple[PyTree, list[PyTree]]]


def unrolled(
    body: Body, carry: PyTree, items: Sequence[PyTree]
) -> tuple[PyTree, list[PyTree]]:
    """One copy of the body for every item.

    For few items: XLA runs convolutions inside a loop many times slower on
    CPUs, and sees here what two copies have in common.
    """
    outputs = []
    for item in items:
        carry, output = body(carry, item)
        outputs.append(output)
    return carry, outputs


def scanned(
    body: Body, carry: PyTree, items: Sequence[PyTree]
) -> tuple[PyTree, list[PyTree]]:
    """One body, repeated; the items must look alike.

    For many cheap updates: written out, XLA merges them into their successors
    and computes the whole past anew for each.
    """
    if not items:
        return carry, []
    stacked = jax.tree.map(lambda *xs: jnp.stack(xs), *items)
    carry, outputs = jax.lax.scan(body, carry, stacked)
    return carry, [
        jax.tree.map(lambda x, i=i: x[i], outputs) for i in range(len(items))
    ]
