"""Runs a queue on a Ray cluster, each run with all its processes or not yet.

A run's learner and actors are reserved together (a placement group): a cluster
that is smaller than the study works through it, and no two runs hold half of
what they need and wait for the other half. The placement group of a run that
ended is reused by the next run if it needs the same bundles: a new reservation
takes Ray a second.
"""

import collections
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

import ray
from ray.util.placement_group import (
    PlacementGroup,
    placement_group,
    placement_group_table,
    remove_placement_group,
)

_POLL_SECONDS = 0.5
Bundles = list[dict[str, float]]


class RunHandle(Protocol):
    """A run that was started."""

    @property
    def ended(self) -> ray.ObjectRef:
        """Ready when the run has ended."""

    def stop(self) -> None:
        """Makes it save and end."""


class QueuedRun(NamedTuple):
    """A run that waits: what it reserves, and how it is launched there."""

    name: str
    bundles: Bundles
    launch: Callable[[PlacementGroup], RunHandle]


class _ActiveRun(NamedTuple):
    queued: QueuedRun
    group: PlacementGroup
    handle: RunHandle


class _Reservation(NamedTuple):
    """A placement group that Ray has been asked for."""

    ready: ray.ObjectRef
    group: PlacementGroup
    bundles: Bundles


def run(
    runs: Iterable[QueuedRun],
    *,
    on_end: Callable[[QueuedRun, ray.ObjectRef], bool],
    on_poll: Callable[[Mapping[str, RunHandle], int], None],
    stopping: Callable[[], bool],
) -> None:
    """Works through the queue in its order.

    Args:
      runs: in the order in which they are to start.
      on_end: called at each end; whether the run is to be queued again.
      on_poll: called with the active runs and how many wait, about twice a
        second.
      stopping: once true, active runs are stopped and none is started.
    """
    queue = _Queue(runs)
    stopped = False
    try:
        while queue.waiting or queue.active:
            if stopping() and not stopped:
                stopped = True
                queue.stop()
            queue.reserve()
            for queued, ref in queue.poll():
                retry = on_end(queued, ref)
                queue.finish(ref, retry=retry and not stopped)
            active = queue.active.values()
            handles = {each.queued.name: each.handle for each in active}
            on_poll(handles, len(queue.waiting))
    finally:
        queue.close()


def describe_placement(group: PlacementGroup, learners: int = 1) -> str:
    """The nodes of a placement group, bundle by bundle; "" on a single node.

    The first bundles are those of `learners` learner hosts.

    Nodes go by the first letters of their id, as `ray list nodes` shows it:
    several may have one address.
    """
    if len(ray.nodes()) == 1:
        return ""
    nodes = placement_group_table(group)["bundles_to_node_id"]
    names = [nodes[index][:6] for index in sorted(nodes)]
    shares = collections.Counter(names[learners:]).items()
    return (
        f"learner on {', '.join(names[:learners])}, actors on "
        f"{', '.join(f'{node} x {count}' for node, count in shares)}"
    )


class _Queue:
    """What waits, what is active, and at most one pending reservation."""

    def __init__(self, runs: Iterable[QueuedRun]):
        self.waiting = collections.deque(runs)
        self.active: dict[ray.ObjectRef, _ActiveRun] = {}
        self._pending: _Reservation | None = None

    def reserve(self) -> None:
        """Asks Ray for the placement group of the first run that waits;
        removes a pending one that no run needs any more."""
        bundles = self.waiting[0].bundles if self.waiting else None
        if self._pending and self._pending.bundles != bundles:
            remove_placement_group(self._pending.group)
            self._pending = None
        if bundles and not self._pending:
            group = placement_group(bundles, strategy="PACK")
            self._pending = _Reservation(group.ready(), group, bundles)

    def poll(self) -> list[tuple[QueuedRun, ray.ObjectRef]]:
        """Waits a little, launches a run if its placement group is ready.

        Returns:
          Runs that have ended.
        """
        pending = [self._pending.ready] if self._pending else []
        awaited = [*self.active, *pending]
        if not awaited:
            return []
        ready, _ = ray.wait(awaited, timeout=_POLL_SECONDS)
        ended = [ref for ref in ready if ref in self.active]
        if self._pending and self._pending.ready in ready:
            group, self._pending = self._pending.group, None
            self._launch(group)
        return [(self.active[ref].queued, ref) for ref in ended]

    def finish(self, ref: ray.ObjectRef, *, retry: bool) -> None:
        """Launches the first run that waits in the placement group of one that
        ended if it has the same bundles; else removes the group."""
        queued, group, _ = self.active.pop(ref)
        if retry:
            self.waiting.append(queued)
        if self.waiting and self.waiting[0].bundles == queued.bundles:
            self._launch(group)
        else:
            remove_placement_group(group)

    def stop(self) -> None:
        """Starts nothing more, and makes active runs end."""
        self.waiting.clear()
        for active in self.active.values():
            active.handle.stop()

    def close(self) -> None:
        """Removes every placement group."""
        self.waiting.clear()
        self.reserve()
        for active in self.active.values():
            remove_placement_group(active.group)

    def _launch(self, group: PlacementGroup) -> None:
        queued = self.waiting.popleft()
        handle = queued.launch(group)
        self.active[handle.ended] = _ActiveRun(queued, group, handle)
