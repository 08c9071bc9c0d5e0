"""Update rules: one step by hand, and finite meta-gradients."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from meta import update as update_lib

pytestmark = pytest.mark.usefixtures("float64")


def pull(x, w, batch):
    """w/2 |x - batch|^2, whose gradient in x is w (x - batch)."""
    gap = x - batch
    return 0.5 * w * jnp.sum(gap * gap), {"gap": gap[0]}


def after_one_step(optimiser, x, batch):
    """The parameters after one update, as a function of w."""
    update = update_lib.gradient_update(pull, optimiser)
    state = update.init(x)
    return jax.jit(lambda w: update.apply(state, w, batch)[0].params)


def test_sgd_step_by_hand():
    update = update_lib.gradient_update(pull, optax.sgd(0.1))
    x, batch = jnp.array([5.0, 5.0]), jnp.array([2.0, 1.0])

    state, metrics = update.apply(update.init(x), 2.0, batch)

    # Gradient: 2 (5 - 2, 5 - 1) = (6, 8); step: 0.1 (6, 8).
    np.testing.assert_allclose(state.params, [4.4, 4.2], rtol=1e-15)
    assert metrics["gap"] == 3.0  # the loss's own metric
    assert metrics["loss"] == 25.0
    assert metrics["gradient_norm"] == 10.0


def test_gradient_norm_is_taken_before_clipping():
    clipped = optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(1.0))
    update = update_lib.gradient_update(pull, clipped)
    x = jnp.array([3.0, 4.0])

    state, metrics = update.apply(update.init(x), 1.0, jnp.zeros(2))

    assert metrics["gradient_norm"] == 5.0
    np.testing.assert_allclose(state.params, [2.4, 3.2], rtol=1e-15)


def test_optimiser_state_is_carried():
    momentum = optax.sgd(0.5, momentum=0.5)
    update = update_lib.gradient_update(pull, momentum)
    state = update.init(jnp.array([1.0]))

    for _ in range(2):
        state, _ = update.apply(state, 1.0, jnp.zeros(1))

    # m1 = 1, x1 = 0.5; m2 = 0.5 + 0.5 = 1, x2 = 0.
    np.testing.assert_allclose(state.params, [0.0], atol=1e-15)


def test_decay_sees_the_parameters():
    decayed = optax.chain(optax.add_decayed_weights(0.5), optax.sgd(1.0))
    x1 = after_one_step(decayed, jnp.array([4.0]), jnp.array([4.0]))
    np.testing.assert_allclose(x1(1.0), [2.0])


def test_fields_of_a_richer_inner_state_are_kept():
    class Counted(NamedTuple):
        params: Any
        opt_state: Any
        steps: int

    update = update_lib.gradient_update(pull, optax.sgd(0.1))
    plain = update.init(jnp.zeros(2))

    state, _ = update.apply(Counted(*plain, steps=7), 1.0, jnp.ones(2))

    assert isinstance(state, Counted)
    assert state.steps == 7


def test_meta_gradient_of_sgd():
    x, batch = jnp.array([5.0, -1.0]), jnp.array([2.0, 1.0])
    x1 = after_one_step(optax.sgd(0.1), x, batch)
    # x' = x - 0.1 w (x - batch).
    np.testing.assert_allclose(jax.jacobian(x1)(0.3), -0.1 * (x - batch))


def test_meta_gradient_of_rmsprop():
    x, batch = np.array([5.0, -1.0]), np.array([2.0, 1.0])
    rate, decay, eps, w = 0.1, 0.9, 1e-2, 0.3
    optimiser = optax.rmsprop(rate, decay, eps, eps_in_sqrt=True)
    x1 = after_one_step(optimiser, x, batch)

    # x' = x - rate g / sqrt(n) with g = w (x - batch), n = 0.1 g^2 + eps.
    g = w * (x - batch)
    n = (1 - decay) * g**2 + eps
    slope = n**-0.5 - (1 - decay) * g**2 * n**-1.5

    np.testing.assert_allclose(x1(w), x - rate * g * n**-0.5)
    np.testing.assert_allclose(jax.jacobian(x1)(w), -rate * slope * (x - batch))


AT_REST = np.array([1.0, 1.0]), np.array([1.0, 2.0])  # one gradient is zero


@pytest.mark.parametrize(
    "optimiser",
    [
        optax.rmsprop(0.1, eps=1e-4, eps_in_sqrt=True),
        optax.adam(0.1, eps=0.0, eps_root=1e-8),
    ],
    ids=["rmsprop", "adam"],
)
def test_epsilon_inside_the_root_keeps_meta_gradients_finite(optimiser):
    gradient = jax.jacobian(after_one_step(optimiser, *AT_REST))(0.5)
    assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize(
    "optimiser",
    [
        optax.rmsprop(0.1, eps=1e-4, eps_in_sqrt=False),
        optax.adam(0.1, eps=1e-4),
    ],
    ids=["rmsprop", "adam"],
)
def test_epsilon_outside_the_root_gives_nan(optimiser):
    """Documents the trap that `gradient_update` warns of."""
    gradient = jax.jacobian(after_one_step(optimiser, *AT_REST))(0.5)
    if np.all(np.isfinite(gradient)):
        pytest.skip("this optax is safe with epsilon outside the root")
    assert np.isnan(gradient[0])
