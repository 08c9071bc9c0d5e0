"""A study's tables against arithmetic by hand."""

import csv

import numpy as np
import pytest
import scipy.stats

from experiments.few_shot import curves, report
from experiments.few_shot.variants import expand
from tests.experiments.few_shot.tiny_study import tiny


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
