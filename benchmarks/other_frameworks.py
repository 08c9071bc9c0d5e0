"""RLlib's IMPALA and PyTorch's gradient, in an environment of their own.

The same game and networks as `bmg train`'s, on the same machine.
"""

import importlib.metadata
import json
import os
import pathlib
import statistics
import subprocess
import sys
import venv
from collections.abc import Iterator

import numpy as np

from benchmarks.row import CannotRunError, Row
from benchmarks.synthetic import ATARI
from benchmarks.timing import in_turn
from learner.config import Config

_RAY = importlib.metadata.version("ray")
_ENVIRONMENT = pathlib.Path("runs/peer-environment")
_RLLIB_SCRIPT = pathlib.Path(__file__).with_name("rllib_impala.py")
_TORCH_SCRIPT = pathlib.Path(__file__).with_name("torch_gradient.py")
# Variables that tune this process, not meant for other frameworks.
_TUNING_VARIABLES = ("GLIBC_TUNABLES", "XLA_FLAGS", "JAX_PLATFORMS")
# PyTorch's release of the day: RLlib asks for none in particular.
_PACKAGES = (
    f"ray[rllib]=={_RAY}",
    "torch==2.13.0",
    "ale-py",
    "opencv-python-headless",
)
# Filters, kernels and strides, as in `actors/networks.py`.
_FILTERS = {
    "small": [[16, 8, 4], [32, 4, 2]],
    "nature": [[32, 8, 4], [64, 4, 2], [64, 3, 1]],
}


def rllib_rows(config: Config, seconds: float) -> Iterator[Row]:
    """Agent steps per second that RLlib's learner consumes.

    Raises:
      CannotRunError: where it cannot be installed, or has no such network.
    """
    torso = config.network.torso
    if torso not in _FILTERS:
        raise CannotRunError(f"RLlib has no {torso} network")
    python = _install()
    options = {
        "game": config.task.removesuffix("-v5"),
        "filters": _FILTERS[torso],
        "hidden": config.network.hidden,
        "envs": config.actors.envs,
        "unroll_length": config.learner.unroll_length,
        "batch": config.learner.batch,
        "seconds": seconds,
    }
    output = _run(python, _RLLIB_SCRIPT, json.dumps(options))
    measured = json.loads(output.splitlines()[-1])
    yield Row(
        "peer",
        f"RLlib {_RAY} IMPALA",
        measured["steps_per_second"],
        "agent steps/s",
        note=f"torch {measured['torch']}, {measured['seconds']:.0f} s",
    )


def torch_rows(config: Config, rounds: int) -> Iterator[Row]:
    """Samples per second of the gradient step in JAX, beside PyTorch's.

    They take their steps in turn: a machine that slows down slows both.

    Raises:
      CannotRunError: where PyTorch cannot be installed, or lacks the network.
    """
    from benchmarks.learner_step import plain_step

    torso, network = config.network.torso, config.network
    convolutions = _FILTERS.get(torso, [])
    if (not convolutions and torso != "residual") or network.head_hidden:
        raise CannotRunError(f"no {torso} network with such heads in PyTorch")
    jax_step = plain_step(config)
    # The step after the last is fed as well, for its value.
    samples = config.learner.batch * (config.learner.unroll_length + 1)
    options = {
        "convolutions": convolutions,
        "sections": [] if convolutions else network.channels,
        "hidden": network.hidden,
        "actions": ATARI.num_actions,
        "samples": samples,
    }
    with _TorchProcess(_install(), _TORCH_SCRIPT, options) as torch_process:
        times = np.array(in_turn([jax_step.run, torch_process.step], rounds))
    medians = [statistics.median(row) for row in times]
    ratio = statistics.median(times[1] / times[0])
    yield Row(
        "torch",
        "gradient",
        jax_step.samples / medians[0],
        "samples/s",
        ratio,
        f"PyTorch's {jax_step.samples / medians[1]:,.0f}",
        f"{torch_process.description}, {rounds} rounds in turn",
    )


class _TorchProcess:
    """PyTorch's process, which takes a step for each line it is sent."""

    def __init__(self, python: pathlib.Path, script: pathlib.Path, options):
        self._process = subprocess.Popen(
            [python, script, json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=_environment(),
        )
        ready = self._line().split()
        self.description = f"torch {ready[1]}, {ready[2]} threads"

    def __enter__(self) -> "_TorchProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def step(self) -> None:
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self._line()

    def _line(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise CannotRunError("PyTorch's process ended; see above")
        return line


def _environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k not in _TUNING_VARIABLES}


def _install() -> pathlib.Path:
    """The Python of the frameworks' environment, made if there is none."""
    python = _ENVIRONMENT.resolve() / "bin" / "python"
    done = _ENVIRONMENT / "installed"
    if done.exists():
        return python
    print("installing RLlib and PyTorch", file=sys.stderr)
    venv.create(_ENVIRONMENT, clear=True, with_pip=True)
    _run(python, "-m", "pip", "install", "-q", *_PACKAGES)
    done.touch()
    return python


def _run(*command: str | pathlib.Path) -> str:
    """What a command printed."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env=_environment(),
    )
    if done.returncode:
        raise CannotRunError("\n".join(done.stderr.splitlines()[-5:]))
    return done.stdout
