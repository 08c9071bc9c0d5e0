"""`bmg bench`: refusals, bounds, and one stage for real."""

import dataclasses
import json
import re
import time

import pytest

from benchmarks import bench, memory, stage, timing
from benchmarks.learner_step import ideal, learner_rows
from benchmarks.row import CannotRunError, Row
from benchmarks.synthetic import ATARI, SyntheticUnroller, random_unroll
from experiments.command.main import main
from learner.config import ConfigError, NetworkConfig

ROWS = [
    Row("env", "1 threads, 16 of 16 awaited", 1_000.0, "agent steps/s"),
    Row("env", "2 threads, 16 of 16 awaited", 2_000.0, "agent steps/s"),
    Row("infer", "small, batch 8", 3_000.0, "agent steps/s"),
    Row("infer", "nature, batch 8", 9_000.0, "agent steps/s"),
    Row("learner", "small, impala", 4_000.0, "samples/s"),
    Row("learner", "small, bmg K=1 L=1", 500.0, "samples/s"),
]


@pytest.mark.parametrize("pair", ["1", "0.4", "1.0", "a.b", "1.4.2", ""])
def test_pairs_that_are_none_are_named(pair):
    with pytest.raises(ConfigError, match=re.escape(f"--pairs {pair}:")):
        bench.main(["--pairs", pair])


@pytest.mark.parametrize(
    ("algorithm", "learner"), [("impala", 4_000.0), ("bmg", 500.0)]
)
def test_the_bound_is_one_stage_after_the_other(
    monkeypatch, algorithm, learner
):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    row = Row("e2e", f"small, {algorithm}", 400.0, "agent steps/s")
    # A second of each stage's best: the policy once per core.
    bound = 1 / (1 / 2_000 + 1 / 6_000 + 1 / learner)
    assert bench.with_bound(row, ROWS).ratio == pytest.approx(400 / bound)


def test_the_bound_takes_a_network_by_its_own_name(monkeypatch):
    """`paper` is a residual torso as well: neither may pass for the other."""
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    slow = [
        row._replace(value=1.0, what=f"paper{row.what[5:]}")
        for row in ROWS[2:3]
    ]
    row = Row("e2e", "small, impala", 400.0, "agent steps/s")
    assert bench.with_bound(row, ROWS + slow) == bench.with_bound(row, ROWS)


def test_a_longer_bootstrap_is_not_the_one_that_trains():
    """K=1 L=16 begins with the letters of K=1 L=1."""
    longer = ROWS[5]._replace(what="small, bmg K=1 L=16")
    row = Row("e2e", "small, bmg", 400.0, "agent steps/s")
    assert bench.with_bound(row, [*ROWS[:5], longer]) == row


def test_what_was_not_run_is_no_rate():
    row = Row("e2e", "small, impala", 400.0, "agent steps/s")
    learner = Row("learner", "small, impala", None, "samples/s", note="why")
    assert bench.with_bound(row, [*ROWS[:4], learner]) == row
    cells = [list(column.cells) for column in bench._table([learner]).columns]
    assert ["not run"] in cells
    assert ["why"] in cells


def test_without_all_stages_there_is_no_bound():
    row = Row("e2e", "small, impala", 400.0, "agent steps/s")
    assert bench.with_bound(row, ROWS[:3]) == row


def test_the_ideal_is_the_papers_arithmetic_in_gradients():
    """K = L = 1: inner 3, bootstrap 3, matching 5 passes; a gradient is 3."""
    assert ideal(1, 1) == pytest.approx(11 / 3)
    assert ideal(2, 2) == pytest.approx((6 + 6 + 6 + 5) / 3)


def test_rounds_are_taken_in_turn():
    order = []
    seconds = timing.in_turn(
        [lambda: order.append("a"), lambda: order.append("b")], rounds=3
    )
    assert order == list("ababab")
    assert [len(times) for times in seconds] == [3, 3]


@pytest.mark.parametrize(("stacked", "channels"), [(False, 1), (True, 4)])
def test_synthetic_unrolls_have_ataris_shapes(stacked, channels):
    unroll = random_unroll(3, length=5, stacked=stacked)
    rows = unroll.transitions
    assert rows.observation.shape == (6, 3, channels, 84, 84)
    assert unroll.stack.shape[1] + channels == ATARI.stack
    assert {x.shape[:2] for x in rows} == {(6, 3)}


def test_a_synthetic_unroller_stamps_its_unroll_with_the_version():
    unroll = random_unroll(3, length=5)
    unroller = SyntheticUnroller(unroll, seconds=0.05)
    start = time.monotonic()
    for version in (4, 7):
        made, episodes = unroller.unroll((), version)
        assert made.version.tolist() == [version] * 3
        assert made.transitions is unroll.transitions
        assert episodes == []
    assert time.monotonic() - start >= 0.1


def test_a_stage_runs_and_leaves_its_numbers(tmp_path, capsys):
    arguments = ["--stages", "env", "--seconds", "0.1", "--out", str(tmp_path)]
    with pytest.raises(SystemExit) as end:
        main(["bench", *arguments])
    assert end.value.code == 0
    written = json.loads((tmp_path / "bench.json").read_text())
    assert written["options"]["stages"] == ["env"]
    assert len(written["rows"]) == 4
    assert all(row["value"] > 0 for row in written["rows"])
    assert "agent steps/s" in capsys.readouterr().out


def test_a_learner_that_does_not_fit_is_refused_with_both_sizes(monkeypatch):
    monkeypatch.setattr(memory, "free_on", lambda _: 2.0**29)
    tiny = dataclasses.replace(
        stage.config(stage.BenchConfig(batch=2), "small"),
        network=NetworkConfig(torso="mlp", hidden=2),
    )
    rows = learner_rows(tiny, (), rounds=1)
    assert [row.what for row in rows] == ["gradient", "impala", "stacx"]
    monkeypatch.setattr(memory, "free_on", lambda _: 0.0)
    with pytest.raises(CannotRunError, match="needs 0.* GiB .*, 0.0 GiB are"):
        next(learner_rows(tiny, (), rounds=1))


def test_sizes_that_do_not_fit_are_reported():
    assert memory.problem(3.0, 3.0, "here") == ""
    problem = memory.problem(3 * 2**30, 2**30, "in /dev/shm")
    assert problem == "not run: needs 3.0 GiB in /dev/shm, 1.0 GiB are free"
    assert memory.free_here() > 0
    assert memory.free_shared() > 0


def test_a_stage_that_cannot_run_is_not_a_number(tmp_path, capsys):
    arguments = ["--stages", "peer", "--torsos", "residual"]
    with pytest.raises(SystemExit) as end:
        main(["bench", *arguments, "--out", str(tmp_path)])
    assert end.value.code == 1
    written = json.loads((tmp_path / "bench.json").read_text())
    assert written["rows"] == []
    assert written["failed"] == ["peer, residual"]
    assert "RLlib has no residual network" in capsys.readouterr().out
