"""The variants that a study is made of, and which of them can run."""

import dataclasses
import itertools
from collections.abc import Iterator

from experiments.gridworld.config import (
    AgentName,
    ContextName,
    GridworldConfig,
    Method,
)
from experiments.study import checks
from learner.config import ConfigError

_MOST_UPDATES = 64  # of a meta-step: they are unrolled into one program


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
    checks.at_least(1, at_least_one)
    checks.not_negative("devices", config.devices)
    ac, q = config.ac, config.q
    checks.swept_between("ac.K", ac.K, 1, _MOST_UPDATES)
    checks.swept_between("ac.L", ac.L, 1, _MOST_UPDATES)
    checks.swept_between("q.L", q.L, 2, 128)
    checks.swept_between("ac.entropy", ac.entropy, 0.0, 10.0)
    checks.swept_between("ac.outer-entropy", ac.outer_entropy, 0.0, 10.0)
    checks.swept_between("ac.meta-rate", ac.meta_rate, 0.0, 1.0)
    checks.swept_between("q.epsilon", q.epsilon, 0.0, 1.0)
    checks.swept_between("q.meta-rate", q.meta_rate, 0.0, 1.0)
    checks.some_named(config, ("agent", "method", "context"))
    expand(config)
