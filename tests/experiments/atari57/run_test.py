"""How a run of a study ends, and what the ledger keeps of it."""

import json

import pytest

from experiments.atari57 import ledger
from experiments.atari57.ledger import Entry
from experiments.atari57.run import record_end
from experiments.atari57.variants import Run
from experiments.cluster import learner_actor
from learner.config import Config, ConfigError
from learner.record.progress import Result, RunError


@pytest.fixture
def end(tmp_path, monkeypatch):
    """`(entry, how it ended, retries) -> entry` of a run in `tmp_path`."""
    run = Run("pong/bmg/1", "bmg", Config(out=str(tmp_path)))

    def end_run(entry, outcome, retries=2):
        def result_of(ref):
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setattr(learner_actor, "result_of", result_of)
        return record_end(run, entry, None, retries)

    return end_run


def result(finished):
    return Result("runs/a", 100, finished, [])


def test_a_finished_run_is_done_whatever_failed_before(end, tmp_path):
    assert end(Entry(failures=1, error="why"), result(True)).state == "done"
    assert json.loads((tmp_path / "sweep.json").read_text()) == {
        "state": "done", "failures": 1, "error": "why",
    }  # fmt: skip


def test_a_stopped_run_waits_and_leaves_the_ledger_alone(end, tmp_path):
    before = Entry(failures=1, error="why")
    assert end(before, result(False)) == before
    assert not (tmp_path / "sweep.json").exists()


def test_a_run_is_tried_again_until_its_retries_are_used_up(end, tmp_path):
    entry = Entry()
    for failures in (1, 2):
        entry = end(entry, RunError("no room\nand more"))
        assert entry == Entry("waiting", failures, "no room")
        assert ledger.read(tmp_path) == entry
    assert end(entry, RunError("")) == Entry("failed", 3, "RunError")
    log = (tmp_path / "error.log").read_text()
    assert log.count("no room\nand more") == 2
    assert log.count("RunError") == 3


def test_a_configuration_that_is_refused_is_not_tried_again(end):
    found = end(Entry(), ConfigError("frames = 0"), retries=9)
    assert found == Entry("failed", 1, "frames = 0")
