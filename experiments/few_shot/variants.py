"""The variants that a study is made of, and which of them can run."""

import dataclasses
import itertools

from experiments.few_shot.config import (
    Ahead,
    FewShotConfig,
    MatchingName,
    Method,
)
from experiments.study import checks
from learner.config import ConfigError


@dataclasses.dataclass(frozen=True)
class Variant:
    """One combination; on every seed it makes one curve."""

    method: Method
    K: int = 0
    L: int = 0
    matching: MatchingName = "kl"
    ahead: Ahead = "query"
    bootstrap_rate: float = 0.0
    meta_rate: float = 0.0

    @property
    def name(self) -> str:
        """As in files and tables."""
        parts: list[str] = [self.method]
        if self.K:
            parts.append(f"K{self.K}")
        if self.method == "bmg":
            parts += [f"L{self.L}", self.matching, self.ahead]
            parts.append(f"boot{self.bootstrap_rate:g}")
        return "-".join([*parts, f"rate{self.meta_rate:g}"])

    @property
    def family(self) -> str:
        """What is swept over left out: the best of a family is reported."""
        return f"{self.method}-K{self.K}" if self.K else self.method


def expand(config: FewShotConfig) -> list[Variant]:
    """Every combination of the study, siblings next to each other."""
    variants = []
    for method, rate in itertools.product(config.method, config.meta_rate):
        if method == "joint":
            variants.append(Variant(method, meta_rate=rate))
        elif method == "bmg":
            variants += _bootstrapped(config, rate)
        else:
            variants += [Variant(method, K=k, meta_rate=rate) for k in config.K]
    return variants


def _bootstrapped(config: FewShotConfig, meta_rate: float) -> list[Variant]:
    swept = itertools.product(
        config.K,
        config.L,
        config.matching,
        config.ahead,
        config.bootstrap_rate,
    )
    variants = [
        Variant("bmg", k, length, matching, ahead, rate, meta_rate)
        for k, length, matching, ahead, rate in swept
    ]
    # With L = 1 the last update is the only one: nothing is seen before it.
    return list(
        dict.fromkeys(
            dataclasses.replace(v, ahead="query") if v.L == 1 else v
            for v in variants
        )
    )


def check(config: FewShotConfig) -> None:
    """Raises `ConfigError` for what cannot run, with what would."""
    at_least_one = {
        **{name: getattr(config, name) for name in ("shots", "queries")},
        **{name: getattr(config, name) for name in ("tasks", "steps", "seeds")},
        "test-updates": config.test_updates,
        "test-tasks": config.test_tasks,
        "resolution": config.resolution,
        "validation-tasks": config.validation_tasks,
        "devices": config.devices,
    }
    checks.at_least(1, at_least_one)
    checks.at_least(2, {"ways": config.ways})
    checks.not_negative("at-once", config.at_once)
    checks.some_named(config, ("method", "K", "L", "matching", "ahead"))
    checks.between("K", config.K, 1, 1000)
    checks.between("L", config.L, 1, 1000)
    checks.swept_positive("bootstrap-rate", config.bootstrap_rate)
    checks.swept_positive("meta-rate", config.meta_rate)
    checks.swept_positive("inner-rate", (config.inner_rate,))
    checks.swept_positive("temperature", (config.temperature,))
    checks.between("network.hidden", config.network.hidden, 1, 4096)
    checks.between("network.channels", config.network.channels, 1, 4096)
    _check_data(config)
    if config.platform == "cpu":
        check_devices(config, config.devices)


def _check_data(config: FewShotConfig) -> None:
    read = config.data in ("omniglot", "miniimagenet")
    if read and not config.folder:
        raise ConfigError(
            f"--data {config.data} needs --folder FOLDER with the images; "
            "docs/few_shot.md says what to fetch. Without: --data digits"
        )
    if config.folder and not read:
        raise ConfigError(f"--folder: --data {config.data} reads no folder")
    if "joint" in config.method and config.data != "sinusoid":
        raise ConfigError(
            "method joint: tasks of classes number them anew each time, so "
            "one network cannot learn them all; sinusoids only"
        )


def check_devices(config: FewShotConfig, devices: int) -> None:
    """Raises `ConfigError` for tasks that devices cannot share evenly."""
    for name in ("tasks", "validation_tasks", "test_tasks"):
        count = getattr(config, name)
        if count % devices:
            raise ConfigError(
                f"{name.replace('_', '-')} = {count}: must be a multiple of "
                f"the number of devices, {devices}"
            )
