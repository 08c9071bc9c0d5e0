"""From unrolls to batches."""

import collections
import itertools

import jax
import numpy as np
import pytest

from actors.episode import Episode
from actors.pool import Collected
from actors.transition import Transition, Unroll
from learner.feed import Batcher

T = 2


TRAJECTORIES = 24


ONLINE = 4


def an_unroll(names):
    """Trajectories whose every number is their name."""
    names = np.asarray(names, np.int32)
    steps = np.repeat(names[None], T + 1, axis=0)
    transitions = Transition(*[steps.copy() for _ in Transition._fields])
    return Unroll(transitions, names.copy(), {"core": names.copy()}, names)


class ScriptedPool:
    """Hands out trajectories 0, 1, 2, … in unrolls of given widths."""

    def __init__(self, widths):
        edges = [0, *itertools.accumulate(widths)]
        self.unrolls = [
            an_unroll(range(*pair)) for pair in itertools.pairwise(edges)
        ]
        self._waiting = collections.deque(self.unrolls)
        self.collected = 0

    def collect(self):
        unroll = self._waiting.popleft()
        self.collected += 1
        return Collected(unroll, [Episode(float(self.collected), 10)])


def identity(unroll):
    return unroll


def make_batcher(pool, *, mix=identity, place=identity):
    return Batcher(pool, online=ONLINE, mix=mix, place=place)


def assert_unrolls_equal(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


@pytest.mark.parametrize(
    "widths",
    [[1] * 24, [4] * 6, [8] * 3, [24], [5, 7, 12], [3] * 8, [9, 1, 13, 1]],
    ids=["ones", "fours", "eights", "one", "uneven", "threes", "mixed"],
)
def test_batches_are_the_same_whatever_the_widths_of_unrolls(widths):
    batcher = make_batcher(ScriptedPool(widths))
    for start in range(0, TRAJECTORIES, ONLINE):
        batch = batcher.next()
        assert_unrolls_equal(
            batch.data, an_unroll(range(start, start + ONLINE))
        )
        np.testing.assert_array_equal(batch.versions, batch.data.version)


def test_trajectories_that_are_left_over_wait_without_asking_for_more():
    pool = ScriptedPool([10, 6, 8])
    batcher = make_batcher(pool)
    collected = []
    for _ in range(TRAJECTORIES // ONLINE):
        batcher.next()
        collected.append(pool.collected)
    assert collected == [1, 1, 2, 2, 3, 3]


def test_what_waits_is_a_copy():
    """A view would keep whole unrolls alive in the object store."""
    pool = ScriptedPool([12, 12])
    batcher = make_batcher(pool)
    first = batcher.next()
    versions = first.versions.copy()
    jax.tree.map(lambda x: x.fill(99), pool.unrolls[0])
    assert_unrolls_equal(batcher.next().data, an_unroll(range(4, 8)))
    np.testing.assert_array_equal(first.versions, versions)


def test_games_come_once_with_the_batch_that_waited_for_them():
    batcher = make_batcher(ScriptedPool([2, 2, 1, 7, 12]))
    returns = [
        [game.episode_return for game in batcher.next().episodes]
        for _ in range(TRAJECTORIES // ONLINE)
    ]
    assert returns == [[1.0, 2.0], [3.0, 4.0], [], [5.0], [], []]


def test_old_trajectories_are_mixed_in_before_the_batch_is_placed():
    def mix(fresh):
        np.testing.assert_array_equal(fresh.version, [0, 1, 2, 3])
        return an_unroll([*fresh.version, 70, 80])

    def place(unroll):
        return "placed", unroll

    batcher = make_batcher(ScriptedPool([24]), mix=mix, place=place)
    batch = batcher.next()
    placed, data = batch.data
    assert placed == "placed"
    assert_unrolls_equal(data, an_unroll([0, 1, 2, 3, 70, 80]))
    # How old the new trajectories are, not the replayed ones.
    np.testing.assert_array_equal(batch.versions, [0, 1, 2, 3])
