"""A client of Ray's Jobs API, and bmg's jobs among all."""

import contextlib
import difflib
import logging
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

from experiments.cluster import connection
from learner.config import ConfigError
from learner.record.progress import RunError

MARK = "bmg"  # in the metadata of a job that `bmg train --submit` made
_ANSWER_SECONDS = 10.0


@contextlib.contextmanager
def open_client(address: str) -> Iterator[Any]:
    """A client of the cluster's Jobs API; raises its errors as the user's.

    Raises:
      ConfigError: if nothing can be reached there, or not by us.
      RunError: if the cluster refuses what was asked.
    """
    address = connection.resolve_address(address)
    if not address:
        raise ConfigError(
            "which cluster? give --address http://HOST:8265 (or HOST:6379 on "
            "one of its nodes), or set RAY_ADDRESS"
        )
    if address.startswith("http"):
        _check_http(address)
    else:
        connection.try_connect(address)
    logging.disable(logging.INFO)  # Ray logs every step
    # Ray prefers RAY_ADDRESS to the argument, and this to both.
    os.environ["RAY_API_SERVER_ADDRESS"] = address
    import ray
    from ray.job_submission import JobSubmissionClient

    try:
        yield JobSubmissionClient(address)
    except ray.exceptions.AuthenticationError as error:
        raise ConfigError(connection.token_remedy(address)) from error
    except (ConnectionError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        if "ray[default]" in reason:
            raise ConfigError(
                "jobs need Ray's dashboard client: pip install -c "
                "constraints.txt -e .[cluster]"
            ) from error
        raise RunError(f"--address {address}: {reason}") from error


def list_jobs(client: Any) -> dict[str, Any]:
    """The jobs of `bmg train --submit` that the cluster remembers, by ID."""
    return {
        job.submission_id: job
        for job in sorted(client.list_jobs(), key=lambda j: j.start_time or 0)
        if MARK in (job.metadata or {})
    }


def find_job(name: str, jobs: dict[str, Any]) -> Any:
    """The job of that ID.

    Raises:
      ConfigError: where there is none, naming the nearest.
    """
    if name not in jobs:
        close = difflib.get_close_matches(name, jobs, n=1, cutoff=0.0)
        known = f"nearest: {close[0]}" if close else "it has none of bmg"
        raise ConfigError(f"no job {name!r} on this cluster; {known}")
    return jobs[name]


def _check_http(address: str) -> None:
    """Raises `ConfigError` unless an HTTP server answers soon."""
    connection.check_listening(address)
    try:
        urllib.request.urlopen(
            f"{address}/api/version", timeout=_ANSWER_SECONDS
        ).close()
    except urllib.error.HTTPError as error:
        error.close()  # it answers; its message comes again from Ray's client
    except OSError as error:
        raise ConfigError(
            f"--address {address}: no answer to HTTP ({error}); give the "
            "address of Ray's dashboard, http://HOST:8265"
        ) from error
