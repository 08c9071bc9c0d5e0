"""Unrolls of a tape: played again, they are the same bit for bit."""

import io

import jax
import numpy as np
import pytest

from actors import networks
from actors.agent import make_agent
from actors.unroll import Unroller
from tests.actors.scripted_environment import (
    Scripted,
    assert_equal,
    make_environment,
)


def make_recurrent(task, **options):
    """A real recurrent agent, whose random actions a tape must keep."""
    environment = make_environment(task)
    agent = make_agent(
        environment.spec,
        lambda: networks.ActorCritic(
            networks.mlp((3,)),
            num_actions=environment.spec.num_actions,
            num_heads=1,
            lstm_size=4,
        ),
    )
    unroller = Unroller(
        environment, agent, unroll_length=5, trajectories=2, seed=0, **options
    )
    rng = np.random.default_rng(0)
    params = jax.tree.map(
        lambda x: rng.normal(size=x.shape).astype(np.float32),
        jax.eval_shape(agent.init, jax.random.key(0)),
    )
    return unroller, params


def through_a_file(tape):
    file = io.BytesIO()
    np.savez(file, **tape)
    file.seek(0)
    return dict(np.load(file))


@pytest.mark.parametrize(
    ("task", "limit"), [("Catch-v0", None), ("Pong-v5", 12)]
)
def test_tape_goes_on_bit_for_bit(task, limit, shorten):
    if limit:
        shorten("impala", limit)
    unroller, params = make_recurrent(task, tape=True)
    history = [unroller.unroll(params, version) for version in range(4)]
    tape = through_a_file(unroller.tape())
    future = [unroller.unroll(params, version) for version in (4, 5)]
    unroller.close()
    assert sum(len(episodes) for _, episodes in history + future) >= 2

    fresh, _ = make_recurrent(task, tape=True)
    fresh.replay(tape)
    nonsense = jax.tree.map(np.zeros_like, params)
    assert_equal([fresh.unroll(nonsense, 99) for _ in range(4)], history)
    assert_equal([fresh.unroll(params, version) for version in (4, 5)], future)
    assert_equal(fresh.tape(), unroller.tape())
    fresh.close()


def test_tape_of_nothing_is_a_fresh_start():
    unroller, params = make_recurrent("Catch-v0", tape=True)
    fresh, _ = make_recurrent("Catch-v0")
    fresh.replay(through_a_file(unroller.tape()))
    assert_equal(fresh.unroll(params, 0), unroller.unroll(params, 0))
    unroller.close()
    fresh.close()


def test_tape_needs_lockstep(counting_agent):
    environment = Scripted()
    with pytest.raises(ValueError, match="batch_size = num_envs"):
        Unroller(
            environment,
            counting_agent(environment.spec),
            unroll_length=2,
            trajectories=1,
            seed=0,
            tape=True,
        )


def test_without_a_tape_there_is_none_to_give(counting_agent):
    environment = Scripted()
    agent = counting_agent(environment.spec)
    unroller = Unroller(
        environment, agent, unroll_length=2, trajectories=1, seed=0
    )
    with pytest.raises(ValueError, match="keeps no tape"):
        unroller.tape()
