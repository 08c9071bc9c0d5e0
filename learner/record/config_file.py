"""Configurations as YAML, and how two of them differ."""

import dataclasses
import difflib
import pathlib
import typing
from collections.abc import Collection
from typing import Any, Literal, TypeVar

import yaml

from learner.config import ConfigError

C = TypeVar("C")  # a frozen dataclass, which may hold others

# Settings by names that older files and commands have, and by today's.
RENAMED = {
    "actors.columns": "actors.trajectories",
    "replay.columns": "replay.trajectories",
}

# What may differ between a run of `bmg train` and its continuation: it changes
# how the work is done, not what is learned.
FREE = (
    "out",
    "address",
    "evaluation_episodes",
    "evaluation_frames",
    "log_seconds",
    "writers",
    "page_minutes",
    # Only where a run begins: a checkpoint holds the moments.
    "optimiser.initial_scale",
    "actors.count",
    "actors.min",
    "actors.patience",
    "actors.cpus",
    "actors.threads",
    "actors.timeout",
    "actors.max_failures",
    "learner.hosts",
    "learner.gpus",
    "learner.tpus",
    "learner.cpus",
    "learner.devices",
    "learner.prefetch",
    "learner.max_skipped",
    "learner.max_restarts",
    "checkpoint.seconds",
    "checkpoint.updates",
    "checkpoint.keep",
    "checkpoint.milestones",
)


def claim(
    folder: pathlib.Path,
    config: Any,
    default: Any,
    *,
    free: Collection[str],
    command: str,
) -> None:
    """Makes a run's folder, or refuses one that holds another run.

    Args:
      folder: of the run; `config.yaml` in it says whose it is.
      config: of the run.
      default: of the same class, for fields that an older file lacks.
      free: fields that may differ.
      command: that reads the file again.

    Raises:
      ConfigError: naming the fields that differ.
      OSError: if the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.yaml"
    if path.exists():
        differing = differences(load(path, default), config, free)
        if differing:
            rows = [
                f"  {name}: {a!r} there, {b!r} here"
                for name, (a, b) in differing.items()
            ]
            raise ConfigError(
                f"{folder} holds a run of another configuration:\n"
                + "\n".join(rows)
                + "\ntake another folder with --out, or the same values"
            )
    save(config, path, command)


def save(config: Any, path: pathlib.Path, command: str = "bmg train") -> None:
    """Writes a configuration as YAML that `load` and `--config` read."""
    text = yaml.safe_dump(_plain(config), sort_keys=False)
    # In one step: a full disk leaves the file that was there.
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(f"# {command} --config {path.name}\n{text}")
    fresh.replace(path)


def renaming(name: str) -> str:
    """What to tell who wrote an old name."""
    return f"{name} is deprecated: use {RENAMED[name]}"


def old_names(fields: dict[str, Any], prefix: str = "") -> list[str]:
    """The keys of `RENAMED` among the fields of a file."""
    found = []
    for name, value in fields.items():
        if isinstance(value, dict):
            found += old_names(value, f"{prefix}{name}.")
        elif f"{prefix}{name}" in RENAMED:
            found.append(f"{prefix}{name}")
    return found


def load(path: pathlib.Path, base: C) -> C:
    """Reads YAML; fields that it lacks keep the values of `base`.

    Raises:
      ConfigError: for a file that cannot be read, an unknown field or a value
        of another type.
    """
    return filled(base, read_mapping(path, f"--config {path}"))


def read_mapping(path: pathlib.Path, what: str) -> dict[str, Any]:
    """The fields of a YAML file; raises `ConfigError` beginning with `what`."""
    try:
        fields = yaml.safe_load(path.read_text())
    # ValueError: not UTF-8, or a date that is none.
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"{what}: {reason}") from error
    if not isinstance(fields, dict):
        raise ConfigError(f"{what}: not a mapping of fields to values")
    return fields


def differences(
    there: Any, here: Any, free: Collection[str] = FREE
) -> dict[str, tuple[Any, Any]]:
    """`{field: (there, here)}` of the fields that change what is learned."""
    a, b = flat(there), flat(here)
    return {
        name: (a[name], b[name])
        for name in a
        if a[name] != b[name] and name not in free
    }


def _plain(config: Any) -> Any:
    if dataclasses.is_dataclass(config):
        return {
            field.name: _plain(getattr(config, field.name))
            for field in dataclasses.fields(config)
        }
    return list(config) if isinstance(config, tuple) else config


def flat(config: Any, prefix: str = "") -> dict[str, Any]:
    """Every setting by the name that a flag has but for its dashes:
    `learner.batch`."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            found |= flat(value, f"{prefix}{field.name}.")
        else:
            found[f"{prefix}{field.name}"] = value
    return found


def filled(base: Any, fields: dict[str, Any], prefix: str = "") -> Any:
    """`base` with some fields replaced, checked by the annotated types.

    Raises:
      ConfigError: for an unknown field or a value of another type.
    """
    allowed = typing.get_type_hints(type(base))
    changes = {}
    for name, value in fields.items():
        full = f"{prefix}{name}"
        name = RENAMED.get(full, full).removeprefix(prefix)
        if name not in allowed:
            close = difflib.get_close_matches(str(name), allowed, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise ConfigError(f"unknown field {prefix + str(name)!r}{hint}")
        current = getattr(base, name)
        if dataclasses.is_dataclass(current):
            if not isinstance(value, dict):
                raise ConfigError(f"{prefix}{name}: must hold fields")
            changes[name] = filled(current, value, f"{prefix}{name}.")
        else:
            changes[name] = _typed(allowed[name], value, f"{prefix}{name}")
    return dataclasses.replace(base, **changes)


def _typed(annotation: Any, value: Any, name: str) -> Any:
    origin, arguments = (
        typing.get_origin(annotation),
        typing.get_args(annotation),
    )
    if origin is Literal:
        if value in arguments:
            return value
        allowed = ", ".join(map(str, arguments))
        raise ConfigError(f"{name} = {value!r}: must be one of {allowed}")
    if origin is tuple:
        if isinstance(value, list | tuple):
            return tuple(_typed(arguments[0], item, name) for item in value)
        raise ConfigError(f"{name} = {value!r}: must be a list")
    if annotation is float and type(value) is int:
        return float(value)
    if annotation is float and isinstance(value, str):
        # YAML reads 1e-3 (without a dot) as a string.
        try:
            return float(value)
        except ValueError:
            pass
    if type(value) is not annotation:
        raise ConfigError(
            f"{name} = {value!r}: must be of type {annotation.__name__}"
        )
    return value
