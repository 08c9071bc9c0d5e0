"""Studies on disk: resuming, lanes, bad input."""

import dataclasses
import pathlib

import numpy as np
import pytest

from experiments.command.command_line import choose
from experiments.gridworld import curves, report, study
from experiments.gridworld.config import (
    ActorCriticConfig,
    GridworldConfig,
    QLambdaConfig,
    WorldConfig,
)
from experiments.gridworld.presets import PRESETS
from experiments.gridworld.variants import Variant, check, expand
from experiments.study import command, resume
from experiments.study.chunks import chunk_name
from experiments.study.ledger import Run
from learner.config import ConfigError


def tiny(folder, **changes):
    config = GridworldConfig(
        agent=("ac", "q-lambda"),
        method=("fixed", "bmg"),
        steps=600,
        seeds=3,
        resolution=60,
        lanes=1,
        out=str(folder),
        world=WorldConfig(period=100),
        ac=ActorCriticConfig(
            entropy=(0.1, 0.4), K=(1,), L=(2,), hidden=8, meta_sizes=(4,)
        ),
        q=QLambdaConfig(
            epsilon=(0.1,), L=(2,), hidden=8, meta_sizes=(4,), context_size=5
        ),
    )
    return dataclasses.replace(config, **changes)


def silent(steps, what):
    del steps, what


def contents(folder):
    root = pathlib.Path(folder) / "curves"
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.glob("*/*"))
    }


@pytest.mark.parametrize(
    "agent", ["ac", pytest.param("q-lambda", marks=pytest.mark.slow)]
)
def test_a_study_that_was_interrupted_ends_as_if_it_had_not(
    tmp_path, monkeypatch, agent
):
    whole = tiny(tmp_path / "whole", agent=(agent,), method=("bmg",))
    broken = dataclasses.replace(whole, out=str(tmp_path / "broken"))
    study.run(whole, silent)
    monkeypatch.setattr(resume, "_SAVE_SECONDS", 0.0)
    calls = 0

    def interrupt(steps, what):
        nonlocal calls
        calls += 1
        if calls % 7 == 0:
            raise KeyboardInterrupt

    stops = 0
    while True:
        try:
            study.run(broken, interrupt)
            break
        except KeyboardInterrupt:
            stops += 1
    assert stops >= 2
    files = contents(whole.study_folder)
    assert len(files) == 3
    assert contents(broken.study_folder) == files
    assert not (tmp_path / "broken" / "unfinished").exists()


def test_more_seeds_leave_the_old_curves(tmp_path):
    few = tiny(tmp_path, agent=("ac",), method=("bmg",), seeds=2)
    study.run(few, silent)
    before = contents(tmp_path)
    study.run(dataclasses.replace(few, seeds=4), silent)
    after = contents(tmp_path)
    assert len(after) == 4
    assert before.items() <= after.items()


@pytest.mark.slow
def test_a_study_grows_by_what_is_swept(tmp_path):
    few = tiny(tmp_path, agent=("ac",), method=("fixed",), seeds=1)
    study.run(few, silent)
    before = contents(tmp_path)
    swept = dataclasses.replace(few.ac, entropy=(0.1, 0.2, 0.4))
    more = dataclasses.replace(few, ac=swept)
    for config in (few, more):
        command.claim(study.STUDY, config)
    study.run(more, silent)
    after = contents(tmp_path)
    assert len(before) == 2
    assert len(after) == 3
    assert before.items() <= after.items()


def test_chunks_of_other_lanes_have_other_checkpoints():
    ends = Variant("ac", "fixed", weight=0.1), Variant("ac", "fixed", weight=1)
    names = {
        chunk_name([Run(v, 1) for v in (ends[0], middle, ends[1])])
        for middle in ends
    }
    assert len(names) == 2


@pytest.mark.slow
def test_progress_adds_up_to_the_plan(tmp_path):
    config = tiny(tmp_path)
    planned, done = study.progress(config)
    assert done == 0
    reported = []
    study.run(config, lambda steps, what: reported.append(steps))
    assert sum(reported) == planned
    assert study.progress(config) == (planned, planned)


def test_curves_count_their_steps(tmp_path):
    config = tiny(tmp_path, agent=("ac",), method=("fixed",))
    study.run(config, silent)
    curve = curves.read(curves.path(tmp_path, "ac-fixed-0.1", 1))
    assert len(curve.step) == 9
    np.testing.assert_array_equal(np.diff(curve.step), 64)
    np.testing.assert_allclose(curve.hyperparam, 0.1, rtol=1e-6)
    np.testing.assert_allclose(
        curve.returns[-1], 64 * curve.reward.sum(), rtol=1e-6
    )


def test_a_lifetime_is_as_long_as_asked_for(tmp_path):
    """205 rows are no multiple of the 3 that a call makes."""
    config = tiny(tmp_path, agent=("ac",), method=("fixed",))
    config = dataclasses.replace(config, steps=64 * 205)
    study.run(config, silent)
    curve = curves.read(curves.path(tmp_path, "ac-fixed-0.1", 1))
    assert curve.step[-1] == config.steps == 64 * len(curve.reward)


def test_the_report_is_the_mean_over_seeds(tmp_path):
    config = tiny(tmp_path)
    study.run(config, silent)
    rows = report.report(config)
    assert [row.variant for row in rows] == expand(config)
    last = [
        curves.read(curves.path(tmp_path, "ac-fixed-0.4", seed)).returns[-1]
        for seed in (1, 2, 3)
    ]
    row = rows[1]
    assert row.variant.name == "ac-fixed-0.4"
    assert row.seeds == 3
    np.testing.assert_allclose(row.mean, np.mean(last), rtol=1e-9)
    np.testing.assert_allclose(row.deviation, np.std(last, ddof=1), rtol=1e-9)
    # Student's t with two degrees of freedom, from a table: 4.303.
    half = 4.303 * np.std(last, ddof=1) / np.sqrt(3)
    np.testing.assert_allclose(row.interval, half, rtol=1e-4)
    for agent in ("ac", "q-lambda"):
        for figure in ("return", "schedule", "cycle"):
            assert (tmp_path / f"{agent}-{figure}.png").stat().st_size > 5_000
    assert (tmp_path / "summary.csv").read_text().count("\n") == 6


def test_a_seed_that_diverges_is_counted(tmp_path):
    config = tiny(tmp_path, agent=("ac",), method=("fixed",))
    wild = dataclasses.replace(config.ac, entropy=(0.1,), learning_rate=1e20)
    config = dataclasses.replace(config, ac=wild)
    study.run(config, silent)
    (row,) = report.report(config)
    assert (row.seeds, row.diverged) == (3, 3)
    assert np.isfinite(row.mean)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--world.period", "0"), "world.period = 0: must be at least 1"),
        (("--ac.K", "0"), "ac.K = 0: must lie between 1 and 64"),
        (("--ac.L", "65"), "ac.L = 65: must lie between 1 and 64"),
        (("--q.L", "1"), "q.L = 1: must lie between 2 and 128"),
        (("--ac.meta-rate",), "ac.meta-rate: a sweep needs at least one"),
        (("--q.epsilon", "1.5"), "q.epsilon = 1.5: must lie between 0 and 1"),
        (("--seeds", "0"), "seeds = 0: must be at least 1"),
        (("--method",), "method: name at least one"),
        (
            ("--agent", "q-lambda", "--method", "mg"),
            "nothing to run: q-lambda is fixed or learned by bmg",
        ),
    ],
)
def test_bad_input_is_refused_in_one_line(flags, message):
    with pytest.raises(ConfigError, match=message) as error:
        check(study.parse(["--preset", "quick", *flags]))
    assert "\n" not in str(error.value)


def test_an_unknown_preset_names_the_nearest():
    with pytest.raises(ConfigError, match="'quik'; allowed: .*: quick"):
        choose(PRESETS, "quik")


def test_the_paper_has_both_agents_and_fifty_seeds():
    config = choose(PRESETS, "paper")
    check(config)
    families = {variant.family for variant in expand(config)}
    assert families == {
        "ac-fixed",
        "ac-mg-none",
        "ac-mg-reward",
        "ac-bmg-none",
        "ac-bmg-reward",
        "q-lambda-fixed",
        "q-lambda-bmg-none",
        "q-lambda-bmg-reward",
    }
    assert (config.seeds, config.steps) == (50, 10_000_000)
