"""Runs a queue on a Ray cluster, each run with all its processes or not yet.

A run's learner and actors are reserved together (a placement group): a cluster
that is smaller than the study works through it, and no two runs hold half of
what they need and wait for the other half. What a run leaves is taken over by
the next if it needs the same: a new reservation takes Ray a second.
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


class Launched(Protocol):
    """A run that was started."""

    @property
    def ended(self) -> ray.ObjectRef:
        """Ready when the run has ended."""

    def stop(self) -> None:
        """Makes it save and end."""


class Job(NamedTuple):
    """One run: what it reserves, and how it is started there."""

    name: str
    bundles: Bundles
    launch: Callable[[PlacementGroup], Launched]


class _Running(NamedTuple):
    job: Job
    place: PlacementGroup
    launched: Launched


def run(
    jobs: Iterable[Job],
    *,
    ended: Callable[[Job, ray.ObjectRef], bool],
    show: Callable[[Mapping[str, Launched], int], None],
    stopping: Callable[[], bool],
) -> None:
    """Works through the queue in its order.

    Args:
      jobs: in the order in which they are to start.
      ended: told of each end; whether the job is to be queued again.
      show: given the running jobs and how many wait, about twice a second.
      stopping: once true, running jobs are told to stop and none is started.
    """
    queue = _Queue(jobs)
    told = False
    try:
        while queue.jobs or queue.running:
            if stopping() and not told:
                told = True
                queue.stop()
            queue.ask()
            for job, ref in queue.ended():
                again = ended(job, ref)
                queue.hand_over(ref, again=again and not told)
            running = queue.running.values()
            show({r.job.name: r.launched for r in running}, len(queue.jobs))
    finally:
        queue.release()


def placement(place: PlacementGroup, learners: int = 1) -> str:
    """The nodes of a reservation, bundle by bundle; "" on a single node.

    The first bundles are those of `learners` learner hosts.

    Nodes go by the first letters of their id, as `ray list nodes` shows it:
    several may have one address.
    """
    if len(ray.nodes()) == 1:
        return ""
    nodes = placement_group_table(place)["bundles_to_node_id"]
    names = [nodes[at][:6] for at in sorted(nodes)]
    shares = collections.Counter(names[learners:]).items()
    return (
        f"learner on {', '.join(names[:learners])}, actors on "
        f"{', '.join(f'{node} x {count}' for node, count in shares)}"
    )


class _Queue:
    """What waits, what runs, and at most one reservation that is asked for."""

    def __init__(self, jobs: Iterable[Job]):
        self.jobs = collections.deque(jobs)
        self.running: dict[ray.ObjectRef, _Running] = {}
        self._asked: tuple[ray.ObjectRef, PlacementGroup, Bundles] | None = None

    def ask(self) -> None:
        """Reserves for the first that waits; forgets what nobody needs."""
        wanted = self.jobs[0].bundles if self.jobs else None
        if self._asked and self._asked[2] != wanted:
            remove_placement_group(self._asked[1])
            self._asked = None
        if wanted and not self._asked:
            place = placement_group(wanted, strategy="PACK")
            self._asked = place.ready(), place, wanted

    def ended(self) -> list[tuple[Job, ray.ObjectRef]]:
        """Waits a little; starts what got its place, tells what ended."""
        awaited = [*self.running, *([self._asked[0]] if self._asked else [])]
        if not awaited:
            return []
        ready, _ = ray.wait(awaited, timeout=_POLL_SECONDS)
        ends = [ref for ref in ready if ref in self.running]
        if self._asked and self._asked[0] in ready:
            place, self._asked = self._asked[1], None
            self._start(place)
        return [(self.running[ref].job, ref) for ref in ends]

    def hand_over(self, ref: ray.ObjectRef, *, again: bool) -> None:
        """Gives the place of a run that ended to the first that waits."""
        job, place, _ = self.running.pop(ref)
        if again:
            self.jobs.append(job)
        if self.jobs and self.jobs[0].bundles == job.bundles:
            self._start(place)
        else:
            remove_placement_group(place)

    def stop(self) -> None:
        """Starts nothing more, and tells what runs to end."""
        self.jobs.clear()
        for running in self.running.values():
            running.launched.stop()

    def release(self) -> None:
        """Gives back every reservation."""
        self.jobs.clear()
        self.ask()
        for running in self.running.values():
            remove_placement_group(running.place)

    def _start(self, place: PlacementGroup) -> None:
        job = self.jobs.popleft()
        launched = job.launch(place)
        self.running[launched.ended] = _Running(job, place, launched)
