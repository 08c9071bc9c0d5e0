"""The interface of an actor pool: actors with the newest parameters.

Two pools have it: `actors.ray_pool.RayPool` spreads actors over a Ray cluster,
`actors.local_pool.LocalPool` plays in this process.
"""

from typing import Any, NamedTuple, Protocol

import numpy as np

from actors.episode import Episode
from actors.transition import Unroll

PyTree = Any


class PoolError(RuntimeError):
    """Actors fail again and again; the message is for the user."""


class Collected(NamedTuple):
    """One unroll and the games that ended while it was made."""

    unroll: Unroll
    episodes: list[Episode]


class PoolStatus(NamedTuple):
    """How many actors there are, and how they are."""

    actors: int  # that play
    starting: int  # that start, or wait for resources of the cluster
    replaced: int


class Pool(Protocol):
    """Makes unrolls with the parameters that were published last."""

    def publish(self, params: PyTree, version: int) -> None:
        """Hands over the parameters of the unrolls that begin from now on."""

    def collect(self) -> Collected:
        """Waits for the next unroll."""

    def status(self) -> PoolStatus:
        """How the actors are."""

    def failure(self) -> str:
        """Why an actor was last replaced; nothing if none was."""

    def tape(self) -> dict[str, np.ndarray]:
        """All that was done, where it can be played again; else nothing."""

    def replay(self, tape: dict[str, np.ndarray]) -> None:
        """Plays a tape first."""

    def close(self) -> None:
        """Ends the actors."""
