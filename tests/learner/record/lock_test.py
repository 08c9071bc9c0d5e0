"""Folders that one process at a time may write."""

import subprocess
import sys

import pytest

from learner.record.lock import Lock
from learner.record.progress import RunError

_HOLDS = """
import pathlib, sys, time
from learner.record.lock import Lock
lock = Lock(pathlib.Path(sys.argv[1]), "the run")
print("held", flush=True)
time.sleep(600)
"""


def test_another_process_is_named_and_its_death_gives_the_folder_back(tmp_path):
    other = subprocess.Popen(
        [sys.executable, "-c", _HOLDS, str(tmp_path)], stdout=subprocess.PIPE
    )
    assert other.stdout.readline() == b"held\n"
    with pytest.raises(RunError, match=f"the run .* process {other.pid} on "):
        Lock(tmp_path, "the run", patience=0)
    other.kill()
    # While it ends.
    Lock(tmp_path, "the run").close()
    other.communicate()


def test_a_folder_that_was_given_back_is_free(tmp_path):
    first = Lock(tmp_path, "the run")
    with pytest.raises(RunError, match="take another folder with --out"):
        Lock(tmp_path, "the run", patience=0)
    first.close()
    Lock(tmp_path, "the run").close()


def test_a_file_system_without_locks_is_written_all_the_same(
    tmp_path, monkeypatch
):
    def unsupported(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", unsupported)
    Lock(tmp_path, "the run").close()
