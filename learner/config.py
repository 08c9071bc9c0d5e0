"""The configuration of a run: frozen dataclasses, read only where wired.

Defaults are IMPALA's published Atari settings (Espeholt et al. 2018, sourced)
with STACX's and BMG's meta-learning on top;
`experiments/command/presets.py` says where each of those values comes from.
"""

import dataclasses
from typing import Literal

Algorithm = Literal["impala", "stacx", "bmg"]
WRITERS = ("tensorboard", "wandb", "mlflow")


class ConfigError(ValueError):
    """A configuration that cannot run; the message is for the user."""


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
    channels: tuple[int, ...] = (16, 32, 32)
    # Units of the torso's last layer; of every layer of the mlp.
    hidden: int = 256
    # Units of the hidden layers of each head; none for linear heads.
    head_hidden: tuple[int, ...] = ()
    # Units of an LSTM core; 0 for none.
    lstm: int = 0
    # What the torso computes in; parameters and all else stay float32.
    # bfloat16 pays on accelerators.
    precision: Literal["float32", "bfloat16"] = "float32"


@dataclasses.dataclass(frozen=True)
class ActorsConfig:
    """Who makes experience."""

    # Ray actors.
    count: int = 4
    # Of them, those that the cluster must have cores for at the start; the
    # others join as it grows. 0 for all.
    min: int = 0
    # Seconds to wait at the start for nodes with room for the learner and those
    # actors; minutes, where an autoscaler has to start them.
    patience: float = 10.0
    # Environments of each actor.
    envs: int = 32
    # Environments that an actor awaits per policy step; fewer than `envs` lets
    # the others step meanwhile.
    envs_per_step: int = 16
    # EnvPool's threads in each actor.
    threads: int = 1
    # Cores that Ray reserves for each actor.
    cpus: float = 1.0
    # Trajectories (of unroll-length + 1 steps) that an actor returns at a time.
    trajectories: int = 32
    # Unrolls in flight per actor: 1, or 2 where latency shows.
    in_flight: int = 1
    # Of frames on their way to the learner: zlib makes them 14 to 50 times
    # smaller, for a few per cent of an actor's time and more of the learner's.
    # For networks below 10 Gbit/s.
    compression: Literal["none", "zlib"] = "none"
    # Seconds after which a silent actor is replaced.
    timeout: float = 300.0
    # Failures in a row, without one unroll between, that end the run.
    max_failures: int = 10
    # Play in the learner's process, in lock-step and without Ray: slow,
    # deterministic, for tests and debugging.
    in_process: bool = False


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """The inner loss and the plain objective."""

    # Discount of the plain objective and first value of the inner loss's.
    discount: float = 0.99
    # Mixing parameter of the V-trace returns (lambda).
    trace: float = 1.0
    # Weight of the value loss.
    value_weight: float = 0.5
    # Weight of the policy-gradient loss.
    policy_weight: float = 1.0
    # Weight of the entropy bonus.
    entropy_weight: float = 0.01
    # Auxiliary heads (STACX); impala has none whatever this says.
    auxiliary_heads: int = 2
    # Losses are summed over time and batch (IMPALA) or averaged.
    reduction: Literal["sum", "mean"] = "sum"
    # Rewards are clipped to [-x, x] for learning; 0 leaves them.
    reward_clip: float = 1.0


@dataclasses.dataclass(frozen=True)
class OptimiserConfig:
    """An optimiser of the parameters."""

    # Of the inner updates.
    name: Literal["rmsprop", "adam", "sgd"] = "rmsprop"
    # At the start of the run.
    learning_rate: float = 6e-4
    # The learning rate falls linearly to this fraction at the end of the run.
    final_fraction: float = 0.0
    # Decay of the second moment (rmsprop; adam's b2).
    decay: float = 0.99
    # Inside the root, so that it can be differentiated.
    epsilon: float = 0.01
    # Clip of the gradient's global norm; 0 for none.
    clip: float = 40.0


@dataclasses.dataclass(frozen=True)
class MetaConfig:
    """Self-tuning: used by stacx and bmg."""

    # K, inner updates per meta-step, kept and differentiated through.
    inner_updates: int = 1
    # L, bootstrap updates per meta-step (bmg).
    bootstrap_updates: int = 1
    # Which batches bootstrap: the next ones, or the last inner one again.
    bootstrap_batches: Literal["next", "same"] = "next"
    # The learner goes on from the inner updates' end, or from the newest
    # parameters under the learned rule, x_{K+L-1}.
    continue_from: Literal["inner", "bootstrap"] = "inner"
    # How far x_K is from its bootstrap (bmg).
    matching: Literal["l2", "kl", "kl-v"] = "kl-v"
    # Coefficient of the values' squared difference in kl-v.
    value_coefficient: float = 0.25
    # Optimiser of the last bootstrap update; its other values are the inner
    # optimiser's (bmg).
    bootstrap_optimiser: Literal["rmsprop", "adam", "sgd"] = "rmsprop"
    # Learning rate of the last bootstrap update; 0 takes the inner one's.
    bootstrap_learning_rate: float = 0.0
    # Weight of KL(new policy, old policy) in the outer loss (stacx).
    outer_kl: float = 1.0
    # Learning rate of the meta-optimiser, Adam.
    learning_rate: float = 1e-3
    # Epsilon of the meta-optimiser, outside the root.
    epsilon: float = 1e-4
    # Clip of the meta-gradient's global norm; 0 for none.
    clip: float = 0.3
    # Where the sigmoid of every self-tuned hyper-parameter starts; its logit
    # is 4.6.
    initial: float = 0.99
    # The self-tuned hyper-parameters; the others stay as they are.
    tuned: tuple[str, ...] = (
        "discount",
        "trace",
        "value_weight",
        "policy_weight",
        "entropy_weight",
        "alpha_rho",
        "alpha_c",
    )


@dataclasses.dataclass(frozen=True)
class ReplayConfig:
    """Replay of old unrolls, mixed with new ones at a fixed ratio."""

    # Trajectories of each batch that come from replay; 0 for none.
    trajectories: int = 0
    # Trajectories kept.
    capacity: int = 10_000
    # Steps where KL(behaviour || current) exceeds this are masked (LASER); 0
    # masks none.
    kl_threshold: float = 0.0


@dataclasses.dataclass(frozen=True)
class LearnerConfig:
    """How batches become parameters."""

    # T, agent steps per unroll.
    unroll_length: int = 20
    # B, trajectories per batch, whatever the number of actors.
    batch: int = 32
    # Learner hosts: processes, each on a node of its own where there are as
    # many, that share every batch and the actors.
    hosts: int = 1
    # Devices of each host that share its part of a batch; 0 for all. On CPUs as
    # many virtual devices are made; 0 makes one per core.
    devices: int = 0
    # GPUs that Ray reserves for each host; 0 learns on CPUs.
    gpus: float = 0.0
    # TPU chips that Ray reserves for each host.
    tpus: float = 0.0
    # Cores that Ray reserves for each host.
    cpus: float = 1.0
    # Batches prepared ahead.
    prefetch: int = 1
    # Updates in a row that may be skipped for values that are not finite.
    max_skipped: int = 20
    # Times that a learner which died is started again from its checkpoint.
    max_restarts: int = 3


@dataclasses.dataclass(frozen=True)
class CheckpointConfig:
    """What is saved when."""

    # Seconds between checkpoints.
    seconds: float = 300.0
    # Updates between checkpoints, in addition; 0 for none.
    updates: int = 0
    # Newest checkpoints kept.
    keep: int = 3
    # Parts of the run after which a checkpoint is kept for good.
    milestones: int = 10


@dataclasses.dataclass(frozen=True)
class Config:
    """One run."""

    # EnvPool's task, such as Pong-v5, Breakout-v5, Catch-v0, CartPole-v1; or an
    # environment of your own, package.module:make, to be imported from here.
    task: str = "Pong-v5"
    # impala tunes nothing; stacx and bmg tune the loss's hyper-parameters.
    algorithm: Algorithm = "bmg"
    # Environment frames to train for: 4 per agent step on Atari.
    frames: int = 200_000_000
    # Of the first parameters, the actions and the environments.
    seed: int = 1
    # The run's folder; runs/TASK-ALGORITHM-SEED if empty.
    out: str = ""
    # Whole games that the final policy plays, all at a time.
    evaluation_episodes: int = 10
    # Environment frames between such games while training; 0 for none. They
    # take as many cores as one more actor.
    evaluation_frames: int = 0
    # Seconds between lines of metrics.
    log_seconds: float = 5.0
    # What else shows the run: tensorboard, wandb (Weights & Biases), mlflow;
    # none if the list is empty. The last two are extras of their own.
    writers: tuple[str, ...] = ("tensorboard",)
    # Minutes between pages of the run (page.html) while it trains; 0 for none.
    # One is written at the end in any case.
    page_minutes: float = 5.0
    # Ray cluster to join: auto, HOST:PORT, ray://HOST:PORT, and for --submit
    # http://HOST:PORT; RAY_ADDRESS if empty, else one is started here.
    address: str = ""

    # How the games are played.
    environment: EnvironmentConfig = EnvironmentConfig()
    # The network, the same for acting and learning.
    network: NetworkConfig = NetworkConfig()
    # Who makes experience.
    actors: ActorsConfig = ActorsConfig()
    # How batches become parameters.
    learner: LearnerConfig = LearnerConfig()
    # The inner loss and the plain objective.
    loss: LossConfig = LossConfig()
    # The optimiser of the parameters.
    optimiser: OptimiserConfig = OptimiserConfig()
    # Self-tuning: used by stacx and bmg.
    meta: MetaConfig = MetaConfig()
    # Old unrolls, mixed with new ones at a fixed ratio.
    replay: ReplayConfig = ReplayConfig()
    # What is saved when.
    checkpoint: CheckpointConfig = CheckpointConfig()

    @property
    def folder(self) -> str:
        """The run's folder."""
        name = f"{self.task}-{self.algorithm}-{self.seed}"
        return self.out or f"runs/{name.replace('/', '-').replace(':', '-')}"

    @property
    def heads(self) -> int:
        """H, 1 + auxiliary heads."""
        extra = self.loss.auxiliary_heads
        return 1 if self.algorithm == "impala" else 1 + extra

    @property
    def online(self) -> int:
        """Trajectories of each batch that are new."""
        return self.learner.batch - self.replay.trajectories
