"""The sign of a meta-step, on a bandit whose answer is known.

The last of two arms pays.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from meta import bootstrap as bootstrap_lib
from meta import matching as matching_lib
from tests.meta.jitted import follow, jitted_update

pytestmark = pytest.mark.usefixtures("float64")


def exact_loss(x, entropy_weight, reward):
    """Policy gradients without sampling: x holds the two logits."""
    log_pi = jax.nn.log_softmax(x)
    entropy = -jnp.exp(log_pi) @ log_pi
    return -jnp.exp(log_pi) @ reward - entropy_weight * entropy, {}


def exact_predict(x, reward):
    return matching_lib.Prediction(x[None], reward[:1], jnp.ones(1))


EXACT = jitted_update(exact_loss, optax.sgd(0.5))
EXACT_PLAIN = jitted_update(
    lambda x, w, reward: exact_loss(x, 0.0, reward), optax.sgd(0.5)
)
EXACT_MATCHING = {
    "l2": jax.jit(matching_lib.squared_distance()),
    "kl": jax.jit(matching_lib.policy_kl(exact_predict)),
}
REWARD = np.array([0.0, 1.0])
WEIGHT = np.array(0.05)  # of the entropy


def weight_after_meta_step(logits, length, matching):
    learner = bootstrap_lib.bootstrapped(
        EXACT,
        EXACT_PLAIN,
        EXACT_MATCHING[matching],
        optax.sgd(0.01),
        num_inner=2,
        num_bootstrap=length,
    )
    state = learner.init(np.array(logits), WEIGHT)
    state, metrics = learner.step(state, [REWARD] * learner.window)
    return state.meta_params, metrics["meta"]["loss"]


both_matchings = pytest.mark.parametrize("matching", EXACT_MATCHING)


@both_matchings
@pytest.mark.parametrize("length", [1, 4])
def test_entropy_weight_falls_where_entropy_holds_the_learner_back(
    length, matching
):
    # The paying arm leads: only the entropy bonus pulls the other way.
    after, _ = weight_after_meta_step([0.0, 1.0], length, matching)
    assert after < WEIGHT


@both_matchings
@pytest.mark.parametrize("length", [1, 4])
def test_entropy_weight_rises_where_entropy_brings_the_learner_on(
    length, matching
):
    # The idle arm leads: the entropy bonus pulls towards the paying one.
    after, _ = weight_after_meta_step([2.0, 0.0], length, matching)
    assert after > WEIGHT


@both_matchings
@pytest.mark.parametrize("logits", [[0.0, 1.0], [2.0, 0.0]], ids=str)
def test_a_meta_update_brings_the_learner_nearer_its_bootstrap(
    logits, matching
):
    after, loss = weight_after_meta_step(logits, 1, matching)

    def learn(w):
        return follow(EXACT, EXACT.init(np.array(logits)), w, [REWARD] * 2)

    plain = EXACT_PLAIN.init(learn(WEIGHT).params)
    bootstrap = follow(EXACT_PLAIN, plain, WEIGHT, [REWARD]).params

    def distance(w):
        mu = EXACT_MATCHING[matching]
        return mu(learn(w).params, bootstrap, w, REWARD)

    np.testing.assert_allclose(distance(WEIGHT), loss, rtol=1e-9, atol=1e-12)
    assert distance(after) < distance(WEIGHT)
