"""One learner host: `python one_host.py INDEX COUNT ADDRESS OUT`.

Takes some meta-steps of each algorithm on its columns of given batches, and
writes what came out. Started by hosts_test.py.
"""

import sys

import jax
import numpy as np

from actors.environment import FIRST, LAST, MID, Spec
from actors.transition import Transition, Unroll, columns
from learner import build, build_acting
from learner.config import (
    Config,
    LearnerConfig,
    LossConfig,
    MetaConfig,
    NetworkConfig,
    OptimiserConfig,
)
from learner.hosts import join

T, B, STEPS = 4, 8, 5
TASK = Spec(
    num_actions=3,
    observation_shape=(4, 3),  # [S * C, W]
    observation_dtype=np.dtype(np.uint8),
    stack=2,
    frames_per_step=4,
)


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
    mine = slice(index * part, (index + 1) * part)
    for step in range(STEPS):
        seeds = range(step * learner.stride, step * learner.stride + 10)
        window = [
            learner.place(columns(_batch(seed), mine))
            for seed in seeds[: learner.window]
        ]
        state, metrics = learner.step(state, window)
    tuned = learner.hyperparams(state)
    kept = {"state": state, "metrics": metrics, "tuned": tuned}
    return jax.tree_util.tree_leaves_with_path(jax.device_get(kept))


def _batch(seed):
    """Of all hosts, with resets; single frames."""
    rng = np.random.default_rng(seed)
    step_type = rng.choice(
        [FIRST, MID, LAST], p=[0.1, 0.8, 0.1], size=(T + 1, B)
    )
    transitions = Transition(
        observation=rng.integers(256, size=(T + 1, B, 2, 3), dtype=np.uint8),
        step_type=step_type.astype(np.int8),
        reward=rng.normal(size=(T + 1, B)).astype(np.float32),
        discount=(step_type != LAST).astype(np.float32),
        action=rng.integers(3, size=(T + 1, B), dtype=np.int32),
        logits=rng.normal(size=(T + 1, B, 3)).astype(np.float32),
    )
    older = rng.integers(256, size=(B, 2, 3), dtype=np.uint8)
    return Unroll(transitions, older, (), np.zeros(B, np.int32))


if __name__ == "__main__":
    main()
