"""What the grid-world study varies, and its presets.

Standing of a value: [R] read in a related paper of the same group (Luketina et
al. 2022), [T] third parties, [M] recalled and unverified, [D] ours.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import Literal

from experiments.command_line import choose
from learner.config import ConfigError

_MOST_UPDATES = 64  # of a meta-step: they are unrolled into one program

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
    meta_rate: tuple[float, ...] = (1e-4,)
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
    # Mixing parameter of the returns: 1 for n-step returns [R], 0 for one step.
    trace: float = 1.0
    # Weight of the mean squared error of the values [D].
    value_weight: float = 0.25
    # Variance of the first weights, times their number of inputs: 1 is
    # Haiku's default, 1/3 is PyTorch's [D].
    init_scale: float = 1.0
    # Of the inner optimiser, SGD [R].
    learning_rate: float = 0.1
    # The matching KL over a roll-out's states: their mean, or their sum.
    reduction: Literal["mean", "sum"] = "mean"


@dataclasses.dataclass(frozen=True)
class QLambdaConfig:
    """The Q(lambda) agent; its epsilon is fixed or learned, with K = 0."""

    # L, bootstrap updates of a meta-step (bmg) [R].
    L: tuple[int, ...] = (16,)
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
    # Past observations at which the greedy actions are compared [D].
    memory: int = 16


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
    # Steps that each row of a curve is the mean of.
    resolution: int = 10_000
    # Seeds that a device carries at a time.
    lanes: int = 8
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
    def folder(self) -> str:
        """The study's folder."""
        return self.out or "runs/gridworld"


@dataclasses.dataclass(frozen=True)
class Variant:
    """One combination; on every seed it makes one curve."""

    agent: AgentName
    method: Method
    context: ContextName = "none"
    K: int = 1
    L: int = 0
    # Entropy weight, outer entropy weight or epsilon; unused by bmg.
    weight: float = 0.0
    meta_rate: float = 0.0

    @property
    def name(self) -> str:
        """As in files and tables."""
        parts: list[str] = [self.agent, self.method]
        if self.method == "fixed":
            return "-".join([*parts, f"{self.weight:g}"])
        parts += [self.context, f"K{self.K}"]
        if self.method == "bmg":
            parts.append(f"L{self.L}")
        else:
            parts.append(f"outer{self.weight:g}")
        return "-".join([*parts, f"rate{self.meta_rate:g}"])

    @property
    def family(self) -> str:
        """What is swept over left out: the best of a family is reported."""
        if self.method == "fixed":
            return f"{self.agent}-fixed"
        return f"{self.agent}-{self.method}-{self.context}"


def expand(config: GridworldConfig) -> list[Variant]:
    """Every combination of the study, siblings next to each other.

    Raises:
      ConfigError: where there is none.
    """
    makers = {"ac": _actor_critics, "q-lambda": _q_lambdas}
    variants = [
        variant
        for agent, method in itertools.product(config.agent, config.method)
        for variant in makers[agent](config, method)
    ]
    if not variants:
        raise ConfigError(
            "nothing to run: q-lambda is fixed or learned by bmg, not by mg"
        )
    return variants


def _actor_critics(
    config: GridworldConfig, method: Method
) -> Iterator[Variant]:
    ac = config.ac
    if method == "fixed":
        for weight in ac.entropy:
            yield Variant("ac", method, weight=weight)
    if method == "mg":
        swept = itertools.product(
            config.context, ac.K, ac.outer_entropy, ac.meta_rate
        )
        for context, inner, weight, rate in swept:
            yield Variant(
                "ac", method, context, K=inner, weight=weight, meta_rate=rate
            )
    if method == "bmg":
        lengths = itertools.product(config.context, ac.K, ac.L)
        for (context, inner, ahead), rate in itertools.product(
            lengths, ac.meta_rate
        ):
            yield Variant(
                "ac", method, context, K=inner, L=ahead, meta_rate=rate
            )


def _q_lambdas(config: GridworldConfig, method: Method) -> Iterator[Variant]:
    q = config.q
    if method == "fixed":
        for weight in q.epsilon:
            yield Variant("q-lambda", method, weight=weight)
    if method == "bmg":
        swept = itertools.product(config.context, q.L, q.meta_rate)
        for context, ahead, rate in swept:
            yield Variant(
                "q-lambda", method, context, K=0, L=ahead, meta_rate=rate
            )


def paper() -> GridworldConfig:
    """The whole study: both agents, 50 seeds, 10M steps."""
    return GridworldConfig(agent=("ac", "q-lambda"), context=("none", "reward"))


def quick() -> GridworldConfig:
    """The actor-critic through four switches, on a few seeds: minutes."""
    return GridworldConfig(
        steps=400_000,
        seeds=4,
        resolution=2_000,
        ac=ActorCriticConfig(entropy=(0.1, 0.2, 0.4), outer_entropy=(0.1,)),
    )


PRESETS: dict[str, Callable[[], GridworldConfig]] = {
    "paper": paper,
    "quick": quick,
}


def preset(name: str) -> GridworldConfig:
    """The configuration of that name.

    Raises:
      ConfigError: naming the allowed names and the nearest.
    """
    return choose(PRESETS, name)


def check(config: GridworldConfig) -> None:
    """Raises `ConfigError` for what cannot run, with what would."""
    at_least_one = {
        "world.period": config.world.period,
        "steps": config.steps,
        "seeds": config.seeds,
        "resolution": config.resolution,
        "lanes": config.lanes,
        "ac.length": config.ac.length,
        "ac.hidden": config.ac.hidden,
        "ac.context-size": config.ac.context_size,
        "q.hidden": config.q.hidden,
        "q.context-size": config.q.context_size,
        "q.memory": config.q.memory,
    }
    for name, value in at_least_one.items():
        if value < 1:
            raise ConfigError(f"{name} = {value}: must be at least 1")
    if config.devices < 0:
        raise ConfigError(f"devices = {config.devices}: must be 0 or more")
    _check_swept("ac.K", config.ac.K, 1, _MOST_UPDATES)
    _check_swept("ac.L", config.ac.L, 1, _MOST_UPDATES)
    _check_swept("q.L", config.q.L, 2, 128)
    _check_swept("ac.entropy", config.ac.entropy, 0.0, 10.0)
    _check_swept("ac.outer-entropy", config.ac.outer_entropy, 0.0, 10.0)
    _check_swept("ac.meta-rate", config.ac.meta_rate, 0.0, 1.0)
    _check_swept("q.epsilon", config.q.epsilon, 0.0, 1.0)
    _check_swept("q.meta-rate", config.q.meta_rate, 0.0, 1.0)
    for name in ("agent", "method", "context"):
        if not getattr(config, name):
            raise ConfigError(f"{name}: name at least one")
    expand(config)


def _check_swept(name: str, values: tuple, low: float, high: float) -> None:
    if not values:
        raise ConfigError(f"{name}: a sweep needs at least one value")
    for value in values:
        if not low <= value <= high:
            raise ConfigError(
                f"{name} = {value:g}: must lie between {low:g} and {high:g}"
            )
