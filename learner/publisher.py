"""Publishing parameters without making the learner wait."""

import threading
from typing import Any

import jax

from actors.pool import Pool

PyTree = Any


class Publisher:
    """Hands the newest parameters to the pool from a thread of its own.

    A version that a newer one overtakes is never sent.
    """

    def __init__(self, pool: Pool):
        self._pool = pool
        self._newest: tuple[PyTree, int] | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(
            target=self._work, name="publisher", daemon=True
        )
        self._thread.start()

    def publish(self, params: PyTree, version: int) -> None:
        """Returns at once; `params` must not be donated afterwards."""
        with self._changed:
            self._newest = params, version
            self._changed.notify()

    def close(self) -> None:
        """Ends the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._newest or self._closed)
                if self._closed or self._newest is None:
                    return
                params, version = self._newest
                self._newest = None
            self._pool.publish(jax.device_get(params), version)


class DirectPublisher:
    """Publishes before it returns: the order of things is fixed."""

    def __init__(self, pool: Pool):
        self._pool = pool

    def publish(self, params: PyTree, version: int) -> None:
        """Hands the parameters to the pool."""
        self._pool.publish(jax.device_get(params), version)

    def close(self) -> None:
        """Nothing to end."""
