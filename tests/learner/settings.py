"""Settings by `group__field`: changed ones, all of them, other values."""

import dataclasses

import pytest

from experiments.command.presets import PRESETS


def changed(config, **changes):
    """`changed(config, meta__clip=1.0)` is `config` with that field."""
    for name, value in changes.items():
        *path, field = name.split("__")
        inner = getattr(config, path[0]) if path else config
        inner = dataclasses.replace(inner, **{field: value})
        config = dataclasses.replace(
            config, **{path[0]: inner} if path else {field: value}
        )
    return config


def flat(config, prefix=""):
    """`{"meta__clip": 0.3, …}`."""
    names = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            names |= flat(value, f"{prefix}{field.name}__")
        else:
            names[f"{prefix}{field.name}"] = value
    return names


def other(value):
    """Another value of the same type."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return f"{value}x"
    return (*value, value[-1]) if value else (7,)


every_preset = pytest.mark.parametrize("name", PRESETS)
