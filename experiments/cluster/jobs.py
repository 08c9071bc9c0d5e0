"""`bmg train --submit`, then `bmg status`, `bmg logs` and `bmg stop`.

Ray's Jobs API runs the command on the cluster's head, with our code and the
run's configuration as its working directory, and goes on when we leave.
"""

import asyncio
import contextlib
import dataclasses
import difflib
import logging
import os
import pathlib
import shlex
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.table import Table

from experiments.cluster import connection, user_code, working_dir
from experiments.command.display import hours
from learner.config import Config, ConfigError
from learner.record import config_file
from learner.record.progress import RunError
from learner.record.remote import is_remote

# A run that is stopped saves first; Ray would kill it after three seconds.
_SAVE_SECONDS = 120
_ANSWER_SECONDS = 10.0
_MARK = "bmg"  # in a job's metadata: it is one of ours


@dataclasses.dataclass(frozen=True)
class StatusConfig:
    """Which job; all of ours if none is named."""

    # ID that `bmg train --submit` printed.
    job: Annotated[str, tyro.conf.Positional] = ""
    # Of the cluster, as for bmg train; RAY_ADDRESS if empty.
    address: str = ""


@dataclasses.dataclass(frozen=True)
class JobConfig:
    """Which job."""

    # ID that `bmg train --submit` printed.
    job: Annotated[str, tyro.conf.Positional]
    # Of the cluster, as for bmg train; RAY_ADDRESS if empty.
    address: str = ""


@dataclasses.dataclass(frozen=True)
class LogsConfig(JobConfig):
    """Which job, and for how long."""

    # Go on until the job ends.
    follow: bool = False


def submit(config: Config) -> int:
    """Hands a run over to a cluster, prints its job's ID, and returns.

    Raises:
      ConfigError: without an address, or with a folder that the job's end
        would take away.
    """
    if not is_remote(config.out) and not pathlib.Path(config.out).is_absolute():
        raise ConfigError(
            f"--submit with --out {config.out or config.folder}: the run "
            "outlives this command and its folder; take an absolute folder "
            "that the learner's node can write, or s3://… or gs://…"
        )
    with (
        _client(config.address) as client,
        working_dir.packed(config.task) as folder,
    ):
        # The job finds its own cluster.
        there = dataclasses.replace(config, address="")
        config_file.save(there, folder / "config.yaml")
        job = client.submit_job(
            entrypoint=(
                "python -m experiments.command.main train --config config.yaml"
                + user_code.flag(config.task)
            ),
            runtime_env={
                "working_dir": str(folder),
                "env_vars": {
                    "PYTHONUNBUFFERED": "1",
                    "RAY_JOB_STOP_WAIT_TIME_S": str(_SAVE_SECONDS),
                },
            },
            metadata={_MARK: config.folder},
        )
    more = ""
    if config.address:
        more = f" --address {shlex.quote(config.address)}"
    print(
        f"job     {job}\nrun     {config.folder}\n"
        f"  bmg status {job}{more}\n"
        f"  bmg logs {job} --follow{more}\n"
        f"  bmg stop {job}{more}"
    )
    return 0


def status(arguments: list[str]) -> int:
    """A table of our jobs, or of one."""
    options = parse_status(arguments)
    with _client(options.address) as client:
        jobs = _ours(client)
    if options.job:
        jobs = {options.job: _find(options.job, jobs)}
    if not jobs:
        print("no jobs of bmg on this cluster")
        return 0
    table = Table()
    table.add_column("job", no_wrap=True)
    for name in ("state", "for", "run", "what Ray says"):
        table.add_column(name, overflow="fold")
    for name, job in jobs.items():
        said = (job.message or "").strip().splitlines()
        milliseconds = (job.end_time or 1e3 * time.time()) - job.start_time
        table.add_row(
            name,
            job.status.value.lower(),
            hours(milliseconds / 1e3),
            job.metadata[_MARK],
            said[-1][:200] if said else "",
        )
    Console(highlight=False).print(table)
    return 0


def logs(arguments: list[str]) -> int:
    """What the job printed; with --follow until it ends, with its outcome."""
    options = parse_logs(arguments)
    with _client(options.address) as client:
        _find(options.job, _ours(client))
        if not options.follow:
            print(client.get_job_logs(options.job), end="")
            return 0
        asyncio.run(_follow(client, options.job))
        job = client.get_job_info(options.job)
    print(f"job {options.job}: {job.status.value.lower()}")
    return 0 if job.status.value == "SUCCEEDED" else 1


def stop(arguments: list[str]) -> int:
    """Asks a job's run to save and stop; returns once it has ended."""
    options = parse_stop(arguments)
    with _client(options.address) as client:
        job = _find(options.job, _ours(client))
        if not job.status.is_terminal():
            client.stop_job(options.job)
        deadline = time.monotonic() + _SAVE_SECONDS + _ANSWER_SECONDS
        while not job.status.is_terminal():
            if time.monotonic() > deadline:
                raise RunError(f"job {options.job} does not end; ask again")
            time.sleep(0.5)
            job = client.get_job_info(options.job)
    print(f"job {options.job}: {job.status.value.lower()}")
    return 0


def parse_status(arguments: list[str]) -> StatusConfig:
    """Reads the flags of `bmg status`."""
    return _parse(StatusConfig, "status", arguments)


def parse_logs(arguments: list[str]) -> LogsConfig:
    """Reads the flags of `bmg logs`."""
    return _parse(LogsConfig, "logs", arguments)


def parse_stop(arguments: list[str]) -> JobConfig:
    """Reads the flags of `bmg stop`."""
    return _parse(JobConfig, "stop", arguments)


def _parse(kind: type, command: str, arguments: list[str]) -> Any:
    return tyro.cli(
        kind,
        args=arguments,
        prog=f"bmg {command}",
        description="Jobs that `bmg train --submit` handed to a cluster.",
    )


def _ours(client: Any) -> dict[str, Any]:
    """Jobs by ID, of all that the cluster remembers."""
    return {
        job.submission_id: job
        for job in sorted(client.list_jobs(), key=lambda j: j.start_time or 0)
        if _MARK in (job.metadata or {})
    }


def _find(name: str, jobs: dict[str, Any]) -> Any:
    if name not in jobs:
        close = difflib.get_close_matches(name, jobs, n=1, cutoff=0.0)
        known = f"nearest: {close[0]}" if close else "it has none of bmg"
        raise ConfigError(f"no job {name!r} on this cluster; {known}")
    return jobs[name]


async def _follow(client: Any, job: str) -> None:
    async for lines in client.tail_job_logs(job):
        print(lines, end="", flush=True)


@contextlib.contextmanager
def _client(address: str) -> Iterator[Any]:
    """A client of the cluster's Jobs API; its errors as ours.

    Raises:
      ConfigError: if nothing can be reached there, or not by us.
      RunError: if the cluster refuses what was asked.
    """
    address = connection.find(address)
    if not address:
        raise ConfigError(
            "which cluster? give --address http://HOST:8265 (or HOST:6379 on "
            "one of its nodes), or set RAY_ADDRESS"
        )
    if address.startswith("http"):
        _answer(address)
    else:
        connection.reach(address)
    logging.disable(logging.INFO)  # Ray tells of every step
    # Ray prefers RAY_ADDRESS to the argument, and this to both.
    os.environ["RAY_API_SERVER_ADDRESS"] = address
    import ray
    from ray.job_submission import JobSubmissionClient

    try:
        yield JobSubmissionClient(address)
    except ray.exceptions.AuthenticationError as error:
        raise ConfigError(connection.token_wanted(address)) from error
    except (ConnectionError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        if "ray[default]" in reason:
            raise ConfigError(
                "jobs need Ray's dashboard client: pip install -c "
                "constraints.txt -e .[cluster]"
            ) from error
        raise RunError(f"--address {address}: {reason}") from error


def _answer(address: str) -> None:
    """Raises `ConfigError` unless an HTTP server answers soon."""
    connection.knock(address)
    try:
        urllib.request.urlopen(
            f"{address}/api/version", timeout=_ANSWER_SECONDS
        ).close()
    except urllib.error.HTTPError as error:
        error.close()  # it answers; what it says comes again from Ray's client
    except OSError as error:
        raise ConfigError(
            f"--address {address}: no answer to HTTP ({error}); give the "
            "address of Ray's dashboard, http://HOST:8265"
        ) from error
