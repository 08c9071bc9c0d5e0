"""From finished unrolls to sliding windows of batches on the device."""

import collections
import queue
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from actors.episode import Episode
from actors.pool import Pool
from actors.transition import Unroll, concatenate, take


class Batch(NamedTuple):
    """B trajectories on the device, and what came with them."""

    data: Unroll  # [T+1, B, …] stacked observations
    versions: np.ndarray  # [online] parameters' version of each new trajectory
    episodes: list[Episode]


class Batcher:
    """Cuts the pool's unrolls into batches of a fixed number of trajectories.

    The number of actors and what each returns at a time change nothing about
    the batch: what is left over waits for the next one.

    Args:
      pool: where unrolls come from.
      online: new trajectories per batch.
      mix: adds old trajectories to new ones (`Replay.mix`), or is the identity.
      place: puts a host batch on the device; see `Learner.place`.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        online: int,
        mix: Callable[[Unroll], Unroll],
        place: Callable[[Unroll], Unroll],
    ):
        self._pool = pool
        self._online = online
        self._mix = mix
        self._place = place
        self._waiting: list[Unroll] = []

    def next(self) -> Batch:
        """Waits for enough trajectories."""
        episodes: list[Episode] = []
        while sum(map(_width, self._waiting)) < self._online:
            collected = self._pool.collect()
            self._waiting.append(collected.unroll)
            episodes += collected.episodes
        waiting = concatenate(self._waiting, np)
        # Copies: views would keep whole unrolls alive in the object store.
        rest = take(waiting, slice(self._online, None))
        self._waiting = [jax.tree.map(np.copy, rest)] if _width(rest) else []
        fresh = take(waiting, slice(0, self._online))
        data = self._place(self._mix(fresh))
        return Batch(data, np.copy(fresh.version), episodes)


class Prefetch:
    """Runs `make` in a thread, `size` results ahead. Errors come out of
    `next`.

    Args:
      make: called again and again.
      size: results that wait or are being made at most. None is begun before
        a slot is free: what is begun early is learned from late.
    """

    def __init__(self, make: Callable[[], Any], size: int):
        self._make = make
        self._queue: queue.Queue[tuple[Any, Exception | None]] = queue.Queue()
        self._free_slots = threading.Semaphore(size)
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._work, name="feed", daemon=True
        )
        self._thread.start()

    def next(self, stopping: threading.Event) -> Any:
        """Waits for the next result.

        Raises:
          InterruptedError: once `stopping` is set.
        """
        while not stopping.is_set():
            try:
                result, error = self._queue.get(timeout=0.2)
            except queue.Empty:
                continue
            self._free_slots.release()
            if error is not None:
                raise error
            return result
        raise InterruptedError

    def waiting(self) -> int:
        """Results that are ready."""
        return self._queue.qsize()

    def close(self) -> None:
        """Ends the thread after what it is making."""
        self._stopping.set()
        self._free_slots.release()
        self._thread.join()

    def _work(self) -> None:
        while True:
            self._free_slots.acquire()
            if self._stopping.is_set():
                return
            try:
                self._queue.put((self._make(), None))
            except Exception as error:  # raised by the next call of `next`
                self._queue.put((None, error))
                return


class DirectFeed:
    """As `Prefetch`, without its thread: `make` runs in `next`."""

    def __init__(self, make: Callable[[], Any]):
        self._make = make

    def next(self, stopping: threading.Event) -> Any:
        """The next result; returns it even when `stopping` is set."""
        del stopping
        return self._make()

    def waiting(self) -> int:
        """Nothing waits."""
        return 0

    def close(self) -> None:
        """Nothing to end."""


class Window:
    """The last `size` batches; `advance` moves on by `stride`.

    Every batch is an inner batch once: it is consumed, with its episodes, by
    the step after which the window leaves it behind.
    """

    def __init__(self, next_batch: Callable[[], Batch], size: int, stride: int):
        self._next_batch = next_batch
        self._size = size
        self._stride = stride
        self._batches: collections.deque[Batch] = collections.deque()

    def fill(self) -> tuple[Unroll, ...]:
        """Waits until the window is full; its batches, oldest first."""
        while len(self._batches) < self._size:
            self._batches.append(self._next_batch())
        return tuple(batch.data for batch in self._batches)

    def oldest(self) -> list[Batch]:
        """The batches that the next step consumes; the window must be full."""
        return list(self._batches)[: self._stride]

    def advance(self) -> list[Batch]:
        """Drops and returns the batches that a step has consumed."""
        return [self._batches.popleft() for _ in range(self._stride)]


def _width(unroll: Unroll) -> int:
    return unroll.version.shape[0]
