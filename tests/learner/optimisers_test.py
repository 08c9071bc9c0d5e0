"""Optimisers against arithmetic by hand: above all, where epsilon sits."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learner.optimisers import (
    clip_by_global_norm,
    make_meta_optimiser,
    make_optimiser,
)

pytestmark = pytest.mark.usefixtures("float64")

RATE, DECAY, EPS = 0.1, 0.9, 0.04
X = np.array([1.0, -2.0])
GRADIENTS = [np.array([0.3, -0.5]), np.array([-0.1, 0.2]), np.array([2.0, 0.0])]


def make(name, *, learning_rate=RATE, clip=0.0):
    return make_optimiser(
        name, learning_rate=learning_rate, decay=DECAY, epsilon=EPS, clip=clip
    )


def follow(optimiser, gradients=GRADIENTS):
    """The parameters after each step."""
    x, state = X, optimiser.init(X)
    path = []
    for gradient in gradients:
        updates, state = optimiser.update(gradient, state, x)
        x = optax.apply_updates(x, updates)
        path.append(x)
    return path


def test_rmsprop_has_its_epsilon_inside_the_root():
    x, nu = X, 0.0
    for gradient, found in zip(GRADIENTS, follow(make("rmsprop")), strict=True):
        nu = DECAY * nu + (1 - DECAY) * gradient**2
        x = x - RATE * gradient / np.sqrt(nu + EPS)
        np.testing.assert_allclose(found, x, rtol=1e-12)


def test_rmsprop_may_begin_as_tensorflow_s():
    optimiser = make_optimiser(
        "rmsprop",
        learning_rate=RATE,
        decay=DECAY,
        epsilon=EPS,
        clip=0.0,
        initial_scale=1.0,
    )
    x, nu = X, 1.0
    for gradient, found in zip(GRADIENTS, follow(optimiser), strict=True):
        nu = DECAY * nu + (1 - DECAY) * gradient**2
        x = x - RATE * gradient / np.sqrt(nu + EPS)
        np.testing.assert_allclose(found, x, rtol=1e-12)


def test_adam_has_its_epsilon_inside_the_root():
    x, m, nu = X, 0.0, 0.0
    path = follow(make("adam"))
    for t, (gradient, found) in enumerate(zip(GRADIENTS, path, strict=True), 1):
        m = 0.9 * m + 0.1 * gradient
        nu = DECAY * nu + (1 - DECAY) * gradient**2
        root = np.sqrt(nu / (1 - DECAY**t) + EPS)
        x = x - RATE * m / (1 - 0.9**t) / root
        np.testing.assert_allclose(found, x, rtol=1e-12)


def test_sgd_is_the_gradient_times_the_rate():
    for t, found in enumerate(follow(make("sgd")), 1):
        np.testing.assert_allclose(found, X - RATE * sum(GRADIENTS[:t]))


def test_the_meta_optimiser_has_its_epsilon_outside_the_root():
    x, m, nu = X, 0.0, 0.0
    optimiser = make_meta_optimiser(learning_rate=RATE, epsilon=EPS, clip=0.0)
    path = follow(optimiser)
    for t, (gradient, found) in enumerate(zip(GRADIENTS, path, strict=True), 1):
        m = 0.9 * m + 0.1 * gradient
        nu = 0.999 * nu + 0.001 * gradient**2
        root = np.sqrt(nu / (1 - 0.999**t))
        x = x - RATE * m / (1 - 0.9**t) / (root + EPS)
        np.testing.assert_allclose(found, x, rtol=1e-12)


@pytest.mark.parametrize("name", ["rmsprop", "adam", "sgd"])
def test_the_norm_of_the_whole_gradient_is_clipped_first(name):
    gradients = [{"a": np.array([3.0, 0.0]), "b": np.array(-4.0)}]
    x = {"a": X, "b": np.array(0.5)}

    def update(clip, scale):
        optimiser = make(name, clip=clip)
        scaled = jax.tree.map(lambda g: g * scale, gradients[0])
        return optimiser.update(scaled, optimiser.init(x), x)[0]

    def same(one, other):
        jax.tree.map(np.testing.assert_allclose, one, other)

    same(update(1.0, 1.0), update(0.0, 1 / 5))  # the norm is 5
    same(update(5.5, 1.0), update(0.0, 1.0))


def test_the_meta_gradient_is_clipped_first():
    def update(clip, scale):
        optimiser = make_meta_optimiser(
            learning_rate=RATE, epsilon=EPS, clip=clip
        )
        gradient = scale * np.array([3.0, -4.0])
        return optimiser.update(gradient, optimiser.init(X), X)[0]

    np.testing.assert_allclose(update(0.3, 1.0), update(0.0, 0.3 / 5))
    assert np.all(update(0.3, 1.0) != update(0.0, 1.0))


def test_the_rate_may_be_a_schedule_of_the_count():
    schedule = optax.linear_schedule(RATE, 0.0, 2)
    first, second, third = follow(make("sgd", learning_rate=schedule))
    np.testing.assert_allclose(first, X - RATE * GRADIENTS[0])
    np.testing.assert_allclose(second, first - RATE / 2 * GRADIENTS[1])
    np.testing.assert_array_equal(third, second)


@pytest.mark.parametrize("name", ["rmsprop", "adam", "sgd"])
def test_a_step_has_a_derivative_where_the_gradient_is_zero(name):
    """The root of a zero second moment has none: epsilon sits inside."""
    optimiser = make(name)

    def step(gradient):
        return optimiser.update(gradient, optimiser.init(X), X)[0]

    slope = jnp.diagonal(jax.jacobian(step)(np.zeros(2)))
    # A first step's moments: rmsprop (1 - decay) g^2, adam g and g^2.
    expected = {"rmsprop": RATE / np.sqrt(EPS), "adam": RATE / np.sqrt(EPS)}
    np.testing.assert_allclose(slope, -expected.get(name, RATE))


@pytest.mark.parametrize("name", ["rmsprop", "adam", "sgd"])
def test_a_clipped_step_has_a_derivative_where_the_gradient_is_zero(name):
    clipped, free = make(name, clip=0.5), make(name)

    def slope(optimiser):
        def step(gradient):
            return optimiser.update(gradient, optimiser.init(X), X)[0]

        return jax.jacobian(step)(np.zeros(2))

    np.testing.assert_allclose(slope(clipped), slope(free))
    assert np.all(np.isfinite(slope(clipped)))


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.floats(-10.0, 10.0, width=32), min_size=3, max_size=3),
    st.floats(0.1, 20.0),
)
def test_clipping_is_optax_s(numbers, most):
    gradient = {"a": np.array(numbers[:2]), "b": np.array(numbers[2])}
    found, _ = clip_by_global_norm(most).update(gradient, optax.EmptyState())
    optaxs = optax.clip_by_global_norm(most)
    expected, _ = optaxs.update(gradient, optaxs.init(gradient))
    jax.tree.map(np.testing.assert_allclose, found, expected)


def test_an_unknown_name_is_refused():
    with pytest.raises(KeyError, match="adagrad"):
        make("adagrad")
