"""Studies on disk: resuming, devices, tables, bad input."""

import dataclasses
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.few_shot import build, curves, run, study
from experiments.few_shot.variants import expand
from experiments.study import resume
from tests.experiments.few_shot.tiny_study import tiny


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
