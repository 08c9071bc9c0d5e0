"""Refusals name the setting, its value and what would be allowed."""

import math
import types

import pytest

from experiments.study import checks
from learner.config import ConfigError


@pytest.mark.parametrize(
    ("check", "arguments", "message"),
    [
        (checks.at_least, (1, {"a": 1, "b": 0}), "b = 0: must be at least 1"),
        (checks.not_negative, ("a", -1), "a = -1: must be 0 or more"),
        (checks.between, ("a", (1, 3), 1, 2), "a = 3: .* between 1 and 2"),
        (checks.between, ("a", (math.nan,), 0, 1), "a = nan"),
        (checks.swept_between, ("a", (), 0, 1), "a: .* at least one value"),
        (checks.swept_positive, ("a", (0.0,)), "a = 0: must be positive"),
        (checks.swept_positive, ("a", (math.inf,)), "a = inf"),
        (checks.swept_positive, ("a", ()), "a: .* at least one value"),
        (
            checks.some_named,
            (types.SimpleNamespace(a=(1,), b=()), ("a", "b")),
            "b: name at least one",
        ),
    ],
)
def test_it_is_refused(check, arguments, message):
    with pytest.raises(ConfigError, match=message):
        check(*arguments)


def test_what_is_allowed_passes():
    checks.at_least(1, {"a": 1})
    checks.not_negative("a", 0)
    checks.between("a", (), 0, 1)
    checks.swept_between("a", (0.0, 1.0), 0, 1)
    checks.swept_positive("a", (1e-9,))
