"""The acting side of a run's configuration: environment, network, actors."""

import dataclasses
from typing import Literal

from learner.config_ranges import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)


@dataclasses.dataclass(frozen=True)
class EnvironmentConfig:
    """How the games are played."""

    # Atari protocol: impala (84x84 grey, minimal actions, life loss ends the
    # discount), bmg (210x160 RGB), machado (sticky actions 0.25, all 18
    # actions), impala-sticky and bmg-sticky (machado's rules, else as those).
    # Other tasks are played as EnvPool makes them.
    protocol: str = "impala"


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """The network, the same for acting and learning."""

    # IMPALA's residual torso; the DQN torsos of 2015 and 2013; a perceptron.
    torso: Literal["residual", "nature", "small", "mlp"] = "residual"
    # Channels of each section of the residual torso.
    channels: tuple[PositiveInt, ...] = (16, 32, 32)
    # Units of the torso's last layer; of every layer of the mlp.
    hidden: PositiveInt = 256
    # Units of the hidden layers of each head; none for linear heads.
    head_hidden: tuple[PositiveInt, ...] = ()
    # Units of an LSTM core; 0 for none.
    lstm: NonNegativeInt = 0
    # What the torso computes in; parameters and all else stay float32.
    # bfloat16 pays on accelerators.
    precision: Literal["float32", "bfloat16"] = "float32"


@dataclasses.dataclass(frozen=True)
class ActorsConfig:
    """Who makes experience."""

    # Ray actors.
    count: PositiveInt = 4
    # Of them, those that the cluster must have cores for at the start; the
    # others join as it grows. 0 for all.
    min: NonNegativeInt = 0
    # Seconds to wait at the start for nodes with room for the learner and those
    # actors; minutes, where an autoscaler has to start them.
    patience: NonNegativeFloat = 10.0
    # Environments of each actor.
    envs: PositiveInt = 32
    # Environments that an actor awaits per policy step; fewer than `envs` lets
    # the others step meanwhile.
    envs_per_step: PositiveInt = 16
    # EnvPool's threads in each actor.
    threads: PositiveInt = 1
    # Cores that Ray reserves for each actor.
    cpus: NonNegativeFloat = 1.0
    # Trajectories (of unroll-length + 1 steps) that an actor returns at a time.
    trajectories: PositiveInt = 32
    # Unrolls in flight per actor: 1, or 2 where latency shows.
    in_flight: PositiveInt = 1
    # Of frames on their way to the learner: zlib makes them 14 to 50 times
    # smaller, for a few per cent of an actor's time and more of the learner's.
    # For networks below 10 Gbit/s.
    compression: Literal["none", "zlib"] = "none"
    # Seconds after which a silent actor is replaced.
    timeout: PositiveFloat = 300.0
    # Failures in a row, without one unroll between, that end the run.
    max_failures: PositiveInt = 10
    # Play in the learner's process, in lock-step and without Ray: slow,
    # deterministic, for tests and debugging.
    in_process: bool = False
