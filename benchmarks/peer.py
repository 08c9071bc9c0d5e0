"""RLlib's IMPALA on the same game and network, in an environment of its own."""

import importlib.metadata
import json
import pathlib
import subprocess
import sys
import venv
from collections.abc import Iterator

from benchmarks.row import CannotRunError, Row
from learner.config import Config

_RAY = importlib.metadata.version("ray")
_ENVIRONMENT = pathlib.Path("runs/peer-environment")
_SCRIPT = pathlib.Path(__file__).with_name("rllib_impala.py")
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


def peer_rows(config: Config, seconds: float) -> Iterator[Row]:
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
    said = _run(python, _SCRIPT, json.dumps(options))
    found = json.loads(said.splitlines()[-1])
    yield Row(
        "peer",
        f"RLlib {_RAY} IMPALA",
        found["steps_per_second"],
        "agent steps/s",
        note=f"torch {found['torch']}, {found['seconds']:.0f} s",
    )


def _install() -> pathlib.Path:
    """The Python of the peer's environment, made if there is none."""
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
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotRunError("\n".join(done.stderr.splitlines()[-5:]))
    return done.stdout
