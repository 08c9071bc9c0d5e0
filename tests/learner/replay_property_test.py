"""Replay over any sequence of adding and sampling, beside a plain list."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from learner.replay import Replay
from tests.learner.replay_test import an_unroll, assert_whole

# Trajectories of each unroll, and how many are sampled after it.
CALLS = st.lists(
    st.tuples(st.integers(1, 7), st.integers(1, 9)), min_size=1, max_size=12
)


@settings(max_examples=100, deadline=None)
@given(CALLS, st.integers(1, 10), st.integers(0, 2**31))
def test_samples_are_whole_trajectories_still_in_replay(calls, capacity, seed):
    """A trajectory's numbers are all its own: one made of two would not be
    whole, nor one whose games were mixed."""
    replay, put = Replay(capacity=capacity, per_batch=1, seed=seed), []
    for wide, count in calls:
        names = [len(put) + n for n in range(wide)]
        put += names
        replay.add(an_unroll(names))
        sample = replay.sample(count)
        assert_whole(sample)
        assert sample.version.shape == (count,)
        assert set(sample.version.tolist()) <= set(put[-capacity:])
        assert len(replay) == min(len(put), capacity)


@settings(max_examples=50, deadline=None)
@given(CALLS, st.integers(1, 10))
def test_new_trajectories_come_first_and_once(calls, capacity):
    replay, count = Replay(capacity=capacity, per_batch=3, seed=0), 0
    for wide, _ in calls:
        names = np.arange(count, count + wide)
        count += wide
        mixed = replay.mix(an_unroll(names))
        assert_whole(mixed)
        np.testing.assert_array_equal(mixed.version[:wide], names)
        assert mixed.version.shape == (wide + 3,)
