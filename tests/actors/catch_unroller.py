"""A real unroller of a small game."""

from actors.agent import make_agent
from actors.environment import Environment
from actors.networks import ActorCritic, mlp
from actors.unroll import Unroller


def make_catch_unroller(seed):
    environment = Environment(
        "Catch-v0",
        "impala",
        num_envs=2,
        batch_size=1,
        num_threads=1,
        seed=seed,
    )
    agent = make_catch_agent(environment.spec)
    return Unroller(
        environment, agent, unroll_length=9, trajectories=4, seed=seed
    )


def make_catch_agent(task):
    return make_agent(
        task, lambda: ActorCritic(mlp((8,)), num_actions=3, num_heads=1)
    )
