"""An actor in this process, in a fixed order: for tests and debugging."""

from collections.abc import Callable
from typing import Any

import numpy as np

from actors.pool import Collected, PoolStatus
from actors.unroll import Unroller

PyTree = Any


class LocalPool:
    """One actor in this process; `collect` plays while the caller waits."""

    def __init__(self, make_unroller: Callable[[int], Unroller]):
        self._unroller = make_unroller(0)
        self._params: PyTree = None
        self._version = 0

    def publish(self, params: PyTree, version: int) -> None:
        """Hands over the parameters for the next unroll."""
        self._params, self._version = params, version

    def collect(self) -> Collected:
        """Plays one unroll."""
        return Collected(*self._unroller.unroll(self._params, self._version))

    def status(self) -> PoolStatus:
        """One actor, never replaced."""
        return PoolStatus(actors=1, starting=0, replaced=0)

    def failure(self) -> str:
        """Its failures are the run's."""
        return ""

    def tape(self) -> dict[str, np.ndarray]:
        """All that the actor did; see `Unroller.tape`."""
        return self._unroller.tape()

    def replay(self, tape: dict[str, np.ndarray]) -> None:
        """Plays a tape first; see `Unroller.replay`."""
        self._unroller.replay(tape)

    def close(self) -> None:
        """Ends the environments."""
        self._unroller.close()
