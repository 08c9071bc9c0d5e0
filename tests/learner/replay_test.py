"""Replay: what comes back is what was put, uniformly, newest kept."""

import collections

import jax
import numpy as np
import pytest

from actors.transition import Transition, Unroll, concatenate, take
from learner.replay import Replay

T = 2


def an_unroll(names):
    """Trajectories whose every number is their name."""
    names = np.asarray(names)
    steps = np.broadcast_to(names, (T + 1, len(names)))
    frames = np.broadcast_to(steps[..., None], (*steps.shape, 3))
    transitions = Transition(
        observation=frames.astype(np.uint8),
        step_type=steps.astype(np.int8),
        reward=steps.astype(np.float32),
        discount=steps.astype(np.float32),
        action=steps.astype(np.int32),
        logits=frames.astype(np.float32),
    )
    stack = np.repeat(names[:, None], 2, axis=1).astype(np.uint8)
    core = {"hidden": names.astype(np.float32)[:, None]}
    return Unroll(transitions, stack, core, names.astype(np.int32))


def assert_whole(unroll):
    """No trajectory is made of two."""
    jax.tree.map(
        np.testing.assert_array_equal, unroll, an_unroll(unroll.version)
    )


def make(*, capacity=5, per_batch=3, seed=0):
    return Replay(capacity=capacity, per_batch=per_batch, seed=seed)


def test_mix_puts_old_trajectories_behind_the_new_ones():
    replay = make()
    replay.add(an_unroll([1, 2, 3]))
    mixed = replay.mix(an_unroll([4, 5]))
    assert_whole(mixed)
    assert mixed.version.shape == (2 + 3,)
    np.testing.assert_array_equal(mixed.version[:2], [4, 5])
    assert set(mixed.version[2:].tolist()) <= {1, 2, 3, 4, 5}


def test_the_first_batch_is_mixed_with_itself():
    mixed = make().mix(an_unroll([7]))
    np.testing.assert_array_equal(mixed.version, [7, 7, 7, 7])


def test_samples_are_trajectories_that_were_put_and_are_not_yet_overwritten():
    replay = make(capacity=5)
    put = []
    for start in range(0, 40, 2):
        replay.add(an_unroll([start, start + 1]))
        put += [start, start + 1]
        sample = replay.sample(60)
        assert_whole(sample)
        # Every one of the newest five is there, and nothing else.
        assert set(sample.version.tolist()) == set(put[-5:])
        assert len(replay) == min(len(put), 5)


def test_an_unroll_wider_than_the_capacity_leaves_its_last_trajectories():
    replay = make(capacity=3)
    replay.add(an_unroll(range(10)))
    assert set(replay.sample(50).version.tolist()) == {7, 8, 9}


def test_what_is_stored_is_a_copy():
    replay, fresh = make(), an_unroll([1, 2])
    replay.add(fresh)
    jax.tree.map(lambda x: x.fill(99), fresh)
    sample = replay.sample(20)
    assert_whole(sample)
    assert set(sample.version.tolist()) == {1, 2}


@pytest.mark.parametrize("turns", [0, 1, 2])
def test_samples_are_uniform(turns):
    """Also when the ring has been overwritten in part."""
    replay = make(capacity=8, seed=3)
    for turn in range(turns + 1):
        replay.add(an_unroll(range(5 * turn, 5 * turn + 5)))
    count = 8000
    seen = collections.Counter(replay.sample(count).version.tolist())
    expected = count / len(replay)
    assert len(seen) == len(replay)
    # Chi-squared with at most 7 degrees of freedom: 24.3 has p = 0.001.
    distance = sum((n - expected) ** 2 / expected for n in seen.values())
    assert distance < 24.3


def test_the_same_seed_gives_the_same_samples():
    def samples(seed):
        replay = make(seed=seed)
        unrolls = [an_unroll([2 * i, 2 * i + 1]) for i in range(10)]
        return np.stack([replay.mix(u).version for u in unrolls])

    np.testing.assert_array_equal(samples(1), samples(1))
    assert np.any(samples(1) != samples(2))


def test_the_ratio_of_old_to_new_is_the_same_in_every_batch():
    replay = make(capacity=100, per_batch=6)
    for start in range(0, 60, 3):
        mixed = replay.mix(an_unroll(range(start, start + 3)))
        fresh = take(mixed, slice(3))
        jax.tree.map(
            np.testing.assert_array_equal,
            fresh,
            an_unroll(range(start, start + 3)),
        )
        assert mixed.version.shape == (3 + 6,)


def test_sampling_joins_trajectories_as_concatenate_does():
    replay = make(seed=5)
    replay.add(an_unroll([1, 2, 3]))
    sample = replay.sample(4)
    parts = [an_unroll([name]) for name in sample.version]
    jax.tree.map(np.testing.assert_array_equal, sample, concatenate(parts, np))
