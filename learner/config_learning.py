"""The learning side of a run's configuration: batches, losses, optimisers."""

import dataclasses
from typing import Annotated, Literal

from learner.config_ranges import (
    Decay,
    Epsilon,
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SigmoidStart,
    Symbol,
    one_of,
)

# The hyper-parameters of the loss that can be self-tuned.
TUNABLE = (
    "discount",
    "trace",
    "value_weight",
    "policy_weight",
    "entropy_weight",
    "alpha_rho",
    "alpha_c",
)


@dataclasses.dataclass(frozen=True)
class LearnerConfig:
    """How batches become parameters."""

    # T, agent steps per unroll.
    unroll_length: PositiveInt = 20
    # B, trajectories per batch, whatever the number of actors.
    batch: PositiveInt = 32
    # Learner hosts: processes, each on a node of its own where there are as
    # many, that share every batch and the actors.
    hosts: PositiveInt = 1
    # Devices of each host that share its part of a batch; 0 for all. On CPUs as
    # many virtual devices are made; 0 makes one per core.
    devices: NonNegativeInt = 0
    # GPUs that Ray reserves for each host; 0 learns on CPUs.
    gpus: NonNegativeFloat = 0.0
    # TPU chips that Ray reserves for each host.
    tpus: NonNegativeFloat = 0.0
    # Cores that Ray reserves for each host.
    cpus: NonNegativeFloat = 1.0
    # Batches prepared ahead.
    prefetch: PositiveInt = 1
    # Updates in a row that may be skipped for values that are not finite.
    max_skipped: PositiveInt = 20
    # Times that a learner which died is started again from its checkpoint.
    max_restarts: NonNegativeInt = 3


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """The inner loss and the plain objective."""

    # Discount of the plain objective and first value of the inner loss's.
    discount: Fraction = 0.99
    # Mixing parameter of the V-trace returns (lambda).
    trace: Fraction = 1.0
    # Weight of the value loss.
    value_weight: float = 0.5
    # Weight of the policy-gradient loss.
    policy_weight: float = 1.0
    # Weight of the entropy bonus.
    entropy_weight: float = 0.01
    # Auxiliary heads (STACX); impala has none whatever this says.
    auxiliary_heads: NonNegativeInt = 2
    # Losses are summed over time and batch (IMPALA) or averaged.
    reduction: Literal["sum", "mean"] = "sum"
    # Rewards are clipped to [-x, x] for learning; 0 leaves them.
    reward_clip: NonNegativeFloat = 1.0


@dataclasses.dataclass(frozen=True)
class OptimiserConfig:
    """An optimiser of the parameters."""

    # Of the inner updates.
    name: Literal["rmsprop", "adam", "sgd"] = "rmsprop"
    # At the start of the run.
    learning_rate: NonNegativeFloat = 6e-4
    # The learning rate falls linearly to this fraction at the end of the run.
    final_fraction: Fraction = 0.0
    # Decay of the second moment (rmsprop; adam's b2).
    decay: Decay = 0.99
    # Inside the root, so that it can be differentiated.
    epsilon: Epsilon = 0.01
    # First value of rmsprop's second moment: 0, or TensorFlow's 1.
    initial_scale: NonNegativeFloat = 0.0
    # Clip of the gradient's global norm; 0 for none.
    clip: NonNegativeFloat = 40.0


@dataclasses.dataclass(frozen=True)
class MetaConfig:
    """Self-tuning: used by stacx and bmg."""

    # K, inner updates per meta-step, kept and differentiated through.
    inner_updates: Annotated[PositiveInt, Symbol("K")] = 1
    # L, bootstrap updates per meta-step (bmg).
    bootstrap_updates: Annotated[PositiveInt, Symbol("L")] = 1
    # Which batches bootstrap: the next ones, or the last inner one again.
    bootstrap_batches: Literal["next", "same"] = "next"
    # The learner goes on from the inner updates' end, or from the newest
    # parameters under the learned rule, x_{K+L-1}.
    continue_from: Literal["inner", "bootstrap"] = "inner"
    # How far x_K is from its bootstrap (bmg).
    matching: Literal["l2", "kl", "kl-v"] = "kl-v"
    # Coefficient of the values' squared difference in kl-v.
    value_coefficient: NonNegativeFloat = 0.25
    # Optimiser of the last bootstrap update; its other values are the inner
    # optimiser's (bmg).
    bootstrap_optimiser: Literal["rmsprop", "adam", "sgd"] = "rmsprop"
    # Learning rate of the last bootstrap update; 0 takes the inner one's.
    bootstrap_learning_rate: NonNegativeFloat = 0.0
    # Weight of KL(new policy, old policy) in the outer loss (stacx).
    outer_kl: NonNegativeFloat = 1.0
    # Learning rate of the meta-optimiser, Adam.
    learning_rate: NonNegativeFloat = 1e-3
    # Epsilon of the meta-optimiser, outside the root.
    epsilon: Epsilon = 1e-4
    # Clip of the meta-gradient's global norm; 0 for none.
    clip: NonNegativeFloat = 0.3
    # Where the sigmoid of every self-tuned hyper-parameter starts; its logit
    # is 4.6.
    initial: SigmoidStart = 0.99
    # The self-tuned hyper-parameters; the others stay as they are.
    tuned: tuple[Annotated[str, one_of(TUNABLE)], ...] = TUNABLE


@dataclasses.dataclass(frozen=True)
class ReplayConfig:
    """Replay of old unrolls, mixed with new ones at a fixed ratio."""

    # Trajectories of each batch that come from replay; 0 for none.
    trajectories: NonNegativeInt = 0
    # Trajectories kept.
    capacity: PositiveInt = 10_000
    # Steps where KL(behaviour || current) exceeds this are masked (LASER); 0
    # masks none.
    kl_threshold: NonNegativeFloat = 0.0


@dataclasses.dataclass(frozen=True)
class CheckpointConfig:
    """What is saved when."""

    # Seconds between checkpoints.
    seconds: PositiveFloat = 300.0
    # Updates between checkpoints, in addition; 0 for none.
    updates: NonNegativeInt = 0
    # Newest checkpoints kept.
    keep: PositiveInt = 3
    # Parts of the run after which a checkpoint is kept for good.
    milestones: NonNegativeInt = 10
