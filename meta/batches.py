"""Rules that share a window of batches out among the parts of a meta-step.

The BMG paper does not say which batches the bootstrap and mu see.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from meta.update import Batch


class Split(NamedTuple):
    """Which batches of a window serve which part of a meta-step."""

    inner: Sequence[Batch]  # K
    bootstrap: Sequence[Batch]  # L
    matching: Batch


class Batches(NamedTuple):
    """A rule that shares a window out: `size(K, L)` and `split`."""

    size: Callable[[int, int], int]
    split: Callable[[Sequence[Batch], int, int], Split]


def _split_next(batches: Sequence[Batch], k: int, length: int) -> Split:
    bootstrap = batches[k : k + length]
    return Split(batches[:k], bootstrap, bootstrap[-1])


def _split_same(batches: Sequence[Batch], k: int, length: int) -> Split:
    return Split(batches[:k], [batches[k - 1]] * length, batches[k - 1])


# The bootstrap looks ahead at the L batches that follow the inner ones.
next_batches = Batches(lambda k, length: k + length, _split_next)
# The bootstrap uses the last inner batch again, L times.
same_batches = Batches(lambda k, length: max(k, 1), _split_same)
