"""The interval of a mean, against a printed table of Student's t."""

import numpy as np
import pytest

from experiments.study.interval import half_interval


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 2.0], 12.706),  # t of one degree of freedom, s / sqrt(2) = 1
        ([0.0, 1.0, 2.0], 4.303 / np.sqrt(3)),
        ([5.0] * 4, 0.0),
    ],
)
def test_half_an_interval(values, expected):
    assert half_interval(np.array(values)) == pytest.approx(expected, rel=1e-4)


def test_it_is_taken_over_the_first_axis():
    x = np.random.default_rng(0).normal(size=(6, 3))
    each = [half_interval(column) for column in x.T]
    np.testing.assert_allclose(half_interval(x), each)


def test_one_value_says_nothing():
    assert np.isnan(half_interval(np.array([3.0])))
    assert np.isnan(half_interval(np.ones((1, 2)))).all()
