"""Several learner hosts: one process each, all at the same step.

Every host has the same parameters and its own part of every batch, of the
actors and of the replay. The first one alone writes the run's folder.
"""

import dataclasses
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np

from actors.episode import Episode
from actors.pool import PoolStatus


class HostMessage(NamedTuple):
    """What a host contributes before a step; gathered, that of all hosts."""

    ready: bool  # it has its part of the window, and is not to stop
    versions: np.ndarray  # [online] of what the step will consume
    episodes: list[Episode]  # that came with it
    actors: PoolStatus
    waiting: int  # batches ready


@dataclasses.dataclass(frozen=True)
class Host:
    """A process's place among the learner hosts of its run."""

    index: int = 0
    count: int = 1
    # Waits for the messages of all hosts, and merges them.
    all_gather: Callable[[HostMessage], HostMessage] = lambda message: message

    def part(self, whole: int) -> int:
        """Its part of what all hosts share, rounded up."""
        return -(-whole // self.count)


class HostBarrier:
    """Where hosts wait for one another: nobody steps unless all can.

    A step that one host does not take would leave the others waiting in its
    sums, where nothing can reach them.
    """

    def __init__(self, count: int):
        self._messages: dict[int, HostMessage] = {}
        self._barrier = threading.Barrier(count, action=self._merge)

    def all_gather(self, index: int, message: HostMessage) -> HostMessage:
        """Waits for the messages of all hosts; the same for each of them."""
        self._messages[index] = message
        self._barrier.wait()
        # Not overwritten before this host has come to the next barrier.
        return self._merged

    def _merge(self) -> None:
        self._merged = merge([m for _, m in sorted(self._messages.items())])


def merge(messages: Sequence[HostMessage]) -> HostMessage:
    """The messages of all hosts as one."""
    return HostMessage(
        ready=all(message.ready for message in messages),
        versions=np.concatenate([message.versions for message in messages]),
        episodes=[game for message in messages for game in message.episodes],
        actors=PoolStatus(*np.sum([m.actors for m in messages], 0).tolist()),
        waiting=min(message.waiting for message in messages),
    )


def join(address: str, index: int, count: int) -> None:
    """Makes the devices of all hosts known to each, before other use of JAX.

    Args:
      address: `HOST:PORT` at the first host, that the others can reach.
      index: of this host.
      count: of hosts; all must come within five minutes.
    """
    if count > 1:
        jax.distributed.initialize(
            address, count, index, cluster_detection_method="deactivate"
        )
