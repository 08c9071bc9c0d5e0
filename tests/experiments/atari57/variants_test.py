"""Studies: what they expand to, and what is refused."""

import re

import pytest
import yaml

from experiments.atari57 import variants
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
    ("name", "count"),
    [
        ("atari57", 57 * 3 * 3),
        ("ablation", 8 * 3 * 2 * 3 * 2),
        ("pacman-L", 5 * 3),
        ("smoke", 3 * 2 * 2),
    ],
)
def test_shipped_studies_expand(name, count, tmp_path):
    runs = variants.expand(variants.find(name), tmp_path)
    assert len(runs) == count
    assert len({run.config.folder for run in runs}) == count


def test_the_papers_study_is_the_papers(tmp_path):
    runs = variants.expand(variants.find("atari57"), tmp_path)
    assert {run.config.frames for run in runs} == {200_000_000}
    assert {run.config.algorithm for run in runs} == {
        "bmg", "stacx", "impala",
    }  # fmt: skip
    lengths = {
        run.config.meta.bootstrap_updates
        for run in variants.expand(variants.find("pacman-L"), tmp_path)
    }
    assert lengths == {1, 2, 4, 8, 16}


def test_every_game_comes_before_any_second_seed(tmp_path):
    found = variants.find(write(tmp_path / "mine.yaml"))
    names = [run.name for run in variants.expand(found, tmp_path)]
    assert names == [
        "pong/short/1", "pong/L4/1", "breakout/short/1", "breakout/L4/1",
        "pong/short/2", "pong/L4/2", "breakout/short/2", "breakout/L4/2",
    ]  # fmt: skip


def test_a_run_differs_from_its_base_in_what_is_named_only(tmp_path):
    found = variants.find(write(tmp_path / "mine.yaml"))
    run = variants.expand(found, tmp_path)[3]
    base = variants.PRESETS["pong-cpu"]()
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
        variants.expand(
            variants.find(write(tmp_path / "a.yaml", **changes)), tmp_path
        )


@pytest.mark.parametrize("name", ["atari58", "none.yaml"])
def test_unknown_studies_are_named(name):
    with pytest.raises(ConfigError, match=re.escape(name)):
        variants.find(name)
