"""Lanes of a study made up for it: each counts, by a setting of its own."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.study import lanes, resume
from experiments.study.chunks import Runner, chunk_name, run_lanes
from experiments.study.ledger import Ledger, Run, every_run

META_STEP = 4  # environment steps


class Variant(NamedTuple):
    """Counts up by `stride`."""

    name: str
    stride: float


class Counter(NamedTuple):
    init: object
    step: object


def counter(stride):
    """Begins at 0; what it records is its count, and twice that."""

    def step(state):
        count, key = state
        count = count + stride
        return (count, key), {"count": count, "twice": 2 * count}

    def init(key):
        return jnp.zeros(()), jax.random.key_data(key)

    return Counter(init, step)


def make_runner(folder, plan, written):
    def write(run, step, record):
        path = folder / "curves" / run.variant.name / f"seed-{run.seed:03d}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        written.setdefault(run, []).append((step, record))

    return Runner(
        lambda structure, devices: lanes.compile_lanes(counter, plan, devices),
        lambda runs: jnp.array([run.variant.stride for run in runs]),
        write,
    )


VARIANTS = [Variant("slow", 1.0), Variant("fast", 10.0)]


@pytest.mark.parametrize(
    ("steps", "resolution", "rows", "per_row", "per_call"),
    [
        (80, 8, 10, 2, 1),
        (80, 1, 20, 1, 1),  # a row is a meta-step at least
        (1, 80, 1, 20, 1),  # and a run is a row
        (8 * 205, 8, 205, 2, 3),  # the most calls are 100
    ],
)
def test_a_plan_comes_nearest_to_what_is_asked_for(
    steps, resolution, rows, per_row, per_call
):
    plan = lanes.make_plan(META_STEP, steps=steps, resolution=resolution)
    assert plan == (rows, per_row, per_call, per_row * META_STEP)
    assert plan.calls * per_call >= rows > (plan.calls - 1) * per_call
    assert plan.steps == plan.calls * plan.call_steps


@pytest.mark.parametrize("interrupted", [False, True])
def test_every_lane_counts_by_its_own_setting(
    tmp_path, monkeypatch, interrupted
):
    monkeypatch.setattr(resume, "_SAVE_SECONDS", 0.0)
    # Three meta-steps a row; two rows a call, the last of which is half used.
    plan = lanes.Plan(rows=5, per_row=3, per_call=2, row_steps=3 * META_STEP)
    written, reported = {}, []
    run = functools.partial(
        run_lanes,
        make_runner(tmp_path, plan, written),
        Ledger(tmp_path),
        {VARIANTS[0]: every_run(VARIANTS, 3)},
        per_device=2,
    )

    def stop(steps, what):
        if len(reported) == 3:
            reported.append(0)
            raise KeyboardInterrupt
        reported.append(steps)

    if interrupted:
        with pytest.raises(KeyboardInterrupt):
            run(report=stop)
        reported.clear()
    run(report=lambda steps, what: reported.append(steps))
    # Row i, from 0, is the mean of the counts 3 i + 1, 3 i + 2 and 3 i + 3.
    means = np.array([3.0 * i + 2.0 for i in range(5)])
    assert set(written) == set(every_run(VARIANTS, 3))
    for (variant, _), found in written.items():
        for step, record in found:
            assert step.tolist() == [12, 24, 36, 48, 60]
            np.testing.assert_allclose(record["count"], variant.stride * means)
            np.testing.assert_allclose(record["twice"], 2 * record["count"])
    # Lanes that fill a chunk are not counted.
    assert sum(reported) == 6 * plan.steps
    assert not (tmp_path / "unfinished").exists()
    reported.clear()
    run(report=lambda steps, what: reported.append(steps))
    assert reported == []


def test_checkpoints_are_of_the_lanes_of_a_chunk():
    first, last = Run(VARIANTS[0], 1), Run(VARIANTS[0], 9)
    names = {chunk_name([first, Run(variant, 2), last]) for variant in VARIANTS}
    assert len(names) == 2
    assert all(name.startswith("slow-") for name in names)
