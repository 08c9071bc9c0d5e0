"""From unrolls of any width to batches and windows: nothing lost or twice."""

import collections
import itertools
import threading
import time

import jax
import numpy as np
import pytest

from actors.episode import Episode
from actors.pool import Collected
from actors.transition import Transition, Unroll
from learner.feed import Batch, Batcher, DirectFeed, Prefetch, Window

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


# Batcher.


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


# Window.


def numbered_batches():
    count = itertools.count()
    return lambda: Batch(next(count), np.zeros(1), [])


@pytest.mark.parametrize(
    ("size", "stride"), [(1, 1), (2, 1), (5, 1), (5, 3), (5, 5), (3, 2)]
)
def test_a_window_slides_by_its_stride_and_consumes_every_batch_once(
    size, stride
):
    window = Window(numbered_batches(), size, stride)
    consumed = []
    for step in range(8):
        start = step * stride
        assert window.fill() == tuple(range(start, start + size))
        consumed += [batch.data for batch in window.advance()]
    assert consumed == list(range(8 * stride))


def test_filling_a_full_window_changes_nothing():
    window = Window(numbered_batches(), 3, 1)
    assert window.fill() == window.fill() == (0, 1, 2)


def test_an_interrupted_fill_keeps_what_it_has():
    arriving = iter([0, 1, None, 2])

    def next_batch():
        found = next(arriving)
        if found is None:
            raise InterruptedError
        return Batch(found, np.zeros(1), [])

    window = Window(next_batch, 3, 1)
    with pytest.raises(InterruptedError):
        window.fill()
    assert window.fill() == (0, 1, 2)


# Prefetch.


def never():
    return threading.Event()


def feeding():
    """Threads that are still at it."""
    return sum(thread.name == "feed" for thread in threading.enumerate())


def wait_until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_prefetched_results_come_in_order():
    prefetch = Prefetch(itertools.count().__next__, 2)
    assert [prefetch.next(never()) for _ in range(20)] == list(range(20))
    prefetch.close()


@pytest.mark.parametrize("size", [1, 3])
def test_prefetch_runs_so_far_ahead_and_begins_nothing_beyond(size):
    begun = itertools.count(1)
    calls = []

    def make():
        calls.append(next(begun))
        return calls[-1]

    prefetch = Prefetch(make, size)
    for taken in range(3):
        wait_until(lambda: prefetch.waiting() == size)
        time.sleep(0.05)
        assert len(calls) == size + taken
        assert prefetch.next(never()) == taken + 1
    prefetch.close()


def test_an_error_comes_out_of_next_after_what_was_made_before_it():
    results = iter([1, 2])

    def make():
        found = next(results, None)
        if found is None:
            raise OSError("no more")
        return found

    prefetch = Prefetch(make, 1)
    assert [prefetch.next(never()), prefetch.next(never())] == [1, 2]
    with pytest.raises(OSError, match="no more"):
        prefetch.next(never())
    prefetch.close()


def test_next_does_not_wait_once_it_is_to_stop():
    release = threading.Event()
    prefetch = Prefetch(release.wait, 1)
    stopping = threading.Event()
    threading.Timer(0.1, stopping.set).start()
    with pytest.raises(InterruptedError):
        prefetch.next(stopping)
    release.set()
    prefetch.close()


def test_close_ends_a_thread_that_waits_for_a_free_slot():
    before = feeding()
    prefetch = Prefetch(itertools.count().__next__, 1)
    wait_until(lambda: prefetch.waiting() == 1)
    assert feeding() == before + 1
    prefetch.close()
    assert feeding() == before


def test_close_waits_for_what_is_being_made():
    before, release = feeding(), threading.Event()
    prefetch = Prefetch(release.wait, 1)
    timer = threading.Timer(0.2, release.set)
    timer.start()
    prefetch.close()
    assert release.is_set()
    assert feeding() == before
    timer.join()


def test_close_ends_a_thread_that_failed():
    def make():
        raise ValueError

    before = feeding()
    prefetch = Prefetch(make, 1)
    wait_until(lambda: prefetch.waiting() == 1)
    prefetch.close()
    prefetch.close()
    assert feeding() == before


def test_direct_makes_when_asked_even_while_stopping():
    direct = DirectFeed(itertools.count().__next__)
    stopping = threading.Event()
    stopping.set()
    assert [direct.next(stopping), direct.next(never())] == [0, 1]
    assert direct.waiting() == 0
    direct.close()
