"""Configurations by name.

Standing of a value: [S] read in the paper named or in official code, [M]
recalled from the paper's tables and unverified, [D] ours.
"""

import dataclasses
from collections.abc import Callable

from learner.config import (
    ActorsConfig,
    CheckpointConfig,
    Config,
    EnvironmentConfig,
    LearnerConfig,
    LossConfig,
    MetaConfig,
    NetworkConfig,
    OptimiserConfig,
    ReplayConfig,
)


def atari() -> Config:
    """IMPALA's protocol and settings (Espeholt et al. 2018).

    [S]: protocol, network, loss, optimiser, unroll length and batch. [D]: how
    many actors and environments. [M]: the meta-learning of stacx and bmg.
    """
    return Config(
        actors=ActorsConfig(
            count=8, envs=32, envs_per_step=16, trajectories=16
        ),
        # As TensorFlow's RMSProp, with which IMPALA was published, begins.
        optimiser=OptimiserConfig(initial_scale=1.0),
        meta=MetaConfig(clip=0.3),
    )


def atari_paper() -> Config:
    """BMG's Atari agent (Flennerhag et al. 2022, section 5.2).

    [S]: 200M frames. [M]: all other values, among them the replay, the
    network, the optimiser, K, L and the matching function.
    """
    return Config(
        environment=EnvironmentConfig(protocol="bmg"),
        network=NetworkConfig(
            torso="residual",
            channels=(64, 128, 128, 64),
            hidden=512,
            head_hidden=(256, 256),
        ),
        actors=ActorsConfig(count=24, envs=8, envs_per_step=4, trajectories=6),
        loss=LossConfig(
            discount=0.995,
            value_weight=0.25,
            entropy_weight=0.01,
            auxiliary_heads=2,
            # Not stated; a clip of 0.3 fits averages, not sums [D].
            reduction="mean",
        ),
        optimiser=OptimiserConfig(
            learning_rate=1e-4, decay=0.99, epsilon=1e-4, clip=0.3
        ),
        learner=LearnerConfig(unroll_length=20, batch=18, gpus=1.0),
        replay=ReplayConfig(trajectories=12, capacity=10_000, kl_threshold=2.0),
        meta=MetaConfig(
            inner_updates=1,
            bootstrap_updates=4,
            matching="kl-v",
            value_coefficient=0.25,
            bootstrap_optimiser="rmsprop",
            learning_rate=1e-3,
            epsilon=1e-4,
            clip=0.3,
        ),
    )


def pong_cpu() -> Config:
    """Pong on two cores in about an hour; the settings are ours [D]."""
    return Config(
        task="Pong-v5",
        frames=16_000_000,
        network=NetworkConfig(torso="small", hidden=256),
        # Few environments for each batch: the lag stays at some updates. Two
        # unrolls in flight: with one the actor idles while it is fetched. Two
        # threads: with one a core idles while the learner waits.
        actors=ActorsConfig(
            count=1,
            envs=16,
            envs_per_step=8,
            threads=2,
            trajectories=8,
            in_flight=2,
            timeout=120.0,
        ),
        # A trace of 0.9: returns of 20 steps are mostly noise at first.
        loss=LossConfig(reduction="mean", trace=0.9, entropy_weight=0.003),
        # Small batches, so that a few million frames make enough updates.
        optimiser=OptimiserConfig(
            name="rmsprop",
            learning_rate=1e-3,
            epsilon=1e-5,
            clip=0.5,
            final_fraction=0.1,
        ),
        # Small batches are noisy, and a KL in the outer loss then asks for ever
        # smaller updates: the policy's weight falls, and with it the return.
        meta=MetaConfig(outer_kl=0.0),
        # One device: with an actor on the same two cores, two virtual ones
        # wait for each other.
        learner=LearnerConfig(unroll_length=20, batch=8, devices=1),
    )


def quick() -> Config:
    """The start of `pong-cpu`: what `make train` runs in some minutes."""
    return dataclasses.replace(
        pong_cpu(), frames=1_200_000, checkpoint=CheckpointConfig(seconds=60.0)
    )


def catch() -> Config:
    """A ball to catch on a 10x5 board: seconds to learn [D]."""
    return Config(
        task="Catch-v0",
        frames=150_000,
        network=NetworkConfig(torso="mlp", hidden=64),
        actors=ActorsConfig(count=1, envs=16, envs_per_step=8, trajectories=8),
        loss=LossConfig(reduction="mean"),
        optimiser=OptimiserConfig(
            name="adam",
            learning_rate=2e-3,
            decay=0.999,
            epsilon=1e-8,
            clip=0.5,
        ),
        learner=LearnerConfig(unroll_length=10, batch=8, devices=1),
        evaluation_episodes=20,
        log_seconds=1.0,
    )


PRESETS: dict[str, Callable[[], Config]] = {
    "quick": quick,
    "catch": catch,
    "pong-cpu": pong_cpu,
    "atari": atari,
    "atari-paper": atari_paper,
}
