"""Replay of old unrolls (LASER, Schmitt et al. 2020; BMG's Atari agent)."""

import numpy as np

from actors.transition import Unroll, columns, concatenate


class Replay:
    """The newest `capacity` columns, sampled uniformly with replacement.

    Args:
      capacity: columns.
      seed: of the samples.
    """

    def __init__(self, capacity: int, seed: int):
        self._capacity = capacity
        self._columns: list[Unroll] = []
        self._next = 0
        self._rng = np.random.default_rng(seed)

    def __len__(self) -> int:
        return len(self._columns)

    def add(self, unroll: Unroll) -> None:
        """Keeps every column of an unroll, in place of the oldest."""
        for index in range(unroll.version.shape[0]):
            column = columns(unroll, slice(index, index + 1))
            if len(self._columns) < self._capacity:
                self._columns.append(column)
                continue
            self._columns[self._next] = column
            self._next = (self._next + 1) % self._capacity

    def sample(self, count: int) -> Unroll:
        """`count` columns as one unroll; `add` must have been called."""
        picks = self._rng.integers(len(self._columns), size=count)
        return concatenate([self._columns[i] for i in picks], np)


class NoReplay:
    """Null object: every batch is all new."""

    def add(self, unroll: Unroll) -> None:
        """Forgets it."""
        del unroll
