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


class Word(NamedTuple):
    """What a host says before a step, and what all of them say together."""

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
    # Waits for all hosts; what they say together.
    meet: Callable[[Word], Word] = lambda word: word

    def part(self, whole: int) -> int:
        """Its part of what all hosts share, rounded up."""
        return -(-whole // self.count)


class Meeting:
    """Where hosts wait for one another: nobody steps unless all can.

    A step that one host does not take would leave the others waiting in its
    sums, where nothing can reach them.
    """

    def __init__(self, count: int):
        self._words: dict[int, Word] = {}
        self._everyone = threading.Barrier(count, action=self._listen)

    def meet(self, index: int, word: Word) -> Word:
        """Waits for the words of all hosts; the same for each of them."""
        self._words[index] = word
        self._everyone.wait()
        # Not overwritten before this host has come to the next meeting.
        return self._together

    def _listen(self) -> None:
        self._together = together([w for _, w in sorted(self._words.items())])


def together(words: Sequence[Word]) -> Word:
    """The words of all hosts as one."""
    return Word(
        ready=all(word.ready for word in words),
        versions=np.concatenate([word.versions for word in words]),
        episodes=[game for word in words for game in word.episodes],
        actors=PoolStatus(*np.sum([w.actors for w in words], 0).tolist()),
        waiting=min(word.waiting for word in words),
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
