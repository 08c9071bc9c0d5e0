"""A run's folder in the bucket of a real server."""

import json
import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

# Requests until the server asks who may do what.
OPEN, ASKS = b"1000000000", b"0"


@pytest.fixture
def s3(monkeypatch, request):
    """A store with a bucket."""
    pytest.importorskip("moto")
    s3fs = pytest.importorskip("s3fs")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "moto.server",
            "-H",
            "127.0.0.1",
            "-p",
            str(port),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for name, value in {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    files = s3fs.S3FileSystem(skip_instance_cache=True)
    files.mkdir("bucket")
    change = urllib.request.Request(
        f"{url}/moto-api/reset-auth",
        request.param,
        {"Content-Type": "text/plain"},
    )
    urllib.request.urlopen(change).close()
    yield files
    server.kill()
    server.wait()


def train(*arguments):
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "experiments.command.main", "train"),
            *("--preset", "catch", "--actors.in-process"),
            *("--evaluation-episodes", "0", "--log-seconds", "0.2"),
            *("--actors.envs", "8", "--actors.envs-per-step", "4"),
            *("--checkpoint.updates", "50", "--frames", "32000"),
            *("--out", "s3://bucket/run", *arguments),
        ],
        cwd=pathlib.Path(__file__).parents[3],
        env={k: v for k, v in os.environ.items() if k != "XLA_FLAGS"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def listed(files):
    files.invalidate_cache()
    if not files.exists("bucket/run/files.json"):
        return []
    return json.loads(files.cat_file("bucket/run/files.json"))


@pytest.mark.slow
@pytest.mark.parametrize("s3", [OPEN], indirect=True)
def test_killed_on_one_machine_and_resumed_on_another(s3):
    first = train()
    while not any(name.startswith("checkpoints/") for name in listed(s3)):
        assert first.poll() is None, first.stdout.read()
        time.sleep(0.1)
    first.kill()
    first.wait()
    first.stdout.close()
    # What the first left on its machine has another name: nothing is shared.
    second = train()
    text = second.communicate(timeout=300)[0]
    assert second.returncode == 0, text
    assert "resumed at" in text
    assert "s3://bucket/run" in text
    rows = s3.cat_file("bucket/run/metrics.jsonl").decode().splitlines()
    frames = [json.loads(row)["frames"] for row in rows]
    assert frames == sorted(set(frames))
    assert frames[-1] == 32_000
    games = s3.cat_file("bucket/run/episodes.csv").decode().splitlines()
    assert len(games) == 1 + 32_000 // 10  # an episode is ten steps
    # Nothing is left of checkpoints that the first did not finish uploading.
    s3.invalidate_cache()
    remote = {
        name.removeprefix("bucket/run/") for name in s3.find("bucket/run")
    }
    assert {n for n in remote if "/state/" in n} == {
        name for name in listed(s3) if "/state/" in name
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("s3", "out", "expected"),
    [
        (OPEN, "s3://other/run", "bucket does not exist"),
        (ASKS, "s3://bucket/run", "credentials there"),
    ],
    indirect=["s3"],
)
def test_a_bucket_that_may_not_be_written_is_named_at_once(s3, out, expected):
    del s3
    run = train("--out", out)
    text = run.communicate(timeout=120)[0]
    assert run.returncode == 1, text
    last = text.splitlines()[-1]
    assert last.startswith(f"error: {out} cannot be ")
    assert expected in last
    assert "Traceback" not in text
