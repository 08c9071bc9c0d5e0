"""What is made ahead in a thread."""

import itertools
import threading
import time

import pytest

from learner.feed import DirectFeed, Prefetch


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
