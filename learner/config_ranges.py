"""The values that a setting may have, as types of the fields.

A constraint is a function of a value that returns what is wrong with it, and
how to mend it: "" if nothing is. It stands beside the type of a field, or of
the items of a tuple, in `Annotated`; `learner.config_check.check_fields` asks
it.
"""

import difflib
from collections.abc import Callable, Sequence
from typing import Annotated

Constraint = Callable[[float], str]


class Symbol(str):
    """What the papers call a setting, for messages; in `Annotated` too."""


def within(holds: Callable[[float], bool], message: str) -> Constraint:
    """Refuses numbers that do not hold; so NaN, if `holds` compares."""
    return lambda value: "" if holds(value) else message


def one_of(allowed: Sequence[str]) -> Callable[[str], str]:
    """Refuses other names, with those allowed and the nearest of them."""

    def constraint(name: str) -> str:
        if name in allowed:
            return ""
        close = difflib.get_close_matches(name, allowed, n=1, cutoff=0.0)
        return f"must be among {', '.join(allowed)}; nearest: {close[0]}"

    return constraint


_positive = within(lambda x: x > 0, "must be positive; take at least 1")
_not_negative = within(lambda x: x >= 0, "must not be negative")

PositiveInt = Annotated[int, _positive]
PositiveFloat = Annotated[float, _positive]
NonNegativeInt = Annotated[int, _not_negative]
NonNegativeFloat = Annotated[float, _not_negative]
Fraction = Annotated[
    float, within(lambda x: 0 <= x <= 1, "must lie between 0 and 1")
]
Decay = Annotated[
    float,
    within(
        lambda x: 0 <= x < 1, "must be at least 0 and below 1; 0.99 is usual"
    ),
]
# Without it, a gradient of zero is divided by zero.
Epsilon = Annotated[
    float, within(lambda x: x > 0, "must be positive; 1e-4 is usual")
]
SigmoidStart = Annotated[
    float,
    within(
        lambda x: 0 < x < 1,
        "must lie strictly between 0 and 1, where a sigmoid can start; 0.99 "
        "is usual",
    ),
]
Seed = Annotated[
    NonNegativeInt,
    within(
        lambda x: x < 10**9,
        "must be below 1,000,000,000, where the seeds of evaluation begin",
    ),
]
