"""Actors on a Ray cluster, replaced when they fail."""

import collections
import itertools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import ray

from actors.compression import COMPRESSIONS, Compression
from actors.pool import Collected, PoolError, PoolStatus
from actors.unroll import Unroller

PyTree = Any
MakeUnroller = Callable[[int], Unroller]  # seed offset -> Unroller


class _Actor:
    """A Ray actor: a thin shell around an `Unroller`."""

    def __init__(
        self,
        make_unroller: MakeUnroller,
        pack: Callable[[PyTree], PyTree],
        seed: int,
    ):
        self._unroller = make_unroller(seed)
        self._pack = pack

    def started(self) -> None:
        """Returns once the actor has a place and its environments."""

    def unroll(self, params: PyTree, version: int) -> PyTree:
        return self._pack(Collected(*self._unroller.unroll(params, version)))


class _Request(NamedTuple):
    slot: int
    started: float  # seconds, monotonic


class RayPool:
    """Up to `count` Ray actors, each with some unrolls in flight and no more.

    Every request carries the newest parameters. An actor that dies, is lost
    with its node, raises, or takes longer than `timeout` seconds over an
    unroll is replaced by a fresh one with other seeds, and counted. Those that
    the cluster has no resources for wait, at no cost to the others, and play as
    soon as a node joins: that they wait is what an autoscaler acts on.

    Args:
      make_unroller: `seed offset -> Unroller`, run inside the actor.
      count: actors.
      cpus: of each, as Ray schedules them.
      in_flight: unrolls asked of each actor at a time; bounds what waits in the
        object store to count * in_flight unrolls.
      timeout: seconds after which a silent actor counts as hung.
      max_failures: failures of one actor in a row that end the run, while no
        other delivers an unroll either. A lost node is one failure for each.
      compression: of what crosses the object store.
      env_vars: environment variables of the actors, set before they import
        anything.
    """

    def __init__(
        self,
        make_unroller: MakeUnroller,
        *,
        count: int,
        cpus: float = 1.0,
        in_flight: int = 1,
        timeout: float = 300.0,
        max_failures: int = 10,
        compression: Compression = COMPRESSIONS["none"],
        env_vars: dict[str, str] | None = None,
    ):
        self._make_unroller = ray.put(make_unroller)
        self._compression = compression
        self._remote = ray.remote(_Actor).options(
            num_cpus=cpus,
            num_gpus=0,
            max_restarts=0,
            # Ray's head would keep a record of each of the last 100,000 calls.
            enable_task_events=False,
            runtime_env={"env_vars": env_vars or {}},
        )
        self._in_flight = in_flight
        self._timeout = timeout
        self._max_failures = max_failures
        self._seeds = itertools.count()
        self._actors: list[Any] = [None] * count
        self._starting: dict[ray.ObjectRef, int] = {}  # slots
        self._pending: dict[ray.ObjectRef, _Request] = {}
        self._newest: tuple[Any, int] = (None, 0)
        self._replaced = 0
        self._failure = ""
        self._failures: collections.Counter[int] = collections.Counter()
        for slot in range(count):
            self._start(slot)

    def publish(self, params: PyTree, version: int) -> None:
        """Puts a version into the object store, once for all actors."""
        self._newest = ray.put(params), version

    def collect(self) -> Collected:
        """Waits for the next unroll of any actor and asks for another.

        Raises:
          PoolError: after `max_failures` failures of an actor in a row.
        """
        while True:
            self._replace_hung()
            # Unrolls first: actors that start must not delay those that play.
            ready, _ = ray.wait(
                [*self._pending, *self._starting],
                num_returns=1,
                timeout=self._patience(),
            )
            collected = self._take(ready[0]) if ready else None
            if collected is not None:
                return collected

    def status(self) -> PoolStatus:
        """Actors in the pool and how many were replaced so far."""
        starting = len(self._starting)
        return PoolStatus(
            len(self._actors) - starting, starting, self._replaced
        )

    def failure(self) -> str:
        """Why an actor was last replaced; nothing if none was."""
        return self._failure

    def tape(self) -> dict[str, np.ndarray]:
        """None is kept: the order in which actors play is not fixed."""
        return {}

    def replay(self, tape: dict[str, np.ndarray]) -> None:
        """Actors start new games; there is no tape to play."""
        del tape

    def close(self) -> None:
        """Ends all actors."""
        self._pending.clear()
        self._starting.clear()
        for actor in self._actors:
            ray.kill(actor)

    def _start(self, slot: int) -> None:
        # Replacements play other games than those that they replace.
        seed = next(self._seeds)
        self._actors[slot] = self._remote.remote(
            self._make_unroller, self._compression.pack, seed
        )
        self._starting[self._actors[slot].started.remote()] = slot

    def _take(self, ref: ray.ObjectRef) -> Collected | None:
        """What is ready: an unroll, or an actor that has started or failed."""
        request = self._pending.pop(ref, None)
        slot = request.slot if request else self._starting.pop(ref)
        try:
            received = ray.get(ref)
        except ray.exceptions.RayError as error:
            self._replace(slot, error)
            return None
        if request is None:
            for _ in range(self._in_flight):
                self._submit(slot)
            return None
        self._failures.clear()
        self._submit(slot)
        return self._compression.unpack(received)

    def _submit(self, slot: int) -> None:
        ref = self._actors[slot].unroll.remote(*self._newest)
        self._pending[ref] = _Request(slot, time.monotonic())

    def _patience(self) -> float:
        now = time.monotonic()
        oldest = min((r.started for r in self._pending.values()), default=now)
        return max(oldest + self._timeout - now, 0.1)

    def _replace_hung(self) -> None:
        overdue = time.monotonic() - self._timeout
        late = [ref for ref, r in self._pending.items() if r.started < overdue]
        if not late:
            return
        # What is done but not yet collected is late by no fault of its actor.
        _, missing = ray.wait(
            late, num_returns=len(late), timeout=0, fetch_local=False
        )
        for slot in {self._pending[ref].slot for ref in missing}:
            self._replace(
                slot, TimeoutError(f"no unroll within {self._timeout:g} s")
            )

    def _replace(self, slot: int, error: Exception) -> None:
        self._failures[slot] += 1
        if self._failures[slot] >= self._max_failures:
            raise PoolError(
                f"an actor failed, failures in a row: {self._failures[slot]}, "
                f"and no other delivers; the last failure: {error}"
            ) from error
        self._replaced += 1
        self._failure = _reason(error)
        stale = [ref for ref, r in self._pending.items() if r.slot == slot]
        for ref in stale:
            del self._pending[ref]
        ray.kill(self._actors[slot])
        self._start(slot)


def _reason(error: Exception) -> str:
    """The first line of what an actor raised, or of Ray's report of its end."""
    cause = getattr(error, "cause", None) or error
    return ": ".join([type(cause).__name__, *str(cause).splitlines()[:1]])
