"""What the commands share: presets by name, then a file, then flags."""

import argparse
import difflib
import pathlib
import sys
from collections.abc import Callable, Mapping
from typing import TypeVar

import tyro

from experiments.cluster import processes
from learner.config import ConfigError
from learner.record import config_file

C = TypeVar("C")  # a frozen dataclass
Presets = Mapping[str, Callable[[], C]]


def choose(
    presets: Presets[C], name: str, *, what: str = "preset", also: str = ""
) -> C:
    """The configuration of that name.

    Args:
      presets: by name.
      name: asked for.
      what: they are, for the message.
      also: what else would be allowed.

    Raises:
      ConfigError: naming the allowed names and the nearest.
    """
    if name not in presets:
        close = difflib.get_close_matches(name, presets, n=1, cutoff=0.0)
        raise ConfigError(
            f"unknown {what} {name!r}; allowed: {', '.join(presets)}{also}; "
            f"nearest: {close[0]}"
        )
    return presets[name]()


def parse(
    arguments: list[str],
    presets: Presets[C],
    *,
    default: str,
    command: str,
    what: str,
) -> C:
    """The preset, then the file, then the flags; later ones win.

    Args:
      arguments: what follows the command.
      presets: configurations by name.
      default: the preset that is taken without `--preset`.
      command: for the usage line.
      what: the command does, for `--help`.
    """
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--preset", default=default)
    first.add_argument("--config", type=pathlib.Path)
    chosen, rest = first.parse_known_args(arguments)
    base = choose(presets, chosen.preset)
    old = [name for argument in rest if (name := _old_name(argument))]
    if chosen.config:
        what = f"--config {chosen.config}"
        fields = config_file.read_mapping(chosen.config, what)
        old += config_file.old_names(fields)
        base = config_file.filled(base, fields)
    if not processes.restarted():  # the process before has printed them
        for name in dict.fromkeys(old):
            print(config_file.renaming(name), file=sys.stderr)
    return tyro.cli(
        type(base),
        args=[_renamed(argument) for argument in rest],
        default=base,
        prog=command,
        description=(
            f"{what} Presets: --preset {'|'.join(presets)} (default "
            f"{default}; shown below: {chosen.preset}). Settings from a file: "
            "--config FILE (YAML); flags win over the file, the file over the "
            "preset."
        ),
    )


def _old_name(argument: str) -> str:
    """The setting that a flag names, where it has another name today."""
    name = argument.partition("=")[0].removeprefix("--").replace("_", "-")
    is_old = argument.startswith("--") and name in config_file.RENAMED
    return name if is_old else ""


def _renamed(argument: str) -> str:
    name = _old_name(argument)
    if not name:
        return argument
    return argument.replace(name, config_file.RENAMED[name])
