"""One task: examples to learn it from, and others to see how well.

An `Episode` is the window of a meta-step: two batches, that the rules below
share out among inner updates, bootstrap updates and matching.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from meta.bootstrap import Batches, Split

PyTree = Any


class Examples(NamedTuple):
    """A batch of one task."""

    inputs: jax.Array  # [N, ...]
    targets: jax.Array  # [N] classes as int32, or [N, 1]


class Episode(NamedTuple):
    """One task."""

    support: Examples
    query: Examples


class Tasks(NamedTuple):
    """A distribution of tasks.

    data: arrays that are handed to `sample`, so that they become no constants
      of a program.
    sample: `(data, key) -> episode`.
    """

    data: PyTree
    sample: Callable[[PyTree, jax.Array], Episode]


def _split_query(batches: Sequence[Any], k: int, length: int) -> Split:
    support, query = batches
    return Split([support] * k, [query] * length, query)


def _split_support(batches: Sequence[Any], k: int, length: int) -> Split:
    support, query = batches
    return Split([support] * k, [support] * (length - 1) + [query], query)


# All L bootstrap updates see the queries.
ahead_on_query = Batches(lambda k, length: 2, _split_query)
# L - 1 see what the inner updates saw; the last one sees the queries.
ahead_on_support = Batches(lambda k, length: 2, _split_support)


def of_classes(
    images: jax.Array, brightest: float, *, ways: int, shots: int, queries: int
) -> Tasks:
    """Tasks of `ways` classes, numbered anew in each.

    Args:
      images: `[C, M, H, W, channels]`, M of each class.
      brightest: value, that becomes 1.
      ways: classes of a task, at most C.
      shots: examples of each in the support.
      queries: further examples of each, shots + queries at most M.
    """
    classes, each = images.shape[:2]

    def sample(images: jax.Array, key: jax.Array) -> Episode:
        class_key, image_key = jax.random.split(key)
        chosen = jax.random.permutation(class_key, classes)[:ways]
        orders = jax.vmap(lambda key: jax.random.permutation(key, each))(
            jax.random.split(image_key, ways)
        )
        which = orders[:, : shots + queries]
        taken = images[chosen[:, None], which] / jnp.float32(brightest)

        def examples(part: jax.Array) -> Examples:
            flat = part.reshape(-1, *part.shape[2:])
            labels = jnp.repeat(jnp.arange(ways), part.shape[1])
            return Examples(flat, labels)

        return Episode(examples(taken[:, :shots]), examples(taken[:, shots:]))

    return Tasks(images, sample)
