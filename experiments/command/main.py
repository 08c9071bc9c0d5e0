"""The command line: `bmg COMMAND …`."""

import difflib
import importlib
import sys
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from experiments.cluster import user_code
from experiments.command import command_line, examples
from experiments.command.presets import PRESETS
from learner.config import Config, ConfigError
from learner.config_check import check
from learner.record.progress import RunError

_USAGE = """\
usage: bmg COMMAND …

  train      trains an agent: bmg train --preset quick
  status     runs handed to a cluster by bmg train --submit: bmg status
  logs       what one of them prints: bmg logs JOB --follow
  stop       makes one of them save and stop: bmg stop JOB
  evaluate   whole games of a run's policy: bmg evaluate runs/Pong-v5-bmg-1
  runs       lists runs: bmg runs runs
  page       a run as one HTML file: bmg page runs/Pong-v5-bmg-1
  play       films a game of a run: bmg play runs/Pong-v5-bmg-1 --random
  compare    curves of runs in one figure: bmg compare RUN RUN --out pong.png
  sweep      a study's runs on a cluster: bmg sweep --study smoke
  report     scores and figures of runs: bmg report runs --out runs/report
  gridworld  the paper's grid worlds: bmg gridworld --preset quick
  few-shot   BMG and MAML on tasks of few examples: bmg few-shot --data sinusoid
  bench      how fast each stage is here: bmg bench --preset check
  completion makes the shell complete all this: bmg completion bash

`bmg COMMAND --help` lists every setting, and ends with examples.
"""


def main(arguments: list[str] | None = None) -> None:
    """Runs a command, exits with 0 done, 1 failed, 2 bad input, 130 stopped."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        sys.exit(_run(arguments))
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except (RunError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_USAGE)
        return 0
    name, *rest = arguments
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, n=1, cutoff=0.0)
        raise ConfigError(f"unknown command {name!r}; nearest: {close[0]}")
    try:
        return COMMANDS[name].run(rest)
    except SystemExit as ended:
        if ended.code == 0 and {"-h", "--help"} & set(rest):
            print(examples.text(name), end="")
        raise


class Command(NamedTuple):
    """Where a command is; its module is imported when it is called for."""

    module: str
    main: str = "main"  # runs it
    parse: str = "parse"  # reads its flags; returns its configuration
    switches: tuple[str, ...] = ()  # beside those flags

    def run(self, arguments: list[str]) -> int:
        """Runs it; returns the exit code."""
        return getattr(importlib.import_module(self.module), self.main)(
            arguments
        )

    def parser(self) -> Callable[[list[str]], Any]:
        """What reads its flags."""
        return getattr(importlib.import_module(self.module), self.parse)

    def presets(self) -> Iterable[str]:
        """Names of its presets, if it has any."""
        return getattr(importlib.import_module(self.module), "PRESETS", ())


COMMANDS = {
    "train": Command(
        "experiments.command.main", "train", "parse_train", ("submit",)
    ),
    "status": Command("experiments.cluster.jobs", "status", "parse_status"),
    "logs": Command("experiments.cluster.jobs", "logs", "parse_logs"),
    "stop": Command("experiments.cluster.jobs", "stop", "parse_stop"),
    "evaluate": Command("experiments.viewing.evaluate"),
    "runs": Command("experiments.viewing.runs"),
    "page": Command("experiments.viewing.run_page"),
    "play": Command("experiments.viewing.play"),
    "compare": Command("experiments.viewing.compare"),
    "sweep": Command("experiments.atari57.study"),
    "report": Command("experiments.atari57.report"),
    "gridworld": Command("experiments.gridworld.study"),
    "few-shot": Command("experiments.few_shot.study"),
    "bench": Command("benchmarks.bench"),
    "completion": Command("experiments.command.completion"),
}


def train(arguments: list[str]) -> int:
    """`bmg train`."""
    config = parse_train([a for a in arguments if a != "--submit"])
    check(config)
    user_code.permit_import(config.task, arguments)
    from actors import environment, protocols

    try:
        protocols.check_protocol(config.environment.protocol)
        environment.spec(config.task, config.environment.protocol)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if "--submit" in arguments:
        from experiments.cluster import jobs

        return jobs.submit(config)
    from experiments.command import train as driver

    return driver.train(config)


def parse_train(arguments: list[str]) -> Config:
    """The preset, then the file, then the flags; later ones win."""
    return command_line.parse(
        arguments,
        PRESETS,
        default="atari",
        command="bmg train",
        what=(
            "Trains an agent. With --submit it hands the run to the cluster at "
            "--address and returns; then bmg status, logs and stop."
        ),
    )


if __name__ == "__main__":
    main()
