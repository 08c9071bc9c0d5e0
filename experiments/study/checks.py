"""Settings that cannot run are refused by name, with what would be allowed.

Every function raises `ConfigError`, in one line.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from learner.config import ConfigError


def at_least(low: int, values: Mapping[str, int]) -> None:
    """Each of these settings is `low` or more."""
    for name, value in values.items():
        if value < low:
            raise ConfigError(f"{name} = {value}: must be at least {low}")


def not_negative(name: str, value: int) -> None:
    """0 has a meaning of its own."""
    if value < 0:
        raise ConfigError(f"{name} = {value}: must be 0 or more")


def some_named(config: Any, names: Iterable[str]) -> None:
    """Each of these fields lists something."""
    for name in names:
        if not getattr(config, name):
            raise ConfigError(f"{name}: name at least one")


def between(
    name: str, values: Sequence[float], low: float, high: float
) -> None:
    """Each value lies between these two."""
    for value in values:
        if not low <= value <= high:
            raise ConfigError(
                f"{name} = {value:g}: must lie between {low:g} and {high:g}"
            )


def swept_between(
    name: str, values: Sequence[float], low: float, high: float
) -> None:
    """There is a value, and each lies between these two."""
    _not_empty(name, values)
    between(name, values, low, high)


def swept_positive(name: str, values: Sequence[float]) -> None:
    """There is a value, and each is positive and finite."""
    _not_empty(name, values)
    for value in values:
        if not 0.0 < value < math.inf:
            raise ConfigError(f"{name} = {value:g}: must be positive")


def _not_empty(name: str, values: Sequence[float]) -> None:
    if not values:
        raise ConfigError(f"{name}: a sweep needs at least one value")
