"""Lengths and angles, against the same in numpy on one long vector."""

import numpy as np
import pytest

from meta.geometry import cosine, distance


def a_tree(seed):
    rng = np.random.default_rng(seed)
    parts = {"w": rng.normal(size=(3, 4)), "b": (rng.normal(size=5),)}
    return parts, np.concatenate([parts["w"].ravel(), parts["b"][0]])


@pytest.mark.parametrize("seed", range(3))
def test_they_are_those_of_one_long_vector(seed):
    (a, x), (b, y) = a_tree(seed), a_tree(seed + 10)
    np.testing.assert_allclose(
        distance(a, b), np.sqrt(np.sum((x - y) ** 2)), rtol=1e-6
    )
    lengths = np.sqrt(np.sum(x**2)) * np.sqrt(np.sum(y**2))
    np.testing.assert_allclose(cosine(a, b), np.sum(x * y) / lengths, rtol=1e-5)


def test_an_angle_to_nothing_is_unknown():
    assert np.isnan(cosine({"a": np.ones(2)}, {"a": np.zeros(2)}))
