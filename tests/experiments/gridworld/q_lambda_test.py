"""Q(lambda) against its formulas and literal loops."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments.gridworld import q_lambda
from experiments.gridworld.agent import Rollout
from experiments.gridworld.build import q_lambda_agent
from experiments.gridworld.config import GridworldConfig, QLambdaConfig
from experiments.gridworld.environment import NUM_ACTIONS
from experiments.gridworld.schedule import constant, scalar
from experiments.gridworld.variants import Variant
from meta.bootstrap import bootstrapped
from tests.experiments.gridworld.rollouts import (
    DISCOUNT,
    doubled,
    rollout,
)

pytestmark = pytest.mark.usefixtures("float64")


@pytest.mark.parametrize("trace", [0.0, 0.9, 1.0])
def test_peng_by_eligibility_is_peng_by_returns(trace):
    """At constant parameters the sums over a path agree."""
    net = q_lambda.make_network(8)
    params = doubled(net.init(jax.random.key(0)))
    path = rollout(length=20)
    # An "optimiser" that adds up what it is given and moves nothing.
    adder = optax.GradientTransformation(
        lambda params: jax.tree.map(jnp.zeros_like, params),
        lambda g, total, _: (
            jax.tree.map(jnp.zeros_like, g),
            jax.tree.map(jnp.add, total, g),
        ),
    )
    rule = q_lambda.peng_q_lambda(
        net, constant(0.1), adder, discount=DISCOUNT, trace=trace
    )
    state = rule.init(params)
    for t in range(20):
        one = Rollout(
            path.observation[t : t + 2],
            path.action[t : t + 1],
            path.reward[t : t + 1],
            path.recent,
            path.context,
        )
        state, _ = rule.apply(state, (), one)

    q = np.asarray(net.q(params, path.observation))
    returns, ahead = np.zeros(20), q[20].max()
    for t in reversed(range(20)):
        ahead = path.reward[t] + DISCOUNT * (
            (1 - trace) * q[t + 1].max() + trace * ahead
        )
        returns[t] = ahead

    def surrogate(params):
        q = net.q(params, path.observation)
        taken = q[jnp.arange(20), path.action]
        return -jnp.sum((returns - jax.lax.stop_gradient(taken)) * taken)

    expected = jax.grad(surrogate)(params)
    for x, y in zip(
        jax.tree.leaves(state.opt_state), jax.tree.leaves(expected), strict=True
    ):
        np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-12)


def test_epsilon_greedy_explores_as_often_as_it_says():
    net = q_lambda.make_network(8)
    params = net.init(jax.random.key(0))
    observation = rollout().observation[0]
    sample = q_lambda.act(net, constant(0.4))
    keys = jax.random.split(jax.random.key(1), 20_000)
    actions = jax.vmap(lambda key: sample(params, (), observation, (), key))(
        keys
    )
    count = np.bincount(np.asarray(actions), minlength=NUM_ACTIONS)
    greedy = int(jnp.argmax(net.q(params, observation)))
    expected = np.full(NUM_ACTIONS, 0.1)
    expected[greedy] += 0.6
    np.testing.assert_allclose(count / len(keys), expected, atol=0.015)


def q_tables(changed):
    """Parameters whose network is a table; `changed` states differ."""
    net = q_lambda.Network(lambda key: None, lambda params, x: params)
    table = jnp.eye(NUM_ACTIONS)[jnp.zeros(10, int)]
    bootstrap_table = table.at[:changed].set(jnp.eye(NUM_ACTIONS)[1])
    return net, table, bootstrap_table


@pytest.mark.parametrize("changed", [1, 4, 6])
def test_the_matching_is_least_where_epsilon_covers_the_changes(changed):
    """epsilon (1 - 1 / A) = the share of changed greedy actions."""
    net, table, bootstrap_table = q_tables(changed)
    matching = q_lambda.greedy_matching(net, scalar())
    slope = jax.grad(matching, argnums=2)
    best = changed / 10 / (1 - 1 / NUM_ACTIONS)
    w = jnp.asarray(np.log(best / (1 - best)))
    assert abs(slope(table, bootstrap_table, w, rollout())) < 1e-12
    assert slope(table, bootstrap_table, w - 0.1, rollout()) < -1e-3
    assert slope(table, bootstrap_table, w + 0.1, rollout()) > 1e-3


def test_the_matching_is_a_kl_divergence():
    net, table, bootstrap_table = q_tables(3)
    value = 0.2
    matching = q_lambda.greedy_matching(net, constant(value))
    expected = 0.0
    for q, q_target in zip(
        np.asarray(table), np.asarray(bootstrap_table), strict=True
    ):
        pi = np.full(NUM_ACTIONS, value / NUM_ACTIONS)
        pi[q.argmax()] += 1 - value
        target = np.eye(NUM_ACTIONS)[q_target.argmax()]
        expected += sum(
            p * np.log(p / agents)
            for p, agents in zip(target, pi, strict=True)
            if p > 0
        )
    np.testing.assert_allclose(
        matching(table, bootstrap_table, (), rollout()),
        expected / 10,
        rtol=1e-12,
    )


AVERAGED = {
    "before": q_lambda.averaged_before,
    "within": q_lambda.averaged_within,
}


@pytest.mark.parametrize("where", AVERAGED)
def test_averaged_gradients_step_as_a_literal_loop_does(where):
    optimiser = AVERAGED[where](3e-5)
    gradients = np.random.default_rng(0).normal(0.0, 1e-3, (50, 4))
    state = optimiser.init(jnp.zeros(4))
    mean, square = np.zeros(4), np.zeros(4)
    for t, gradient in enumerate(gradients, start=1):
        update, state = optimiser.update(jnp.asarray(gradient), state)
        mean = 0.9 * mean + 0.1 * gradient
        average = mean / (1 - 0.9**t)
        seen = average if where == "before" else gradient
        square = 0.999 * square + 0.001 * seen**2
        root = np.sqrt(square / (1 - 0.999**t))
        np.testing.assert_allclose(
            update, -3e-5 * average / (root + 1e-4), rtol=1e-9
        )


@pytest.mark.parametrize("where", AVERAGED)
def test_a_study_averages_gradients_where_it_says(where):
    config = GridworldConfig(q=QLambdaConfig(hidden=8, averaging=where))
    agent, _ = q_lambda_agent(
        config,
        Variant("q-lambda", "fixed"),
        jnp.zeros(()),
        scalar(),
        optax.identity(),
    )
    params = agent.init(jax.random.key(0))
    state = agent.rule.init(params).opt_state
    expected = AVERAGED[where](3e-5).init(params)
    assert jax.tree.structure(state) == jax.tree.structure(expected)


def test_epsilon_is_learned_without_any_derivative_of_an_update():
    """K = 0: a rule that cannot be differentiated will do."""
    net = q_lambda.make_network(8)
    rule = q_lambda.peng_q_lambda(
        net, scalar(), optax.sgd(0.5), discount=DISCOUNT, trace=0.9
    )

    def opaque(state, meta_params, batch):
        state, metrics = rule.apply(state, meta_params, batch)
        # while_loop has no reverse-mode derivative.
        state = jax.lax.while_loop(
            lambda carry: carry[0] < 1,
            lambda carry: (carry[0] + 1, carry[1]),
            (0, state),
        )[1]
        return state, metrics

    once = rule._replace(apply=opaque)
    learner = bootstrapped(
        once,
        once,
        q_lambda.greedy_matching(net, scalar()),
        optax.sgd(1.0),
        num_inner=0,
        num_bootstrap=3,
        continue_after=2,
    )
    params = doubled(net.init(jax.random.key(0)))
    state = learner.init(params, jnp.zeros((), jnp.float64))
    window = [rollout(seed, length=1) for seed in range(3)]
    state, metrics = jax.jit(learner.step)(state, window)
    assert metrics["meta"]["gradient_norm"] > 0
    assert state.meta_params != 0
