"""Which parameters reach the actors, and that the learner need not wait."""

import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learner.publisher import DirectPublisher, Publisher


class SlowPool:
    """Receives parameters one after the other, each when it is let."""

    def __init__(self):
        self.received = []
        self.entered = threading.Semaphore(0)
        self.let = threading.Semaphore(0)

    def publish(self, params, version):
        self.entered.release()
        assert self.let.acquire(timeout=60)
        self.received.append((params, version))

    def versions(self):
        return [version for _, version in self.received]


@pytest.fixture
def pool():
    return SlowPool()


@pytest.fixture
def publisher(pool):
    made = Publisher(pool)
    yield made
    pool.let.release(10)
    made.close()


def await_entry(pool):
    assert pool.entered.acquire(timeout=60)


def is_on_host(tree):
    return all(type(leaf) is np.ndarray for leaf in jax.tree.leaves(tree))


def test_the_direct_one_has_published_when_it_returns(pool):
    pool.let.release()
    publisher = DirectPublisher(pool)
    publisher.publish({"w": jnp.arange(3.0)}, 7)
    ((params, version),) = pool.received
    assert version == 7
    assert is_on_host(params)
    np.testing.assert_array_equal(params["w"], [0, 1, 2])
    publisher.close()
    assert pool.versions() == [7]


def test_the_learner_does_not_wait_for_the_pool(pool, publisher):
    publisher.publish({"w": jnp.ones(2)}, 1)
    await_entry(pool)
    publisher.publish({"w": jnp.ones(2)}, 2)
    assert pool.received == []  # and yet both calls have returned


def test_a_version_that_is_overtaken_is_never_sent(pool, publisher):
    publisher.publish({"w": jnp.full(2, 1.0)}, 1)
    await_entry(pool)  # now 2, 3 and 4 find the pool at work
    for version in (2, 3, 4):
        publisher.publish({"w": jnp.full(2, float(version))}, version)
    pool.let.release(2)
    await_entry(pool)
    publisher.publish({"w": jnp.full(2, 5.0)}, 5)
    pool.let.release()
    await_entry(pool)
    publisher.close()
    assert pool.versions() == [1, 4, 5]
    for params, version in pool.received:
        assert is_on_host(params)
        np.testing.assert_array_equal(params["w"], [version, version])


def test_close_waits_for_what_is_being_sent_and_ends_the_thread(pool):
    before = set(threading.enumerate())
    publisher = Publisher(pool)
    (thread,) = set(threading.enumerate()) - before
    publisher.publish({"w": jnp.ones(2)}, 1)
    await_entry(pool)
    closing = threading.Thread(target=publisher.close)
    closing.start()
    closing.join(0.2)
    assert closing.is_alive()
    assert pool.received == []
    pool.let.release()
    closing.join(60)
    assert not closing.is_alive()
    assert not thread.is_alive()
    assert pool.versions() == [1]


def test_close_ends_one_that_never_sent_anything(pool):
    publisher = Publisher(pool)
    publisher.close()
    assert pool.received == []
