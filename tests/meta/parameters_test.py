"""Meta-parameters: squashing and its inverse, tuned and fixed fields."""

from typing import Any, NamedTuple

import jax
import numpy as np
import pytest

from meta import parameters as parameters_lib
from meta.parameters import Bounds


class Hyperparams(NamedTuple):
    discount: Any
    entropy_weight: Any
    rate: Any


def hyperparams():
    return Hyperparams(
        discount=np.array([0.99, 0.9, 0.5], np.float32),
        entropy_weight=np.float32(0.01),
        rate=np.float32(3.0),
    )


TUNED = {"discount": Bounds(0.0, 1.0), "entropy_weight": Bounds(0.0, 0.02)}


@pytest.mark.parametrize(
    "bounds",
    [Bounds(0.0, 1.0), Bounds(-3.0, 5.0), Bounds(100.0, 100.5)],
    ids=str,
)
def test_squash_inverts_unsquash(bounds):
    share = np.array([1e-5, 1e-3, 0.1, 0.5, 0.9, 0.999, 1 - 1e-5])
    value = bounds.low + (bounds.high - bounds.low) * share
    w = parameters_lib.unsquash(value, bounds)
    assert w.dtype == np.float32
    np.testing.assert_allclose(
        parameters_lib.squash(w, bounds),
        value,
        rtol=1e-6,
        atol=2e-6 * (bounds.high - bounds.low),
    )


def test_unsquash_inverts_squash():
    bounds = Bounds(-2.0, 4.0)
    w = np.linspace(-6, 6, 13, dtype=np.float32)
    value = parameters_lib.squash(w, bounds)
    np.testing.assert_allclose(
        parameters_lib.unsquash(value, bounds), w, rtol=1e-4, atol=1e-5
    )


def test_squash_at_known_points():
    # The paper starts at sigmoid(4.6), about 0.99: log(0.99 / 0.01) = 4.595.
    squash, unit = parameters_lib.squash, Bounds(0.0, 1.0)
    np.testing.assert_allclose(squash(4.6, unit), 0.99, atol=1e-4)
    np.testing.assert_allclose(squash(0.0, Bounds(2.0, 6.0)), 4.0)
    np.testing.assert_allclose(
        parameters_lib.unsquash(0.99, unit), np.log(99.0), rtol=1e-6
    )


def test_squash_stays_within_bounds_however_large_w():
    bounds = Bounds(-1.0, 3.0)
    extremes = np.array([-1e4, -100.0, 100.0, 1e4], np.float32)
    value = parameters_lib.squash(extremes, bounds)
    np.testing.assert_allclose(value, [-1.0, -1.0, 3.0, 3.0])


def test_gradient_of_squash():
    # d/dw = (value - low) (high - value) / (high - low).
    bounds, w = Bounds(1.0, 4.0), np.array([-2.0, 0.0, 1.5], np.float32)
    gradient = jax.vmap(jax.grad(parameters_lib.squash), (0, None))(w, bounds)
    value = 1.0 + 3.0 / (1.0 + np.exp(-w))
    np.testing.assert_allclose(
        gradient, (value - 1.0) * (4.0 - value) / 3.0, rtol=1e-5
    )


def test_bounds_of_each_entry():
    bounds = Bounds(np.zeros(2), np.array([1.0, 10.0]))
    w = parameters_lib.unsquash(np.array([0.25, 2.5]), bounds)
    np.testing.assert_allclose(w, -np.log([3.0, 3.0]), rtol=1e-6)
    np.testing.assert_allclose(
        parameters_lib.squash(w, bounds), [0.25, 2.5], rtol=1e-6
    )


@pytest.mark.parametrize("value", [0.0, 1.0, -0.5, 1.5, float("nan")])
def test_a_value_out_of_bounds_is_refused(value):
    with pytest.raises(ValueError, match=rf"{value}.* between 0\.0 and 1\.0"):
        parameters_lib.unsquash(value, Bounds(0.0, 1.0))


def test_initial_values_come_back():
    self_tuned = parameters_lib.self_tuned(hyperparams(), TUNED)
    for actual, expected in zip(
        self_tuned.values(self_tuned.init()), hyperparams(), strict=True
    ):
        np.testing.assert_allclose(actual, expected, rtol=1e-6)
        assert np.shape(actual) == np.shape(expected)
        assert actual.dtype == np.float32


def test_only_tuned_fields_become_meta_parameters():
    meta_params = parameters_lib.self_tuned(hyperparams(), TUNED).init()
    assert set(meta_params) == set(TUNED)
    assert meta_params["discount"].shape == (3,)
    assert all(w.dtype == np.float32 for w in meta_params.values())


def test_fixed_fields_are_untouched():
    initial = hyperparams()
    self_tuned = parameters_lib.self_tuned(initial, TUNED)
    moved = {name: w + 1.0 for name, w in self_tuned.init().items()}

    values = self_tuned.values(moved)

    assert values.rate is initial.rate
    assert np.all(values.discount > initial.discount)
    assert values.entropy_weight > initial.entropy_weight


def test_each_tuned_field_uses_its_own_bounds():
    self_tuned = parameters_lib.self_tuned(hyperparams(), TUNED)
    values = self_tuned.values({"discount": np.zeros(3), "entropy_weight": 0.0})
    np.testing.assert_allclose(values.discount, 0.5)
    np.testing.assert_allclose(values.entropy_weight, 0.01)


def test_nothing_tuned():
    self_tuned = parameters_lib.self_tuned(hyperparams(), {})
    assert self_tuned.init() == {}
    assert self_tuned.values({}).rate == hyperparams().rate


def test_unknown_field_names_the_nearest():
    with pytest.raises(ValueError, match="'discont'.*mean 'discount'"):
        parameters_lib.self_tuned(hyperparams(), {"discont": Bounds(0, 1)})


def test_unknown_field_lists_the_fields():
    with pytest.raises(ValueError, match="discount, entropy_weight, rate$"):
        parameters_lib.self_tuned(hyperparams(), {"zzz": Bounds(0, 1)})


def test_initial_value_out_of_bounds_names_the_field():
    with pytest.raises(ValueError, match="rate = 3.0: .* 0 and 1"):
        parameters_lib.self_tuned(hyperparams(), {"rate": Bounds(0, 1)})
