"""The configuration of a grid-world study.

Standing of a value: [R] read in a related paper of the same group (Luketina et
al. 2022), [T] third parties, [M] recalled and unverified, [D] ours.
"""

import dataclasses
import pathlib
from typing import Literal

AgentName = Literal["ac", "q-lambda"]
Method = Literal["fixed", "mg", "bmg"]
ContextName = Literal["none", "reward"]


@dataclasses.dataclass(frozen=True)
class WorldConfig:
    """The two-colour world."""

    # Steps between switches of the colour that pays [R].
    period: int = 100_000
    # Reward of a step that reaches nothing: -0.04 [T], or 0 [R].
    step_reward: float = 0.0
    # What moves when an object is reached: that object [T], or all [R].
    respawn: Literal["object", "all"] = "all"


@dataclasses.dataclass(frozen=True)
class ActorCriticConfig:
    """The actor-critic; its entropy weight is fixed or learned."""

    # K, inner updates of a meta-step.
    K: tuple[int, ...] = (1,)
    # L, bootstrap updates of a meta-step (bmg).
    L: tuple[int, ...] = (15,)
    # Entropy weights (fixed) [R].
    entropy: tuple[float, ...] = (0.0, 0.1, 0.2, 0.4, 0.8)
    # Entropy weights of the outer loss (mg) [R].
    outer_entropy: tuple[float, ...] = (0.0, 0.1)
    # Learning rates of the meta-optimiser [R].
    meta_rate: tuple[float, ...] = (2e-4,)
    # Layers of the schedule's network [R]; [M]: one of 32.
    meta_sizes: tuple[int, ...] = (64, 64)
    # Roll-outs whose mean rewards are the reward context [R].
    context_size: int = 10
    # Units of each of two layers, of the policy and of the value [R].
    hidden: int = 256
    # Steps between updates [R].
    length: int = 16
    # Discount of the returns [R].
    discount: float = 0.99
    # Mixing parameter of the returns, 0 for one step and 1 for all steps of a
    # roll-out. "n-step returns" [R] of no stated n; at 1 their noise drives the
    # weight of a long bootstrap up [D].
    trace: float = 0.9
    # Weight of the mean squared error of the values [D]: with 0.25 some seeds
    # diverge within a million steps.
    value_weight: float = 0.1
    # Variance of the first weights, times their number of inputs: 1 is
    # Haiku's default, 1/3 is PyTorch's [D].
    init_scale: float = 1 / 3
    # Of the inner optimiser, SGD [R].
    learning_rate: float = 0.1
    # The matching KL over a roll-out's states: their sum, or their mean, whose
    # gradient is far below the meta-optimiser's epsilon [D].
    reduction: Literal["mean", "sum"] = "sum"


@dataclasses.dataclass(frozen=True)
class QLambdaConfig:
    """The Q(lambda) agent; its epsilon is fixed or learned, with K = 0."""

    # L, bootstrap updates of a meta-step (bmg) [R]: 16, 32 or 128. With the
    # short ones epsilon does not follow the switches [D].
    L: tuple[int, ...] = (128,)
    # Epsilons (fixed) [R].
    epsilon: tuple[float, ...] = (0.3, 0.1, 0.03, 0.01)
    # Learning rates of the meta-optimiser [R].
    meta_rate: tuple[float, ...] = (1e-4,)
    # Layers of the schedule's network [R].
    meta_sizes: tuple[int, ...] = (128, 128)
    # Steps whose rewards are the reward context [R].
    context_size: int = 100
    # Units of each of two layers [R].
    hidden: int = 256
    # Discount of the returns [R].
    discount: float = 0.99
    # Mixing parameter of Peng's returns, lambda [R].
    trace: float = 0.9
    # Of the inner optimiser, Adam with an epsilon of 1e-4 [R].
    learning_rate: float = 3e-5
    # Where gradients are averaged, with a decay of 0.9 [R]: before Adam, whose
    # second moment then sees the average, or within it, as its first moment,
    # with which the agent learns but one of the two tasks [D].
    averaging: Literal["before", "within"] = "before"
    # Past observations at which the greedy actions are compared [D].
    memory: int = 128


@dataclasses.dataclass(frozen=True)
class GridworldConfig:
    """One study: every combination of what is listed, on every seed."""

    # Which agents.
    agent: tuple[AgentName, ...] = ("ac",)
    # How the entropy weight or epsilon comes about: fixed, by standard
    # meta-gradients (ac only), by bootstrapped ones.
    method: tuple[Method, ...] = ("fixed", "mg", "bmg")
    # What a learned schedule sees: nothing, or the last rewards.
    context: tuple[ContextName, ...] = ("reward",)
    # Environment steps of each seed.
    steps: int = 10_000_000
    # Seeds of each combination, numbered from 1.
    seeds: int = 50
    # The study's folder; runs/gridworld if empty.
    out: str = ""
    # Run nothing: table and figures of the curves that are there.
    report_only: bool = False
    # Steps that each row of a curve is the mean of.
    resolution: int = 2_500
    # Seeds that a device carries at a time.
    lanes: int = 4
    # Where to compute.
    platform: Literal["cpu", "gpu", "tpu"] = "cpu"
    # Virtual devices that share the seeds on CPUs; 0 makes one per core. On
    # other platforms all devices are used.
    devices: int = 0

    # The two-colour world.
    world: WorldConfig = WorldConfig()
    # The actor-critic.
    ac: ActorCriticConfig = ActorCriticConfig()
    # The Q(lambda) agent.
    q: QLambdaConfig = QLambdaConfig()

    @property
    def study_folder(self) -> pathlib.Path:
        """Where its files lie."""
        return pathlib.Path(self.out or "runs/gridworld")
