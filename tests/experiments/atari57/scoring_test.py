"""The scores read off a curve, and its returns at given frames."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.atari57 import scoring
from experiments.atari57.curves import Curve


def curve(frames, returns, budget=100):
    return Curve(
        "bmg", "pong", 1, "impala", budget,
        np.array(frames, float), np.array(returns, float),
    )  # fmt: skip


def test_the_training_score_is_of_the_last_twentieth():
    ends = curve([10, 94, 95, 98, 100], [7.0, 9.0, 1.0, 2.0, 6.0])
    assert scoring.training(ends) == pytest.approx(3.0)
    assert math.isnan(scoring.training(curve([10, 94], [1.0, 2.0])))


@given(
    st.lists(
        st.tuples(st.integers(0, 120), st.integers(-5, 5)), min_size=1
    ).map(sorted)
)
def test_points_of_a_curve_are_means_since_the_point_before(episodes):
    at = np.array([25.0, 50.0, 75.0, 100.0])
    found = scoring.returns_at(curve(*zip(*episodes, strict=True)), at)
    value = math.nan
    for number, end in enumerate(at):
        start = at[number - 1] if number else -math.inf
        inside = [r for frame, r in episodes if start < frame <= end]
        value = np.mean(inside) if inside else value
        # Past the first point at or after the last episode nothing is known.
        known = number == 0 or at[number - 1] < episodes[-1][0]
        np.testing.assert_allclose(found[number], value if known else math.nan)
