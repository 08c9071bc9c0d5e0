"""Asynchronous unrolls against the same games in lock-step."""

import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from actors.agent import Agent, AgentOutput
from actors.episode import Episode
from actors.transition import FIRST, LAST, MID
from actors.unroll import Unroller
from tests.actors.scripted_environment import (
    assert_equal,
    make_environment,
)


def streams(unrolls, length):
    """Joins each environment's trajectories, which overlap by one step."""
    pieces = collections.defaultdict(list)
    for unroll in unrolls:
        envs, times = np.moveaxis(unroll.transitions.logits[..., :2], -1, 0)
        for b, env in enumerate(envs[0]):
            begins = length * len(pieces[env])
            assert (envs[:, b] == env).all()
            np.testing.assert_array_equal(
                times[:, b], begins + np.arange(length + 1)
            )
            trajectory = jax.tree.map(
                lambda x, b=b: x[:, b], unroll.transitions
            )
            if pieces[env]:
                last = jax.tree.map(lambda x: x[-1], pieces[env][-1])
                assert_equal(jax.tree.map(lambda x: x[0], trajectory), last)
            pieces[env].append(trajectory)
    joined = {}
    for env, trajectories in pieces.items():
        new = [
            jax.tree.map(lambda x: x[:-1], trajectory)
            for trajectory in trajectories
        ]
        joined[int(env)] = jax.tree.map(lambda *xs: np.concatenate(xs), *new)
    return joined


@pytest.mark.parametrize(("num_envs", "batch_size"), [(5, 2), (3, 1)])
def test_asynchronous_games_are_those_played_in_lockstep(
    num_envs, batch_size, counting_agent, lockstep, shorten
):
    shorten("impala", 60)
    environment = make_environment(
        "Breakout-v5", num_envs=num_envs, batch_size=batch_size
    )
    unroller = Unroller(
        environment,
        counting_agent(environment.spec),
        unroll_length=7,
        trajectories=3,
        seed=0,
    )
    unrolls = [unroller.unroll((), 0)[0] for _ in range(35)]
    unroller.close()
    played = streams(unrolls, length=7)
    steps = min(len(stream.action) for stream in played.values())
    assert sorted(played) == list(range(num_envs))
    assert steps > 62  # a game and more of every environment

    actions = np.stack([played[n].action[:steps] for n in range(num_envs)], 1)
    expected = lockstep("Breakout-v5", "impala", 3, actions[:-1])
    for n in range(num_envs):
        stream = jax.tree.map(lambda x, n=n: x[:steps], played[n])
        lost = np.diff(expected.lives[:, n], prepend=np.inf) < 0
        first = expected.elapsed[:, n] == 0
        over = expected.terminated[:, n] | (lost & ~first)
        last = expected.terminated[:, n] | expected.truncated[:, n]
        types = np.where(first, FIRST, np.where(last, LAST, MID))
        np.testing.assert_array_equal(
            stream.observation, expected.observation[:, n, -1:]
        )
        np.testing.assert_array_equal(stream.reward, expected.reward[:, n])
        np.testing.assert_array_equal(stream.discount, 1.0 - over)
        np.testing.assert_array_equal(stream.step_type, types)
        assert lost.any()


def test_scores_are_those_of_the_games(counting_agent, lockstep):
    environment = make_environment("Breakout-v5", num_envs=1)
    unroller = Unroller(
        environment,
        counting_agent(environment.spec),
        unroll_length=300,
        trajectories=2,
        seed=0,
    )
    unroll, episodes = unroller.unroll((), 0)
    unroller.close()
    actions = np.concatenate(
        [unroll.transitions.action[:-1, b] for b in (0, 1)]
    )
    expected = lockstep("Breakout-v5", "impala", 3, actions[:, None])
    ends = np.flatnonzero(expected.terminated)
    games = np.split(expected.reward[:, 0], ends + 1)[:-1]
    # The first step of a game is its reset.
    assert episodes == [
        Episode(float(game.sum()), 4 * (len(game) - 1)) for game in games
    ]
    assert len(episodes) >= 2
    assert max(episode.episode_return for episode in episodes) >= 2


def biased_agent(spec):
    """Logits are the parameters, whatever is seen."""

    def step(params, key, observation, first, core_state):
        logits = jnp.broadcast_to(params, (len(first), spec.num_actions))
        action = jax.random.categorical(key, logits).astype(jnp.int32)
        return AgentOutput(action, logits, jnp.zeros((len(first), 1))), ()

    return Agent(lambda key: (), lambda size: (), step, unroll=None)


def play_catch(seed, *params):
    environment = make_environment("Catch-v0")
    agent = biased_agent(environment.spec)
    unroller = Unroller(
        environment, agent, unroll_length=50, trajectories=2, seed=seed
    )
    unrolls = [unroller.unroll(p, 0)[0].transitions for p in params]
    unroller.close()
    return unrolls


def test_new_parameters_act_from_the_next_step_on():
    old, new = np.array([99.0, 0.0, 0.0]), np.array([0.0, 0.0, 99.0])
    before, after = play_catch(0, old, new)
    assert (before.action == 0).all()
    # The overlapping step had been taken with the old ones.
    assert (after.action[0] == 0).all()
    assert (after.action[1:] == 2).all()
    np.testing.assert_array_equal(after.logits[0], [old, old])
    np.testing.assert_array_equal(after.logits[1], [new, new])


def test_actions_are_drawn_anew_at_each_step_as_seeded():
    uniform = np.zeros(3)
    first, repeated, other = (
        play_catch(seed, uniform)[0].action for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, repeated)
    assert (first != other).any()
    counts = np.bincount(first.ravel(), minlength=3)
    assert (counts > 102 / 3 - 20).all()
    assert (first[:, 0] != first[:, 1]).any()
