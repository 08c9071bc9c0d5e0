"""Replay of old unrolls (LASER, Schmitt et al. 2020; BMG's Atari agent)."""

import jax
import numpy as np

from actors.transition import Unroll, concatenate, take


class Replay:
    """The newest `capacity` trajectories, sampled uniformly with replacement.

    Args:
      capacity: trajectories kept.
      per_batch: old trajectories that `mix` puts beside the new ones.
      seed: of the samples.
    """

    def __init__(self, *, capacity: int, per_batch: int, seed: int):
        self._capacity = capacity
        self._per_batch = per_batch
        self._trajectories: list[Unroll] = []
        self._next = 0
        self._rng = np.random.default_rng(seed)

    def __len__(self) -> int:
        return len(self._trajectories)

    def mix(self, fresh: Unroll) -> Unroll:
        """Remembers new trajectories and puts old ones behind them."""
        self.add(fresh)
        return concatenate([fresh, self.sample(self._per_batch)], np)

    def add(self, unroll: Unroll) -> None:
        """Keeps every trajectory of an unroll, in place of the oldest."""
        for index in range(unroll.version.shape[0]):
            trajectory = take(unroll, slice(index, index + 1))
            # A copy: a view would keep the whole unroll alive.
            trajectory = jax.tree.map(np.copy, trajectory)
            if len(self._trajectories) < self._capacity:
                self._trajectories.append(trajectory)
                continue
            self._trajectories[self._next] = trajectory
            self._next = (self._next + 1) % self._capacity

    def sample(self, count: int) -> Unroll:
        """`count` trajectories as one unroll; `add` must have been called."""
        picks = self._rng.integers(len(self._trajectories), size=count)
        return concatenate([self._trajectories[i] for i in picks], np)
