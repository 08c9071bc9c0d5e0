"""Numbers that cannot work, refused with what would."""

import dataclasses
import math
import typing
from typing import Any

from learner.config import Config, ConfigError
from learner.config_ranges import Symbol


def check(config: Config) -> None:
    """Raises `ConfigError` for numbers that cannot work, with what would."""
    check_fields(config)
    _check_hosts(config)
    actors, batch = config.actors, config.learner.batch
    if actors.envs_per_step > actors.envs:
        raise ConfigError(
            f"actors.envs-per-step = {actors.envs_per_step} exceeds "
            f"actors.envs = {actors.envs}: take at most {actors.envs}"
        )
    if actors.min > actors.count:
        raise ConfigError(
            f"actors.min = {actors.min} exceeds actors.count = "
            f"{actors.count}: take at most {actors.count}"
        )
    if config.replay.trajectories >= batch:
        raise ConfigError(
            f"replay.trajectories = {config.replay.trajectories} leaves no new "
            f"data in a batch of {batch}: take at most {batch - 1}"
        )
    if config.evaluation_frames and not config.evaluation_episodes:
        raise ConfigError(
            f"evaluation-frames = {config.evaluation_frames} with "
            "evaluation-episodes = 0 plays nothing: take 10 episodes"
        )
    _check_tuned(config)


def check_fields(config: Any, prefix: str = "") -> None:
    """Raises `ConfigError` for a value that its field's type refuses.

    Args:
      config: a dataclass, which may hold others; `learner.config_ranges` has
        the types.
      prefix: of the names of its fields, in messages.
    """
    hints = typing.get_type_hints(type(config), include_extras=True)
    for field, annotation in hints.items():
        value = getattr(config, field)
        name = f"{prefix}{field.replace('_', '-')}"
        if dataclasses.is_dataclass(value):
            check_fields(value, f"{name}.")
        elif typing.get_origin(annotation) is tuple:
            for item in value:
                _check_value(name, typing.get_args(annotation)[0], item)
        else:
            _check_value(name, annotation, value)


def _check_value(name: str, annotation: Any, value: Any) -> None:
    metadata = getattr(annotation, "__metadata__", ())
    name += "".join(f" ({x})" for x in metadata if isinstance(x, Symbol))
    for constraint in filter(callable, metadata):
        if problem := constraint(value):
            raise ConfigError(f"{name} = {value!r}: {problem}")


def _check_hosts(config: Config) -> None:
    """Each learner host has an equal part of all that they share."""
    actors, learner, hosts = config.actors, config.learner, config.learner.hosts
    if hosts > 1 and actors.in_process:
        raise ConfigError(
            f"learner.hosts = {hosts} with actors.in-process: one process is "
            "one host; take --learner.hosts 1, or leave the other out"
        )
    if 0 < actors.min < hosts:
        raise ConfigError(
            f"actors.min = {actors.min} is less than learner.hosts = {hosts}, "
            f"each of which needs one: take at least {hosts}"
        )
    among = {"learner.hosts": hosts} if hosts > 1 else {}
    _check_parts("actors.count", actors.count, among)
    _check_parts("replay.trajectories", config.replay.trajectories, among)
    if learner.devices:
        among = among | {"learner.devices": learner.devices}
    _check_parts("learner.batch", learner.batch, among)


def _check_parts(name: str, value: int, among: dict[str, int]) -> None:
    parts = math.prod(among.values())
    if value % parts:
        by = " x ".join(f"{what} = {count}" for what, count in among.items())
        below = value // parts * parts
        raise ConfigError(
            f"{name} = {value} is not divisible by {by}: take "
            f"{f'{below} or ' * (below > 0)}{below + parts}"
        )


def _check_tuned(config: Config) -> None:
    weights = ("value_weight", "policy_weight", "entropy_weight")
    for name in weights:
        tuned = config.algorithm != "impala" and name in config.meta.tuned
        if tuned and not getattr(config.loss, name) > 0:
            raise ConfigError(
                f"loss.{name.replace('_', '-')} = {getattr(config.loss, name)} "
                f"cannot be tuned: make it positive or leave {name} out of "
                "meta.tuned"
            )
