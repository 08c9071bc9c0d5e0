"""`bmg completion`: makes a shell complete commands, flags and presets."""

import contextlib
import dataclasses
import pathlib
import typing
from typing import Annotated, Any, Literal

import tyro

if typing.TYPE_CHECKING:
    from experiments.command.main import Command


@dataclasses.dataclass(frozen=True)
class CompletionConfig:
    """Which shell."""

    # The script for it is printed.
    shell: Annotated[Literal["bash", "zsh"], tyro.conf.Positional]


def main(arguments: list[str]) -> int:
    """Prints the script; it knows the flags of now, and of no later version."""
    options = parse(arguments)
    from experiments.command.main import COMMANDS

    with contextlib.suppress(SystemExit):  # tyro has printed
        tyro.extras.subcommand_cli_from_dict(
            {name: _flags(command) for name, command in COMMANDS.items()},
            prog="bmg",
            args=["--tyro-print-completion", options.shell],
        )
    if options.shell == "bash":  # else names of files are not completed
        print("complete -o default -F _tyro_bmg bmg")
    return 0


def parse(arguments: list[str]) -> CompletionConfig:
    """Reads the flags."""
    return tyro.cli(
        CompletionConfig,
        args=arguments,
        prog="bmg completion",
        description=(
            "Prints a script that completes bmg's commands, their flags, and "
            "the values that some of them allow. It asks python3 for them."
        ),
    )


def _flags(command: "Command") -> type:
    """A type with a field for each flag of the command."""
    kind = typing.get_type_hints(command.parser())["return"]
    more: list[tuple[str, Any]] = [(name, bool) for name in command.switches]
    if presets := tuple(command.presets()):
        more += [("preset", Literal[presets]), ("config", pathlib.Path)]
    return dataclasses.make_dataclass(
        kind.__name__,
        [(*field, dataclasses.field(kw_only=True)) for field in more],
        bases=(kind,),
        frozen=True,
    )
