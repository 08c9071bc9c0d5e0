"""Studies: what they expand to, what they take, and what is refused."""

import json
import re
import shutil
from collections import namedtuple

import pytest
import yaml

from experiments.atari57 import estimate, ledger, study
from experiments.atari57.ledger import Record
from experiments.command.main import main
from learner.config import ConfigError

FILE = {
    "games": ["pong", "Breakout"],
    "seeds": 2,
    "base": "pong-cpu",
    "variants": {
        "short": {"frames": 1000},
        "L4": {"meta": {"bootstrap_updates": 4}},
    },
}  # fmt: skip


def write(path, **changes):
    path.write_text(yaml.safe_dump(FILE | changes, sort_keys=False))
    return str(path)


@pytest.mark.parametrize(
    ("name", "runs"),
    [
        ("atari57", 57 * 3 * 3),
        ("ablation", 8 * 3 * 2 * 3 * 2),
        ("pacman-L", 5 * 3),
        ("smoke", 3 * 2 * 2),
    ],
)
def test_shipped_studies_expand(name, runs, tmp_path):
    planned = study.expand(study.find(name), tmp_path)
    assert len(planned) == runs
    assert len({run.config.folder for run in planned}) == runs


def test_the_papers_study_is_the_papers(tmp_path):
    planned = study.expand(study.find("atari57"), tmp_path)
    assert {run.config.frames for run in planned} == {200_000_000}
    assert {run.config.algorithm for run in planned} == {
        "bmg", "stacx", "impala",
    }  # fmt: skip
    lengths = {
        run.config.meta.bootstrap_updates
        for run in study.expand(study.find("pacman-L"), tmp_path)
    }
    assert lengths == {1, 2, 4, 8, 16}


def test_every_game_comes_before_any_second_seed(tmp_path):
    found = study.find(write(tmp_path / "mine.yaml"))
    names = [run.name for run in study.expand(found, tmp_path)]
    assert names == [
        "pong/short/1", "pong/L4/1", "breakout/short/1", "breakout/L4/1",
        "pong/short/2", "pong/L4/2", "breakout/short/2", "breakout/L4/2",
    ]  # fmt: skip


def test_a_run_differs_from_its_base_in_what_is_named_only(tmp_path):
    found = study.find(write(tmp_path / "mine.yaml"))
    run = study.expand(found, tmp_path)[3]
    base = study.PRESETS["pong-cpu"]()
    assert run.config.task == "Breakout-v5"
    assert run.config.meta.bootstrap_updates == 4
    assert run.config.out == str(tmp_path / "breakout/L4/1")
    assert run.config.optimiser == base.optimiser
    assert run.config.frames == base.frames


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"games": ["pongg"]}, "unknown game 'pongg'; nearest .*: pong"),
        ({"games": []}, "a game and a variant at least"),
        ({"games": "pong"}, "games must be a list"),
        ({"seeds": 0}, "seeds = 0"),
        ({"seeds": True}, "seeds = True"),
        ({"base": "atary"}, "unknown base 'atary'; allowed: quick"),
        ({"variants": {"a": {"frame": 1}}}, "variant a: unknown field 'frame'"),
        ({"variants": {"a": {"frames": 0}}}, "variant a: frames = 0"),
        ({"variants": {"../a": {}}}, r"variant '\.\./a'"),
        ({"variants": {"..": {}}}, r"variant '\.\.'"),
        ({"more": 1}, "must hold base, games, seeds, variants"),
    ],
)
def test_bad_studies_are_refused_by_name(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        study.expand(
            study.find(write(tmp_path / "a.yaml", **changes)), tmp_path
        )


@pytest.mark.parametrize("name", ["atari58", "none.yaml"])
def test_unknown_studies_are_named(name):
    with pytest.raises(ConfigError, match=re.escape(name)):
        study.find(name)


def test_records_survive_and_broken_ones_are_none(tmp_path):
    assert ledger.read(tmp_path) == Record()
    ledger.write(tmp_path, Record("failed", 3, "why"))
    assert ledger.read(tmp_path) == Record("failed", 3, "why")
    for text in ("", '{"sta', "[]", '{"state": "flying"}', '{"other": 1}'):
        (tmp_path / "sweep.json").write_text(text)
        assert ledger.read(tmp_path) == Record()


def test_what_a_study_takes_is_added_up(tmp_path):
    found = study.find(write(tmp_path / "mine.yaml"))
    planned = study.expand(found, tmp_path)
    gpus = [
        run._replace(config=run.config.__class__(frames=3600, task="Pong-v5"))
        for run in planned[:2]
    ]
    taken = estimate.estimate(gpus, speed=2.0)
    assert (taken.runs, taken.frames, taken.hours) == (2, 7200, 1.0)
    assert taken.accelerator_hours == 0.0
    assert estimate.estimate(gpus, None).hours is None
    # 3 newest and 10 milestones of a residual network of a million weights.
    each = taken.disk / 2 - 64 * 2**20
    assert 13 * 4 * 4 * 900_000 < each < 13 * 4 * 4 * 1_300_000


def test_a_disk_too_small_is_refused_with_both_numbers(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(9, 8, 2**30))
    estimate.check_disk(2**30, tmp_path / "not" / "there")
    with pytest.raises(ConfigError, match=r"up to 3.0 GiB .* has 1.0 GiB free"):
        estimate.check_disk(3 * 2**30, tmp_path)


def test_speed_is_measured_from_the_runs_there_are(tmp_path):
    planned = study.expand(study.find(write(tmp_path / "m.yaml")), tmp_path)
    assert estimate.measured_speed(planned) is None
    for run, rates in zip(planned, ([1, 5], [9]), strict=False):
        folder = tmp_path / run.name
        folder.mkdir(parents=True)
        lines = [{"frames": 1, "frames_per_second": rate} for rate in rates]
        text = "".join(f"{json.dumps(line)}\n" for line in lines)
        (folder / "metrics.jsonl").write_text(text)
    assert estimate.measured_speed(planned) == 5


def test_a_dry_run_lists_and_runs_nothing(tmp_path, capsys):
    out = tmp_path / "out"
    frames = {"short": {"frames": 1000}, "long": {"frames": 10_000_000}}
    path = write(tmp_path / "mine.yaml", variants=frames)
    ledger.write(out / "pong/short/1", Record("done"))
    arguments = ["--study", path, "--out", str(out), "--dry-run"]
    with pytest.raises(SystemExit) as end:
        main(["sweep", *arguments, "--frames-per-second", "2000"])
    assert end.value.code == 0
    said = capsys.readouterr().out
    assert "7 of 8 runs to do, 40,003,000 frames" in said
    assert "5.6 hours" in said
    assert not (out / "breakout").exists()
