"""`bmg sweep`: what is to do of a study, and that nothing is done twice."""

import pytest
import ray
import yaml

from experiments.atari57 import ledger, scheduler
from experiments.atari57 import study as sweep
from experiments.atari57.ledger import Entry
from experiments.cluster import connection
from experiments.command.main import main

STUDY = {
    "games": ["pong", "Breakout"],
    "seeds": 2,
    "base": "pong-cpu",
    "variants": {"short": {"frames": 1000}, "long": {"frames": 10_000_000}},
}


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(STUDY, sort_keys=False))
    return str(path)


def test_a_dry_run_lists_and_runs_nothing(study, tmp_path, capsys):
    out = tmp_path / "out"
    ledger.write(out / "pong/short/1", Entry("done"))
    arguments = ["--study", study, "--out", str(out), "--dry-run"]
    with pytest.raises(SystemExit) as end:
        main(["sweep", *arguments, "--frames-per-second", "2000"])
    assert end.value.code == 0
    printed = capsys.readouterr().out
    assert "7 of 8 runs to do, 40,003,000 frames" in printed
    assert "5.6 hours" in printed
    assert not (out / "breakout").exists()


def test_a_study_of_before_goes_on_with_what_is_left(
    study, tmp_path, monkeypatch, capsys
):
    """Its files are written out here: no later version may misread them."""
    out = tmp_path / "out"
    for name, text in {
        "pong/short/1": '{"state": "done", "failures": 1, "error": "why"}',
        "pong/long/1": '{"state": "waiting", "failures": 2, "error": "why"}',
        "breakout/short/1": '{"state": "failed", "failures": 3, "error": "x"}',
        "breakout/long/1": '{"state": "failed", "failures": 1, "error": "x"}',
    }.items():
        (out / name).mkdir(parents=True)
        (out / name / "sweep.json").write_text(text + "\n")
    queued = []
    monkeypatch.setattr(
        scheduler, "run", lambda runs, **_: queued.extend(x.name for x in runs)
    )
    monkeypatch.setattr(sweep, "stop_on_signals", lambda _: None)
    monkeypatch.setattr(connection, "connect", lambda *_: None)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 64.0})
    with pytest.raises(SystemExit) as end:
        main(["sweep", "--study", study, "--out", str(out)])
    assert end.value.code == 1
    assert queued == [
        "pong/long/1", "breakout/long/1",
        "pong/short/2", "pong/long/2", "breakout/short/2", "breakout/long/2",
    ]  # fmt: skip
    assert "1 of 8 runs done, 2 failed" in capsys.readouterr().out
