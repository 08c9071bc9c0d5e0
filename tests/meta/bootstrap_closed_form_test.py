"""Meta-steps whose outcome is known in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from meta import bootstrap as bootstrap_lib
from meta import matching as matching_lib
from meta import update as update_lib
from tests.meta.recording_update import bootstrap_params, recording_learner

pytestmark = pytest.mark.usefixtures("float64")


# A parabola, f(x) = x^2 / 2, whose meta-parameter is the step size.


def parabola(x, w, batch):
    del batch
    return 0.5 * w * x**2, {}


def plain_parabola(x, w, batch):
    return parabola(x, 1.0, batch)


def step_size_learner(k, length, rate):
    return bootstrap_lib.bootstrapped(
        update_lib.gradient_update(parabola, optax.sgd(1.0)),
        update_lib.gradient_update(plain_parabola, optax.sgd(0.1)),
        matching_lib.squared_distance(),
        optax.sgd(rate),
        num_inner=k,
        num_bootstrap=length,
    )


@pytest.mark.parametrize("w", [0.3, 1.4])
@pytest.mark.parametrize("length", [1, 2, 4])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_meta_gradient_of_the_step_size(k, length, w):
    x = 2.0
    learner = step_size_learner(k, length, 1.0)
    before = learner.init(jnp.float64(x), jnp.float64(w))

    after, metrics = learner.step(before, [None] * learner.window)

    x_k = (1 - w) ** k * x
    bootstrap = (1 - 0.1) * (1 - w) ** (k + length - 1) * x
    slope = -k * (1 - w) ** (k - 1) * x
    gradient = -2 * (bootstrap - x_k) * slope
    np.testing.assert_allclose(after.inner.params, x_k)
    np.testing.assert_allclose(after.meta_params, w - gradient)
    np.testing.assert_allclose(metrics["meta"]["loss"], (bootstrap - x_k) ** 2)
    np.testing.assert_allclose(metrics["meta"]["gradient"], gradient)
    np.testing.assert_allclose(metrics["meta"]["gradient_norm"], abs(gradient))
    np.testing.assert_allclose(
        metrics["bootstrap"]["distance"], abs(bootstrap - x_k)
    )


@pytest.mark.parametrize("w", [0.5, 1.5])
def test_step_size_is_learnt(w):
    # The Newton step, w = 1, is the best step size of a parabola.
    learner = step_size_learner(1, 2, rate=0.05)
    state = learner.init(jnp.float64(2.0), jnp.float64(w))
    x_0 = state.inner
    step = jax.jit(learner.step)
    for _ in range(100):
        state, _ = step(state._replace(inner=x_0), (None,) * 3)
    np.testing.assert_allclose(state.meta_params, 1.0, atol=1e-2)


def test_fixed_makes_k_plain_updates():
    update = update_lib.gradient_update(parabola, optax.sgd(1.0))
    learner = bootstrap_lib.fixed(update, num_inner=3)
    assert (learner.window, learner.stride) == (3, 3)
    state = learner.init(jnp.float64(8.0), jnp.float64(0.5))

    state, metrics = learner.step(state, [None] * 3)

    assert state.inner.params == 1.0
    assert state.meta_params == 0.5
    # Gradients 0.5 (8, 4, 2).
    np.testing.assert_allclose(metrics["inner"]["gradient_norm"], 7 / 3)


def near(x, x_0, w, batch):
    """f plus a hold on x_0: the objective of STACX in small."""
    return 0.5 * x**2 + 3.0 * (x - x_0) ** 2


@pytest.mark.parametrize("k", [1, 2, 3])
def test_standard_meta_gradient(k):
    update = update_lib.gradient_update(parabola, optax.sgd(1.0))
    learner = bootstrap_lib.standard(update, near, optax.sgd(0.1), num_inner=k)
    x, w = 2.0, 0.3
    state = learner.init(jnp.float64(x), jnp.float64(w))

    state, metrics = learner.step(state, [None] * learner.window)

    # x_0 is where the learner stood before its K updates.
    x_k = (1 - w) ** k * x
    slope = -k * (1 - w) ** (k - 1) * x
    gradient = (x_k + 6.0 * (x_k - x)) * slope
    np.testing.assert_allclose(state.inner.params, x_k)
    np.testing.assert_allclose(state.meta_params, w - 0.1 * gradient)
    np.testing.assert_allclose(metrics["meta"]["loss"], near(x_k, x, w, None))


def test_standard_objective_of_x_0_gives_no_meta_gradient():
    update = update_lib.gradient_update(parabola, optax.sgd(1.0))
    learner = bootstrap_lib.standard(
        update, lambda x, x_0, w, batch: x_0**2, optax.sgd(1.0), num_inner=2
    )
    before = learner.init(jnp.float64(2.0), jnp.float64(0.3))
    after, metrics = learner.step(before, [None] * 3)
    assert after.meta_params == before.meta_params
    assert metrics["meta"]["gradient_norm"] == 0.0


# K = 0: the matching function alone reads the meta-parameters.


def greedy_policy_kl(q, bootstrap_q, epsilon, batch):
    """-log of the epsilon-greedy probability of the bootstrap's action."""
    greedy = jnp.argmax(q, -1) == jnp.argmax(bootstrap_q, -1)
    unchanged = 1 - epsilon + epsilon / q.shape[-1]
    changed = epsilon / q.shape[-1]
    return -jnp.mean(jnp.log(jnp.where(greedy, unchanged, changed)))


def towards_batch(x, w, batch):
    return 0.5 * jnp.sum((x - batch) ** 2), {}


def q_learner(matching, num_kept):
    """Moves the q-values halfway to each batch, wholly on the last."""
    return bootstrap_lib.bootstrapped(
        update_lib.gradient_update(towards_batch, optax.sgd(0.5)),
        update_lib.gradient_update(towards_batch, optax.sgd(1.0)),
        matching,
        optax.sgd(1.0),
        num_inner=0,
        num_bootstrap=3,
        continue_after=num_kept,
    )


def q_values(*greedy):
    return np.eye(2)[list(greedy)]


def test_exploration_is_learnt_without_inner_updates():
    # One of four states changes its greedy action: 1/4 = eps (1 - 1/2) at the
    # minimum, where eps = 0.5.
    q, bootstrap_q = q_values(0, 0, 1, 1), q_values(0, 0, 1, 0)
    learner = q_learner(greedy_policy_kl, num_kept=2)
    for epsilon in (0.1, 0.5, 0.9):
        state = learner.init(q, jnp.float64(epsilon))
        state, _ = learner.step(state, [q, q, bootstrap_q])
        gradient = 0.75 * 0.5 / (1 - 0.5 * epsilon) - 0.25 / epsilon
        np.testing.assert_allclose(
            state.meta_params, epsilon - gradient, atol=1e-12
        )


@pytest.mark.parametrize(("num_kept", "expected"), [(1, 0.5), (2, 0.75)])
def test_without_inner_updates_the_learner_follows_the_bootstrap(
    num_kept, expected
):
    learner = q_learner(greedy_policy_kl, num_kept)
    assert (learner.window, learner.stride) == (3, num_kept)
    state = learner.init(np.zeros((4, 2)), jnp.float64(0.3))
    state, metrics = learner.step(state, [np.ones((4, 2))] * 3)
    np.testing.assert_allclose(state.inner.params, expected)
    assert metrics["inner"]["loss"] > 0


def test_without_inner_updates_nothing_else_reaches_w():
    learner, state = recording_learner(0, 3, 2, read=bootstrap_params)
    after, metrics = learner.step(state, [1, 2, 3])
    assert metrics["meta"] == {
        "loss": 123.5,
        "gradient_norm": 0.0,
        "gradient": 0.0,
    }
    assert after.meta_params == state.meta_params
