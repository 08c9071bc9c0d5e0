"""`bmg train --submit`, then `bmg status`, `bmg logs` and `bmg stop`.

Ray's Jobs API runs the command on the cluster's head, with our code and the
run's configuration as its working directory, and goes on when we leave.
"""

import asyncio
import dataclasses
import pathlib
import shlex
import time
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.table import Table

from experiments.cluster import job_client, user_code, working_dir
from experiments.command.display import hours
from learner.config import Config, ConfigError
from learner.record import config_file
from learner.record.progress import RunError
from learner.record.remote import is_remote

# A run that is stopped saves first; Ray would kill it after three seconds.
_SAVE_SECONDS = 120
_END_SECONDS = 10.0  # from its end to Ray's report of it


@dataclasses.dataclass(frozen=True)
class StatusConfig:
    """Which job; all of bmg's if none is named."""

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
        job_client.open_client(config.address) as client,
        working_dir.create(config.task) as folder,
    ):
        # The job finds its own cluster.
        submitted = dataclasses.replace(config, address="")
        config_file.save(submitted, folder / "config.yaml")
        job = client.submit_job(
            entrypoint=(
                "python -m experiments.command.main train --config config.yaml"
                + user_code.task_flag(config.task)
            ),
            runtime_env={
                "working_dir": str(folder),
                "env_vars": {
                    "PYTHONUNBUFFERED": "1",
                    "RAY_JOB_STOP_WAIT_TIME_S": str(_SAVE_SECONDS),
                },
            },
            metadata={job_client.MARK: config.folder},
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
    with job_client.open_client(options.address) as client:
        jobs = job_client.list_jobs(client)
    if options.job:
        jobs = {options.job: job_client.find_job(options.job, jobs)}
    if not jobs:
        print("no jobs of bmg on this cluster")
        return 0
    table = Table()
    table.add_column("job", no_wrap=True)
    for name in ("state", "for", "run", "what Ray says"):
        table.add_column(name, overflow="fold")
    for name, job in jobs.items():
        message = (job.message or "").strip().splitlines()
        milliseconds = (job.end_time or 1e3 * time.time()) - job.start_time
        table.add_row(
            name,
            job.status.value.lower(),
            hours(milliseconds / 1e3),
            job.metadata[job_client.MARK],
            message[-1][:200] if message else "",
        )
    Console(highlight=False).print(table)
    return 0


def logs(arguments: list[str]) -> int:
    """What the job printed; with --follow until it ends, with its outcome."""
    options = parse_logs(arguments)
    with job_client.open_client(options.address) as client:
        job_client.find_job(options.job, job_client.list_jobs(client))
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
    with job_client.open_client(options.address) as client:
        job = job_client.find_job(options.job, job_client.list_jobs(client))
        if not job.status.is_terminal():
            client.stop_job(options.job)
        deadline = time.monotonic() + _SAVE_SECONDS + _END_SECONDS
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


async def _follow(client: Any, job: str) -> None:
    async for lines in client.tail_job_logs(job):
        print(lines, end="", flush=True)
