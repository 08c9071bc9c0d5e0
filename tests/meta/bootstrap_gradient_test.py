"""BMG on a bandit: numpy transcription, identities, finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from meta import bootstrap as bootstrap_lib
from tests.meta.actor_critic_bandit import (
    ALPHA,
    BATCHES,
    INNER,
    MATCHING,
    PLAIN,
    assert_close,
    gradient_by_hand,
    meta_params,
    plain_loss,
    sigmoid,
    stream,
    table,
)
from tests.meta.jitted import follow

pytestmark = pytest.mark.usefixtures("float64")


@jax.jit
def objective(x, x_0, w, batch):
    del x_0
    return plain_loss(x, w, batch)[0]


# Leaves w as it is and keeps the meta-gradient as its state.
recorder = optax.GradientTransformation(
    lambda w: jax.tree.map(np.zeros_like, w),
    lambda gradient, _, w: (jax.tree.map(np.zeros_like, w), gradient),
)


def meta_gradient(learner, x, w, window):
    state, _ = learner.step(learner.init(x, w), window)
    return state.meta_opt_state


@pytest.mark.parametrize("batches", BATCHES)
@pytest.mark.parametrize("k", [1, 2, 3])
def test_one_sgd_step_under_l2_is_the_standard_meta_gradient(k, batches):
    """x~ = x_K - alpha grad f: grad mu = 2 alpha grad f (x_K(w))."""
    # SGD: RMSProp nearly cancels a rescaled loss, and would prove little.
    bmg = bootstrap_lib.bootstrapped(
        INNER["sgd"],
        PLAIN["sgd"],
        MATCHING["l2"],
        recorder,
        num_inner=k,
        batches=BATCHES[batches],
    )
    standard = bootstrap_lib.standard(
        INNER["sgd"],
        objective,
        recorder,
        num_inner=k,
        batches=BATCHES[batches],
    )
    assert bmg.window == standard.window
    problem = table(), meta_params(), stream(bmg.window)

    expected = meta_gradient(standard, *problem)

    assert min(abs(g) for g in expected.values()) > 1e-3
    assert_close(
        meta_gradient(bmg, *problem),
        {name: 2 * ALPHA * g for name, g in expected.items()},
        rtol=1e-11,
    )


@pytest.mark.parametrize("matching", MATCHING)
@pytest.mark.parametrize("optimiser", INNER)
@pytest.mark.parametrize("length", [1, 2, 4])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_meta_gradient_is_that_of_a_constant_bootstrap(
    k, length, optimiser, matching
):
    """By central differences of mu(x~, x_K(w)), x~ held where it is."""
    update, plain = INNER[optimiser], PLAIN[optimiser]
    mu = MATCHING[matching]
    learner = bootstrap_lib.bootstrapped(
        update, plain, mu, recorder, num_inner=k, num_bootstrap=length
    )
    x, w, window = table(), meta_params(), stream(k + length)

    ahead = follow(update, update.init(x), w, window[:-1])
    bootstrap = follow(plain, plain.init(ahead.params), w, window[-1:]).params

    def loss(w):
        x_k = follow(update, update.init(x), w, window[:k]).params
        return mu(x_k, bootstrap, w, window[-1])

    step = 1e-5
    expected = {
        name: (
            loss(w | {name: w[name] + step}) - loss(w | {name: w[name] - step})
        )
        / (2 * step)
        for name in w
    }
    if matching != "kl":  # A policy alone does not feel the value's weight.
        assert abs(expected["value"]) > 1e-6
    assert abs(expected["entropy"]) > 1e-6
    actual = meta_gradient(learner, x, w, window)
    for name in w:
        np.testing.assert_allclose(
            actual[name], expected[name], rtol=1e-5, atol=1e-9
        )


@pytest.mark.parametrize("optimiser", INNER)
def test_no_gradient_through_the_bootstrap(optimiser):
    learner = bootstrap_lib.bootstrapped(
        INNER[optimiser],
        PLAIN[optimiser],
        lambda x, bootstrap, w, batch: jnp.sum(bootstrap**2),
        recorder,
        num_inner=2,
        num_bootstrap=3,
    )
    gradient = meta_gradient(learner, table(), meta_params(), stream(5))
    assert gradient == {"entropy": 0.0, "value": 0.0}


def test_meta_gradient_of_one_step_by_hand():
    """K = L = 1, SGD and L2, by the chain rule."""
    learner = bootstrap_lib.bootstrapped(
        INNER["sgd"], PLAIN["sgd"], MATCHING["l2"], recorder
    )
    x, w, (first, second) = table(), meta_params(), stream(2)
    y = sigmoid(np.array([w["value"], w["entropy"]]))
    x_1 = x - 0.5 * gradient_by_hand(x, *y, first)

    # x_1 - x~ = alpha grad f(x_1), d x_1 / d w = -0.5 y' times its gradient.
    gap = ALPHA * gradient_by_hand(x_1, 0.5, 0.1, second)
    slopes = [
        gradient_by_hand(x, *(y + unit), first) - gradient_by_hand(x, *y, first)
        for unit in np.eye(2)
    ]
    value, entropy = (
        np.sum(2 * gap * -0.5 * slope * y_i * (1 - y_i))
        for slope, y_i in zip(slopes, y, strict=True)
    )
    assert_close(
        meta_gradient(learner, x, w, [first, second]),
        {"entropy": entropy, "value": value},
    )
