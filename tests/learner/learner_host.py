"""One learner host: `python learner_host.py INDEX COUNT ADDRESS OUT`.

Takes some meta-steps of each algorithm on its part of given batches, and
writes what came out. Started by multihost_test.py.
"""

import sys

import jax
import numpy as np

from actors.transition import take
from learner import build, build_acting
from learner.config import (
    Config,
    LearnerConfig,
    LossConfig,
    MetaConfig,
    NetworkConfig,
    OptimiserConfig,
)
from learner.multihost import join
from tests.learner.tiny_learner import TASK, T, a_batch

B, STEPS = 8, 5


def main() -> None:
    index, count = map(int, sys.argv[1:3])
    join(sys.argv[3], index, count)
    found = {}
    for algorithm in ("impala", "stacx", "bmg"):
        for path, leaf in _train(algorithm, index, count):
            found[algorithm + jax.tree_util.keystr(path)] = leaf
    np.savez(sys.argv[4], devices=len(jax.devices()), **found)


def _train(algorithm, index, count):
    config = Config(
        algorithm=algorithm,
        frames=100 * T * B * 4,
        network=NetworkConfig(torso="mlp", hidden=8),
        learner=LearnerConfig(unroll_length=T, batch=B),
        loss=LossConfig(reduction="mean"),
        optimiser=OptimiserConfig(learning_rate=1e-2),
        meta=MetaConfig(
            bootstrap_updates=2,
            epsilon=1e-8,
            learning_rate=1e-2,
        ),
    )
    agent = build_acting.build_agent(config, TASK)
    learner = build.build_learner(config, TASK, agent)
    # Another start on each host: all must go on from the first one's.
    state = learner.init(agent.init(jax.random.key(index)))
    part = B // count
    own = slice(index * part, (index + 1) * part)
    for step in range(STEPS):
        seeds = range(step * learner.stride, step * learner.stride + 10)
        window = [
            learner.place(take(a_batch(seed, B), own))
            for seed in seeds[: learner.window]
        ]
        state, metrics = learner.step(state, window)
    tuned = learner.hyperparams(state)
    results = {"state": state, "metrics": metrics, "tuned": tuned}
    return jax.tree_util.tree_leaves_with_path(jax.device_get(results))


if __name__ == "__main__":
    main()
