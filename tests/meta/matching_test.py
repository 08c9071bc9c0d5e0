"""Matching functions: hand numbers, zeros at equality, weights."""

import functools
import math

import jax
import numpy as np
import pytest

from meta import matching as matching_lib

pytestmark = pytest.mark.usefixtures("float64")

# Logits of the distributions (1/2, 1/2), (1/4, 3/4) and (3/4, 1/4).
EVEN, LOW, HIGH = np.log([[0.5, 0.5], [0.25, 0.75], [0.75, 0.25]])
# KL(even || low) = 1/2 log(2) + 1/2 log(2/3) = 1/2 log(4/3);
# KL(low || even) = 1/4 log(1/2) + 3/4 log(3/2).
KL_EVEN_LOW = 0.5 * math.log(4 / 3)
KL_LOW_EVEN = 0.25 * math.log(0.5) + 0.75 * math.log(1.5)


def predict(params, weights):
    """A policy whose parameters are its predictions; the batch: weights."""
    return matching_lib.Prediction(params["logits"], params["values"], weights)


KL = matching_lib.policy_kl(predict)
KL_AND_VALUE = matching_lib.policy_kl_and_value(predict)
L2 = matching_lib.squared_distance()
both = pytest.mark.parametrize("mu", [KL, KL_AND_VALUE], ids=["kl", "kl_v"])


@functools.partial(jax.jit, static_argnums=0)
def evaluate(mu, online, target, weights):
    """Value, and gradient with respect to `online`."""
    return jax.value_and_grad(mu)(online, target, None, weights)


def policy(*logits, values=None):
    values = np.zeros(len(logits)) if values is None else np.array(values)
    return {"logits": np.array(logits), "values": values}


def test_squared_distance_sums_over_the_tree():
    x = {"a": np.array([1.0, 2.0]), "b": {"c": np.array([[3.0]])}}
    target = {"a": np.array([1.0, 4.0]), "b": {"c": np.array([[0.0]])}}

    value, gradient = evaluate(L2, x, target, None)

    np.testing.assert_allclose(value, 2.0**2 + 3.0**2)
    np.testing.assert_allclose(gradient["a"], [0.0, -4.0])
    np.testing.assert_allclose(gradient["b"]["c"], [[6.0]])


def test_squared_distance_is_smooth_at_equality():
    x = {"a": np.ones(2), "b": {"c": np.ones((1, 1))}}
    value, gradient = evaluate(L2, x, x, None)
    assert value == 0.0
    np.testing.assert_array_equal(gradient["a"], np.zeros(2))


@pytest.mark.parametrize(
    ("target", "online", "expected"),
    [(EVEN, LOW, KL_EVEN_LOW), (LOW, EVEN, KL_LOW_EVEN)],
    ids=["even_low", "low_even"],
)
def test_kl_has_the_bootstrap_first(target, online, expected):
    value, _ = evaluate(KL, policy(online), policy(target), np.ones(1))
    np.testing.assert_allclose(value, expected)


def test_kl_takes_unnormalised_logits():
    online, target = policy(LOW + 7.0), policy(EVEN - 3.0)
    value, _ = evaluate(KL, online, target, np.ones(1))
    np.testing.assert_allclose(value, KL_EVEN_LOW)


def test_kl_is_the_mean_over_states():
    online, target = policy(LOW, EVEN), policy(EVEN, LOW)
    value, _ = evaluate(KL, online, target, np.ones(2))
    np.testing.assert_allclose(value, (KL_EVEN_LOW + KL_LOW_EVEN) / 2)


def test_kl_gradient_is_the_difference_of_the_policies():
    # d/dz of -sum_a p(a) log softmax(z)(a) is softmax(z) - p.
    _, gradient = evaluate(KL, policy(LOW), policy(EVEN), np.ones(1))
    np.testing.assert_allclose(gradient["logits"], [[-0.25, 0.25]])


def test_kl_of_far_apart_policies_is_finite():
    online, target = policy([200.0, 0.0]), policy([0.0, 200.0])
    value, gradient = evaluate(KL, online, target, np.ones(1))
    np.testing.assert_allclose(value, 200.0)
    np.testing.assert_allclose(gradient["logits"], [[1.0, -1.0]])


@both
def test_equal_predictions_give_zero_and_zero_gradient(mu):
    x = policy(LOW, HIGH, values=[1.0, -2.0])
    value, gradient = evaluate(mu, x, x, np.ones(2))
    assert value == 0.0
    for leaf in jax.tree.leaves(gradient):
        np.testing.assert_allclose(leaf, np.zeros_like(leaf), atol=1e-15)


@both
def test_any_leading_axes(mu):
    """Against a loop over time and batch."""
    rng = np.random.default_rng(0)
    online, target = (
        {
            "logits": rng.normal(size=(2, 3, 4)),
            "values": rng.normal(size=(2, 3)),
        }
        for _ in range(2)
    )
    weights = np.array([[1.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    coefficient = 0.25 if mu is KL_AND_VALUE else 0.0

    expected = 0.0
    for i, j in ((0, 0), (0, 2), (1, 0)):
        p = np.exp(target["logits"][i, j])
        q = np.exp(online["logits"][i, j])
        p, q = p / np.sum(p), q / np.sum(q)
        gap = target["values"][i, j] - online["values"][i, j]
        expected += (np.sum(p * np.log(p / q)) + coefficient * gap**2) / 3

    value, _ = evaluate(mu, online, target, weights)
    np.testing.assert_allclose(value, expected)


@both
def test_states_of_weight_zero_do_not_count(mu):
    online = policy(LOW, EVEN, values=[1.0, 5.0])
    target = policy(EVEN, HIGH, values=[2.0, -5.0])
    masked, gradient = evaluate(mu, online, target, np.array([1.0, 0.0]))

    online, target = policy(LOW, values=[1.0]), policy(EVEN, values=[2.0])
    alone, _ = evaluate(mu, online, target, np.ones(1))

    np.testing.assert_allclose(masked, alone)
    np.testing.assert_array_equal(gradient["logits"][1], [0.0, 0.0])
    assert gradient["values"][1] == 0.0


@both
def test_no_state_that_counts_gives_zero_not_nan(mu):
    online, target = policy(LOW, values=[1.0]), policy(EVEN, values=[2.0])
    value, gradient = evaluate(mu, online, target, np.zeros(1))
    assert value == 0.0
    for leaf in jax.tree.leaves(gradient):
        np.testing.assert_array_equal(leaf, np.zeros_like(leaf))


def test_value_coefficient():
    mu = matching_lib.policy_kl_and_value(predict, value_coefficient=2.0)
    online = policy(LOW, LOW, values=[1.0, 0.0])
    target = policy(EVEN, EVEN, values=[4.0, 1.0])
    value, gradient = evaluate(mu, online, target, np.ones(2))
    # Mean of the squared gaps (9 + 1) / 2; derivative 2 (v - v~) / 2.
    np.testing.assert_allclose(value, KL_EVEN_LOW + 2.0 * 5.0)
    np.testing.assert_allclose(gradient["values"], [-6.0, -2.0])


def test_value_coefficient_is_a_quarter_by_default():
    online, target = policy(LOW), policy(LOW, values=[2.0])
    value, _ = evaluate(KL_AND_VALUE, online, target, np.ones(1))
    np.testing.assert_allclose(value, 0.25 * 4.0)
