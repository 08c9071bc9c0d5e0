"""The command line: `bmg COMMAND …`."""

import difflib
import functools
import importlib
import sys
from collections.abc import Callable

from experiments import command_line, own_code
from experiments.presets import PRESETS
from learner.config import Config, ConfigError
from learner.config_check import check
from learner.progress import RunError

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

`bmg COMMAND --help` lists every setting.
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
    command, *rest = arguments
    commands: dict[str, Callable[[list[str]], int]] = {
        "train": _train,
        "status": functools.partial(_job, "status"),
        "logs": functools.partial(_job, "logs"),
        "stop": functools.partial(_job, "stop"),
        "evaluate": _evaluate,
        "runs": functools.partial(_view, "runs"),
        "page": functools.partial(_view, "run_page"),
        "play": functools.partial(_view, "play"),
        "compare": functools.partial(_view, "compare"),
        "sweep": _sweep,
        "report": _report,
        "gridworld": _gridworld,
        "few-shot": _few_shot,
        "bench": _bench,
    }
    if command not in commands:
        close = difflib.get_close_matches(command, commands, n=1, cutoff=0.0)
        raise ConfigError(f"unknown command {command!r}; nearest: {close[0]}")
    return commands[command](rest)


def _train(arguments: list[str]) -> int:
    config = parse_train([a for a in arguments if a != "--submit"])
    check(config)
    own_code.allow(config.task, arguments)
    from actors import environment, protocols

    try:
        protocols.check_protocol(config.environment.protocol)
        environment.spec(config.task, config.environment.protocol)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if "--submit" in arguments:
        from experiments import jobs

        return jobs.submit(config)
    from experiments import train

    return train.train(config)


def _job(command: str, arguments: list[str]) -> int:
    from experiments import jobs

    return getattr(jobs, command)(arguments)


def _evaluate(arguments: list[str]) -> int:
    from experiments import evaluate

    return evaluate.main(arguments)


def _view(module: str, arguments: list[str]) -> int:
    return importlib.import_module(f"experiments.viewing.{module}").main(
        arguments
    )


def _sweep(arguments: list[str]) -> int:
    from experiments.atari57 import sweep

    return sweep.main(arguments)


def _report(arguments: list[str]) -> int:
    from experiments.atari57 import report

    return report.main(arguments)


def _gridworld(arguments: list[str]) -> int:
    from experiments.gridworld import run

    return run.main(arguments)


def _few_shot(arguments: list[str]) -> int:
    from experiments.few_shot import run

    return run.main(arguments)


def _bench(arguments: list[str]) -> int:
    from benchmarks import bench

    return bench.main(arguments)


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
