"""Replay of old unrolls (LASER, Schmitt et al. 2020; BMG's Atari agent)."""

import jax
import numpy as np

from actors.transition import Unroll, columns, concatenate


class Replay:
    """The newest `capacity` columns, sampled uniformly with replacement.

    Args:
      capacity: columns kept.
      per_batch: old columns that `mix` puts beside the new ones.
      seed: of the samples.
    """

    def __init__(self, *, capacity: int, per_batch: int, seed: int):
        self._capacity = capacity
        self._per_batch = per_batch
        self._columns: list[Unroll] = []
        self._next = 0
        self._rng = np.random.default_rng(seed)

    def __len__(self) -> int:
        return len(self._columns)

    def mix(self, fresh: Unroll) -> Unroll:
        """Remembers new columns and puts old ones behind them."""
        self.add(fresh)
        return concatenate([fresh, self.sample(self._per_batch)], np)

    def add(self, unroll: Unroll) -> None:
        """Keeps every column of an unroll, in place of the oldest."""
        for index in range(unroll.version.shape[0]):
            column = columns(unroll, slice(index, index + 1))
            # A copy: a view would keep the whole unroll alive.
            column = jax.tree.map(np.copy, column)
            if len(self._columns) < self._capacity:
                self._columns.append(column)
                continue
            self._columns[self._next] = column
            self._next = (self._next + 1) % self._capacity

    def sample(self, count: int) -> Unroll:
        """`count` columns as one unroll; `add` must have been called."""
        picks = self._rng.integers(len(self._columns), size=count)
        return concatenate([self._columns[i] for i in picks], np)
