"""The Ray cluster of a run: joined at an address, or started here."""

import functools
import logging
import os
import pathlib
import re
import socket
import subprocess
import sys
import urllib.parse
from collections.abc import Callable
from typing import Any

import ray

from experiments.cluster import working_dir
from learner.config import ConfigError
from learner.record.progress import RunError

# No answer within so many seconds is an answer.
_LISTEN_SECONDS = 5.0
_JOIN_SECONDS = 20.0
# Ray's own attempts go on for longer than a minute, inside C++, and fill the
# terminal: a process of its own can be ended and its errors be read.
_JOIN = """
import sys, ray
ray.init(sys.argv[1], logging_level="ERROR", log_to_driver=False)
"""


def connect(address: str, object_store_memory: int, task: str = "") -> None:
    """Joins the cluster at an address (or `RAY_ADDRESS`), or starts one here.

    Our code travels along, unless this is a submitted job, which has it.

    Args:
      address: Ray's; none starts a cluster of this machine's cores.
      object_store_memory: bytes of a cluster that is started.
      task: whose code travels too if it lies here, where a cluster is joined.

    Raises:
      ConfigError: if no cluster answers, or not to us.
      RunError: if none can be started here.
    """
    # We set each actor's devices ourselves; Ray would warn of it.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    address = resolve_address(address)
    start = functools.partial(
        ray.init, logging_level=logging.ERROR, log_to_driver=False
    )
    if not address:
        _start_local(start, object_store_memory)
        make_token_private()
        return
    try_connect(address)
    if "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ:
        start(address)
        return
    with working_dir.create(task) as folder:
        start(address, runtime_env={"working_dir": str(folder)})


def _start_local(start: Callable[..., Any], object_store_memory: int) -> None:
    # An actor that hangs does not end when it is asked to; Ray would keep its
    # core, and its replacement waiting, for five seconds.
    os.environ.setdefault("RAY_kill_worker_timeout_milliseconds", "500")
    try:
        start(
            # Else Ray joins a cluster that somebody started on this machine.
            address="local",
            num_cpus=os.cpu_count(),
            include_dashboard=False,
            object_store_memory=object_store_memory,
        )
    except Exception as error:  # bare, where its node is not up in time
        reason = str(error).partition(". ")[0]
        raise RunError(
            f"Ray could not be started on this machine: {reason}. If it is "
            "busy with other work, try again; Ray's logs are in "
            "/tmp/ray/session_latest/logs"
        ) from error


def make_token_private() -> None:
    """Keeps other users of this machine from reading Ray's token.

    Who has it may run code as we do; Ray writes it readable for all.
    """
    token = pathlib.Path.home() / ".ray" / "auth_token"
    if token.exists():
        token.chmod(0o600)


def resolve_address(address: str) -> str:
    """The cluster that was asked for: by the flag, else by `RAY_ADDRESS`."""
    return address or os.environ.get("RAY_ADDRESS", "")


def try_connect(address: str) -> None:
    """Joins and leaves again, in a process of its own.

    Raises:
      ConfigError: within half a minute, if that does not work, and why.
    """
    check_listening(address)
    try:
        tried = subprocess.run(
            [sys.executable, "-c", _JOIN, address],
            capture_output=True,
            text=True,
            timeout=_JOIN_SECONDS + _LISTEN_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        output = error.stderr or b""
        raise _refusal(address, output.decode(errors="replace")) from error
    if tried.returncode:
        raise _refusal(address, tried.stderr)


def check_listening(address: str) -> None:
    """Whether anything listens at `HOST:PORT`, with or without a scheme.

    Raises:
      ConfigError: if nothing does.
    """
    host, _, port = urllib.parse.urlsplit(
        address if "//" in address else f"//{address}"
    ).netloc.rpartition(":")
    if not host or not port.isdigit():
        return  # auto, or a name that Ray knows
    try:
        socket.create_connection((host, int(port)), _LISTEN_SECONDS).close()
    except OSError as error:
        raise ConfigError(
            f"--address {address}: nothing answers there ({error}); give "
            "HOST:PORT of `ray start --head` (its default port is 6379), "
            "or http://HOST:8265 with --submit"
        ) from error


def token_remedy(address: str) -> str:
    """What to do where a cluster refuses our token."""
    return (
        f"--address {address}: the cluster does not take our token; set "
        "RAY_AUTH_MODE=token and copy the head's ~/.ray/auth_token to here"
    )


def _refusal(address: str, output: str) -> ConfigError:
    """Ray's errors as one line, with the remedy."""
    if "InvalidAuthToken" in output or "AuthenticationError" in output:
        return ConfigError(token_remedy(address))
    versions = re.findall(r"(?:Ray|Python): (\S+)", output)
    if "ersion mismatch" in output and len(versions) >= 4:
        return ConfigError(
            f"--address {address}: the cluster has Ray {versions[0]} and "
            f"Python {versions[1]}, here are Ray {versions[2]} and Python "
            f"{versions[3]}: all nodes and the driver need the same"
        )
    lines = [line for line in output.splitlines() if "gcs_client" not in line]
    reason = lines[-1].strip()[:300] if lines else "no answer"
    return ConfigError(
        f"--address {address}: no Ray cluster could be joined there within "
        f"{_JOIN_SECONDS:g} s ({reason}); is it the port of `ray start --head`?"
    )
