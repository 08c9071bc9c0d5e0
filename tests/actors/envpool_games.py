"""EnvPool's games, played by given actions."""

import numpy as np

from actors.environment import Environment


def make(task, protocol="impala", *, num_envs=2, seed=0):
    return Environment(
        task,
        protocol,
        num_envs=num_envs,
        batch_size=num_envs,
        num_threads=1,
        seed=seed,
    )


def play(environment, actions):
    """Plays `[T, N]` actions in lock-step; returns `[T + 1, N]` fields."""
    everyone = np.arange(environment.num_envs)
    environment.reset()
    steps = [environment.recv()]
    for action in actions:
        environment.send(action, everyone)
        steps.append(environment.recv())
    environment.close()
    return type(steps[0])(*map(np.stack, zip(*steps, strict=True)))


def random_actions(num_actions, steps, num_envs):
    rng = np.random.default_rng(0)
    return rng.integers(num_actions, size=(steps, num_envs)).astype(np.int32)
