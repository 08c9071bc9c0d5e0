"""Studies on disk: resuming, devices, tables, bad input."""

import csv
import dataclasses
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from experiments.few_shot import build, curves, report, run, study
from experiments.few_shot.config import FewShotConfig, NetworkConfig
from experiments.few_shot.presets import PRESETS
from experiments.few_shot.variants import Variant, check, expand
from experiments.study import resume
from learner.config import ConfigError


def tiny(out, **changes):
    config = FewShotConfig(
        data="sinusoid",
        method=("maml", "bmg"),
        K=(2,),
        L=(2,),
        tasks=4,
        steps=60,
        resolution=10,
        seeds=1,
        test_updates=3,
        test_tasks=8,
        validation_tasks=4,
        network=NetworkConfig(hidden=(5,), channels=(2,)),
        out=str(out),
    )
    return dataclasses.replace(config, **changes)


def silent(steps, what):
    del steps, what


def run_study(config, report=silent):
    splits = build.build_splits(config, jax.devices())
    study.run(config, splits, report)


def contents(folder):
    """All that is learned, and nothing of the time that it took."""
    root = pathlib.Path(folder)
    found = {}
    for path in sorted((root / "curves").glob("*/*")):
        curve = curves.read(path)
        found[path.relative_to(root)] = np.stack(
            [curve.step, curve.loss, curve.score]
        ).tobytes()
    for path in sorted((root / "tests").glob("*/*")):
        found[path.relative_to(root)] = path.read_bytes()
    return found


def interrupted(config, every):
    """Runs a study that is interrupted again and again; how often it was."""
    calls = 0

    def interrupt(steps, what):
        nonlocal calls
        calls += 1
        if calls % every == 0:
            raise KeyboardInterrupt

    stops = 0
    while True:
        try:
            run_study(config, interrupt)
        except KeyboardInterrupt:
            stops += 1
        else:
            return stops


@pytest.mark.parametrize(
    "data",
    ["sinusoid", pytest.param("miniimagenet", marks=pytest.mark.slow)],
)
def test_a_study_that_was_interrupted_ends_as_if_it_had_not(
    tmp_path, monkeypatch, data
):
    changes = {"data": data}
    if data == "miniimagenet":
        archive = tmp_path / "images"
        write_random_images(archive)
        changes |= {"folder": str(archive), "method": ("bmg",), "steps": 3}
        changes |= {"resolution": 1, "shots": 1, "queries": 1, "at_once": 1}
        changes |= {"tasks": 2, "test_tasks": 2, "validation_tasks": 2}
    whole = tiny(tmp_path / "whole", **changes)
    broken = dataclasses.replace(whole, out=str(tmp_path / "broken"))
    run_study(whole)
    monkeypatch.setattr(resume, "_SAVE_SECONDS", 0.0)
    assert interrupted(broken, 3) >= 1
    assert contents(broken.study_folder) == contents(whole.study_folder)
    assert len(contents(whole.study_folder)) == 2 * len(expand(whole))
    assert not (broken.study_folder / "unfinished").exists()
    # What is done is not run again.
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.csv*")}
    run_study(broken)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.csv*")} == before


def write_random_images(folder):
    rng = np.random.default_rng(0)
    folder.mkdir()
    first = 0
    for split, count in (("train", 64), ("val", 16), ("test", 20)):
        np.savez(
            folder / f"{split}.npz",
            names=np.array([f"n{first + i}" for i in range(count)]),
            images=rng.integers(256, size=(count, 2, 84, 84, 3), dtype="u1"),
        )
        first += count


def test_tasks_shared_out_are_the_same_tasks(tmp_path):
    """Two devices, and tasks one by one, give what one device at once does."""
    config = tiny(tmp_path, method=("bmg",), validation_tasks=8)
    devices = jax.devices()
    assert len(devices) == 2
    (variant,) = expand(config)
    found = []
    for count, at_once in ((1, 0), (2, 0), (2, 1)):
        each = dataclasses.replace(config, at_once=at_once)
        chosen = devices[:count]
        splits = build.build_splits(each, chosen)
        program = run.Compiler(each, splits, chosen).program(variant)
        meta, key = program.init(jnp.uint32(3))
        meta, key, loss = program.advance(meta, key)
        found.append((float(loss), program.test(meta.meta_params)))
    for loss, scores in found[1:]:
        np.testing.assert_allclose(loss, found[0][0], rtol=1e-4)
        np.testing.assert_allclose(scores, found[0][1], rtol=1e-3, atol=1e-4)


@pytest.fixture
def written(tmp_path):
    """Made-up curves and tests of MAML and of two BMGs."""
    config = tiny(tmp_path, seeds=2, L=(1, 2), steps=20)
    rng = np.random.default_rng(0)
    tests = {}
    for variant in expand(config):
        for seed in (1, 2):
            speed = 2.0 if variant.method == "bmg" else 1.0
            x = np.array([10.0, 20.0])
            score = np.array([3.0, 2.0 - 0.1 * variant.L + seed])
            curve = curves.Curve(x, x, x * speed, x, score)
            curves.write(curves.path(tmp_path, variant.name, seed), curve)
            test = rng.uniform(size=(8, 4)).round(6)
            tests[variant, seed] = test
            curves.write_test(
                curves.test_path(tmp_path, variant.name, seed), test
            )
    return config, tests


def test_the_table_by_hand(written):
    config, tests = written
    rows = {row.variant: row for row in report.report(config)}
    for variant, row in rows.items():
        last = np.stack([tests[variant, s][:, -1] for s in (1, 2)])
        assert row.seeds == 2
        np.testing.assert_allclose(row.score, last.mean())
        for interval, axis in ((row.task_interval, 0), (row.seed_interval, 1)):
            means = last.mean(axis=axis)
            low, high = scipy.stats.t.interval(
                0.95, len(means) - 1, means.mean(), scipy.stats.sem(means)
            )
            np.testing.assert_allclose(interval, (high - low) / 2)
    (maml,) = (row for v, row in rows.items() if v.method == "maml")
    # When it is done, the others stand at their first row.
    assert maml.seconds == 20.0
    assert maml.equal_time == 3.5
    assert {r.equal_time for v, r in rows.items() if v.method == "bmg"} == {3.0}


def test_differences_are_of_the_same_tasks(written):
    config, tests = written
    report.report(config)
    folder = config.study_folder
    with (folder / "differences.csv").open() as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    maml, *others = expand(config)
    assert rows.keys() == {variant.name for variant in others}
    for variant in others:
        gap = np.mean(
            [tests[variant, s] - tests[maml, s] for s in (1, 2)], axis=0
        )[:, -1]
        row = rows[variant.name]
        np.testing.assert_allclose(
            float(row["equal_batches"]), gap.mean(), 1e-4
        )
        assert float(row["time_ratio"]) == 2.0
        # 3.0 at their first row; MAML ended at 2 + 1 and 2 + 2.
        assert float(row["equal_time"]) == 3.0 - 3.5
    for name in ("batches", "time", "updates", "best"):
        assert (folder / f"{name}.png").stat().st_size > 5_000


def test_what_diverged_is_counted_and_left_out(written):
    config, tests = written
    variant = expand(config)[1]
    test = tests[variant, 1]
    test[:3, -1] = [np.inf, np.nan, -np.inf]
    folder = config.study_folder
    curves.write_test(curves.test_path(folder, variant.name, 1), test)
    rows = {row.variant: row for row in report.report(config)}
    last = [*test[3:, -1], *tests[variant, 2][:, -1]]
    assert rows[variant].diverged == 3
    np.testing.assert_allclose(rows[variant].score, np.mean(last))
    assert np.isfinite(rows[variant].task_interval)


def test_an_empty_study_reports_nothing(tmp_path):
    assert report.report(tiny(tmp_path)) == []


def test_variants():
    config = FewShotConfig(
        method=("joint", "maml", "bmg"),
        K=(1, 5),
        L=(1, 3),
        ahead=("query", "support"),
    )
    # joint, two of maml, and of each K: L = 1, and L = 3 with two aheads.
    variants = expand(config)
    assert len(variants) == 1 + 2 + 2 * 3
    assert len({variant.name for variant in variants}) == len(variants)
    assert Variant("bmg", 5, 3, "l2", "support", 0.1, 0.001).name == (
        "bmg-K5-L3-l2-support-boot0.1-rate0.001"
    )


@pytest.mark.parametrize("name", PRESETS)
def test_presets_can_run(name):
    config = PRESETS[name]()
    if name in ("omniglot", "miniimagenet"):
        config = dataclasses.replace(config, folder="somewhere")
    check(config)


def test_data_names_its_preset():
    assert study.parse(["--data", "digits"]) == PRESETS["digits"]()
    assert study.parse([]).data == "sinusoid"
    assert study.parse(["--data", "digits", "--ways", "3"]).ways == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shots": 0}, "shots = 0"),
        ({"ways": 1}, "ways = 1"),
        ({"K": ()}, "K: name at least one"),
        ({"L": (0,)}, "L = 0: must lie between 1"),
        ({"meta_rate": (0.0,)}, "meta-rate = 0"),
        ({"inner_rate": float("nan")}, "inner-rate = nan"),
        ({"at_once": -1}, "at-once = -1"),
        ({"data": "omniglot"}, "--folder"),
        ({"folder": "x"}, "reads no folder"),
        ({"data": "digits", "method": ("joint",)}, "sinusoids only"),
        ({"tasks": 3, "devices": 2}, "tasks = 3: must be a multiple"),
    ],
)
def test_bad_input_is_named(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        check(tiny(tmp_path, **changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ways": 9}, "ways = 9: digits has 8 classes for validation"),
        ({"queries": 200}, "digits has 174 images of each class"),
    ],
)
def test_tasks_that_digits_cannot_make(tmp_path, changes, message):
    pytest.importorskip("sklearn")
    config = tiny(tmp_path, data="digits", method=("maml",), **changes)
    with pytest.raises(ConfigError, match=message):
        build.build_splits(config, jax.devices())
