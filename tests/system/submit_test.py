"""Jobs on a real Ray head that asks for a token, and addresses that fail."""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys

import psutil
import pytest

from experiments.cluster import connection, job_client, jobs
from experiments.command import main
from learner.config import ConfigError

pytestmark = pytest.mark.ray
NEEDS_DASHBOARD = pytest.mark.skipif(
    pytest.importorskip("importlib.util").find_spec("opencensus") is None,
    reason="needs ray[default]",
)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ray(*arguments, environment=None):
    subprocess.run(
        [sys.executable, "-m", "ray.scripts.scripts", *map(str, arguments)],
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )


@pytest.fixture
def head(tmp_path_factory, monkeypatch):
    """`(Ray's address, the dashboard's)` of a head with a token of its own."""
    folder = tmp_path_factory.mktemp("r")
    token = folder / "token"
    token.write_text("0123456789abcdef0123456789abcdef")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(token))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.delenv("RAY_API_SERVER_ADDRESS", raising=False)
    scripts = pathlib.Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{scripts}:{os.environ['PATH']}")
    gcs, dashboard = free_port(), free_port()
    ray(
        *("start", "--head", "--port", gcs, "--temp-dir", folder),
        *("--num-cpus", 2, "--object-store-memory", 100 * 2**20),
        *("--dashboard-host", "127.0.0.1", "--dashboard-port", dashboard),
        *("--dashboard-agent-listen-port", free_port()),
        *("--ray-client-server-port", free_port()),
    )
    yield f"127.0.0.1:{gcs}", f"http://127.0.0.1:{dashboard}"
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any(str(folder) in argument for argument in process.cmdline()):
                process.kill()


@pytest.mark.slow
@NEEDS_DASHBOARD
def test_a_run_is_handed_over_followed_and_stopped(
    bmg, head, tmp_path, eventually
):
    _, dashboard = head
    at = ("--address", dashboard)
    folder = tmp_path / "run"
    submitted = bmg(
        *("train", "--submit", "--preset", "catch", "--frames", 10_000_000),
        *("--evaluation-episodes", 0, "--log-seconds", 0.2),
        *("--out", folder, *at),
    )
    assert submitted.wait(120) == 0, submitted.text()
    job = submitted.text().split()[1]
    lines = folder / "metrics.jsonl"
    eventually(lambda: lines.exists() and lines.read_text().count("\n") > 3)

    status = bmg("status", *at)
    assert status.wait(60) == 0
    assert job in status.text()
    assert "running" in status.text()
    logs = bmg("logs", job, *at)
    assert logs.wait(60) == 0
    assert "compiling the meta-step" in logs.text()

    stopped = bmg("stop", job, *at)
    assert stopped.wait(150) == 0
    assert f"job {job}: stopped" in stopped.text()
    frames = json.loads(lines.read_text().splitlines()[-1])["frames"]
    saved = [p.name for p in (folder / "checkpoints").iterdir()]
    assert str(frames) in saved  # it saved before it ended
    logs = bmg("logs", job, "--follow", *at)
    assert logs.wait(60) == 1
    assert f"saved at {frames:,} frames" in logs.text()


@pytest.mark.slow
@NEEDS_DASHBOARD
def test_what_a_cluster_refuses_is_one_line_and_no_hang(bmg, head, monkeypatch):
    address, dashboard = head

    def refused(*arguments):
        command = bmg(*arguments)
        assert command.wait(60) == 2, command.text()
        *_, last = command.text().splitlines()
        assert last.startswith("error: ")
        assert "Traceback" not in command.text()
        return last

    train = ("train", "--preset", "catch", "--address", address)
    train = (*train, "--actors.patience", 1)
    message = refused(*train, "--learner.gpus", 1)
    assert "learner.gpus = 1" in message
    assert "has 0" in message
    message = refused(*train, "--actors.count", 9, "--actors.min", 5)
    assert "actors.min = 5" in message
    assert "--actors.min 1" in message
    assert "nosuchjob" in refused("stop", "nosuchjob", "--address", dashboard)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "f" * 32)
    assert "does not take our token" in refused(*train)
    assert "does not take our token" in refused(
        "status", "--address", dashboard
    )


def test_nothing_listens_or_it_is_not_ray():
    with pytest.raises(ConfigError, match="nothing answers there"):
        connection.try_connect(f"127.0.0.1:{free_port()}")
    with pytest.raises(ConfigError, match="nothing answers there"):
        connection.try_connect("no-such-host.invalid:6379")


@pytest.mark.slow
def test_a_silent_server_is_given_up():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ConfigError, match="no Ray cluster"):
            connection.try_connect(address)


def test_versions_that_differ_are_both_named(monkeypatch):
    message = (
        "RuntimeError: Version mismatch: The cluster was started with:\n"
        "    Ray: 2.59.0\n    Python: 3.12.1\n"
        "This process on Ray Client was started with:\n"
        "    Ray: 2.60.0\n    Python: 3.11.7\n"
    )
    answer = subprocess.CompletedProcess([], 1, "", message)
    monkeypatch.setattr(connection, "check_listening", lambda address: None)
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: answer)
    with pytest.raises(ConfigError) as refused:
        connection.try_connect("head:6379")
    assert "the cluster has Ray 2.59.0 and Python 3.12.1" in str(refused.value)
    assert "here are Ray 2.60.0 and Python 3.11.7" in str(refused.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "runs/x"], "absolute folder"),
        (["--out", "/runs/x"], "which cluster?"),
    ],
)
def test_a_job_needs_a_cluster_and_a_folder_that_stays(
    capsys, monkeypatch, arguments, message
):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(SystemExit) as ended:
        main.main(["train", "--preset", "catch", "--submit", *arguments])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_without_rays_dashboard_its_extra_is_named(monkeypatch):
    import ray.job_submission as api

    def missing(address):
        raise RuntimeError("The Ray jobs CLI require the ray[default] install")

    monkeypatch.setattr(job_client, "_check_http", lambda address: None)
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "")
    monkeypatch.setattr(api, "JobSubmissionClient", missing)
    with pytest.raises(ConfigError, match=r"\.\[cluster\]"):
        jobs.status(["--address", "http://127.0.0.1:1"])
