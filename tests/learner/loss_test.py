"""The loss: a transcription in numpy, and rlax."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import rlax

from actors.transition import FIRST, LAST
from learner.loss import predict
from tests.learner.loss_reference import (
    STEP_TYPE,
    B,
    H,
    T,
    a_batch,
    a_perceptron,
    a_table,
    clip_to,
    compiled,
    gradient,
    look_up,
    loss_by_hand,
    make_loss,
    observed,
    perceive,
    some_hyperparams,
)

pytestmark = pytest.mark.usefixtures("float64")


@pytest.mark.parametrize("threshold", [np.inf, 0.8])
@pytest.mark.parametrize("limit", [np.inf, 0.5])
def test_the_loss_is_its_transcription(limit, threshold):
    loss = make_loss(
        lambda w: w, clip_reward=clip_to(limit), kl_threshold=threshold
    )
    for seed in range(3):
        table, h, batch = a_table(seed), some_hyperparams(seed), a_batch(seed)
        value, metrics = jax.jit(loss)(table, table, h, batch)
        expected, metrics_by_hand = loss_by_hand(
            table, h, batch, limit=limit, threshold=threshold
        )
        np.testing.assert_allclose(value, expected, rtol=1e-10)
        assert metrics.keys() == metrics_by_hand.keys()
        for name in metrics_by_hand:
            np.testing.assert_allclose(
                metrics[name], metrics_by_hand[name], rtol=1e-6
            )


def test_a_mean_is_the_sum_over_its_steps():
    problem = a_table(), some_hyperparams(), a_batch()
    (total, _), _ = compiled()(*problem)
    (mean, _), _ = compiled(reduce=jnp.mean)(*problem)
    np.testing.assert_allclose(mean, total / (T * B))


def test_the_network_sees_where_games_begin():
    calls = []

    def network(*arguments):
        calls.append(arguments)
        return look_up(*arguments)

    batch, table = a_batch()._replace(core_state={"memory": 7}), a_table()
    loss = make_loss(lambda w: w, network=network)
    loss(table, table, some_hyperparams(), batch)
    predict(network)(table, batch)
    for params, observation, first, core_state in calls:
        assert params is table
        assert observation is batch.transitions.observation
        np.testing.assert_array_equal(first, STEP_TYPE == FIRST)
        assert core_state == {"memory": 7}
    assert len(calls) == 3  # the loss has two arguments of parameters


# The inner gradient is the usual one.


def rlax_loss(params, h, batch):
    """IMPALA's loss, summed over heads, from rlax's parts."""
    t, outputs = batch.transitions, perceive(params, *observed(batch))
    ratio = (
        jax.nn.softmax(outputs.logits)[:-1]
        / (jax.nn.softmax(t.logits)[:-1, :, None])
    )

    def trajectory(
        h, logits, values, ratio, action, reward, discount, step_type
    ):
        valid = (step_type[:-1] != LAST).astype(logits.dtype)
        vtrace = rlax.vtrace_td_error_and_advantage(
            values[:-1],
            values[1:],
            reward[1:],
            discount[1:] * h.discount,
            jax.lax.stop_gradient(rlax.batched_index(ratio, action)) * valid,
            h.trace,
        )
        policy = rlax.policy_gradient_loss(
            logits, action, vtrace.pg_advantage, valid
        )
        pi = jax.nn.softmax(logits)
        return T * (
            h.policy_weight * policy
            + h.value_weight * 0.5 * jnp.mean(valid * vtrace.errors**2)
            + h.entropy_weight
            * jnp.mean(valid * jnp.sum(pi * jnp.log(pi), axis=-1))
        )

    trajectories = jax.vmap(trajectory, in_axes=(None, *[1] * 7))
    heads = jax.vmap(trajectories, in_axes=(0, 2, 2, 2, *[None] * 4))
    return jnp.sum(
        heads(
            h,
            outputs.logits[:-1],
            outputs.values,
            ratio,
            jnp.asarray(t.action[:-1]),
            jnp.asarray(t.reward),
            jnp.asarray(t.discount),
            STEP_TYPE,
        )
    )


@pytest.mark.filterwarnings("ignore:Rlax softmax:PendingDeprecationWarning")
def test_the_inner_gradient_is_that_of_rlax_parts():
    ones = np.ones(H)
    h = some_hyperparams()._replace(alpha_rho=ones, alpha_c=ones)
    params, batch = a_perceptron(), a_batch()
    gradient_of = jax.jit(
        jax.grad(make_loss(lambda _: h, network=perceive), 0, True)
    )
    gradient_by_rlax = jax.jit(
        jax.grad(functools.partial(rlax_loss, h=h, batch=batch))
    )
    found, expected = (
        gradient_of(params, params, (), batch)[0],
        gradient_by_rlax(params),
    )
    for name in params:
        assert np.abs(expected[name]).min() > 1e-6
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-8)


def test_leaks_change_the_inner_gradient():
    ones = np.ones(H)
    h = some_hyperparams()._replace(alpha_rho=ones, alpha_c=ones)
    clipped = gradient(a_table(), h, a_batch())
    for name in ("alpha_rho", "alpha_c"):
        leaky = gradient(a_table(), h._replace(**{name: 0.5 * ones}), a_batch())
        assert np.abs(leaky.values - clipped.values).max() > 1e-3
