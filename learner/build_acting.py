"""Reads the configuration and puts together what plays: agent and games."""

from typing import Any

import jax.numpy as jnp

from actors import networks
from actors.agent import Agent, make_agent
from actors.environment import Environment
from actors.evaluation import play
from actors.spaces import Spec
from actors.unroll import Unroller
from learner.config import Config
from learner.record.evaluations import Games
from learner.record.film import Film

PyTree = Any


def build_agent(config: Config, task: Spec) -> Agent:
    """The agent that both the actors and the learner use."""
    net = config.network
    torsos = {
        "residual": lambda: networks.residual(net.channels, hidden=net.hidden),
        "nature": lambda: networks.nature(hidden=net.hidden),
        "small": lambda: networks.small(hidden=net.hidden),
        "mlp": lambda: networks.mlp((net.hidden, net.hidden)),
    }
    return make_agent(
        task,
        lambda: networks.ActorCritic(
            networks.in_precision(
                torsos[net.torso](), jnp.dtype(net.precision)
            ),
            num_actions=task.num_actions,
            num_heads=config.heads,
            head_hidden=net.head_hidden,
            lstm_size=net.lstm,
        ),
    )


def build_unroller(config: Config, offset: int) -> Unroller:
    """An actor's inside; `offset` makes its seeds differ from other actors'."""
    actors = config.actors
    lock_step = actors.envs if actors.in_process else actors.envs_per_step
    # Environment i of actor n is seeded with seed + 1000 n + i.
    seed = config.seed + 1000 * offset
    environment = _environment(config, actors.envs, lock_step, seed)
    return Unroller(
        environment,
        build_agent(config, environment.spec),
        unroll_length=config.learner.unroll_length,
        trajectories=actors.trajectories,
        seed=seed,
        tape=actors.in_process,
    )


def play_games(config: Config, params: PyTree, count: int, seed: int) -> Games:
    """Plays `count` whole games, one in each of as many environments; the
    beginning of the first is filmed."""
    environment = _environment(config, count, count, seed)
    agent = build_agent(config, environment.spec)
    film = Film(environment.spec)
    games = play(environment, agent, params, seed=seed, watch=film.watch)
    environment.close()
    return Games(games, film.gif())


def _environment(
    config: Config, count: int, batch_size: int, seed: int
) -> Environment:
    return Environment(
        config.task,
        config.environment.protocol,
        num_envs=count,
        batch_size=batch_size,
        num_threads=config.actors.threads,
        seed=seed,
    )
