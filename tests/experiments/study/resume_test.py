"""Steps go on from a checkpoint, whichever version wrote it."""

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.study import resume
from learner.record.checkpoint import Checkpoints


def begin():
    return jnp.zeros((), jnp.int32), np.zeros(5)


def step(state, before):
    total, rows = state
    total = total + before
    rows[before] = total
    return total, rows


def stop_after(steps):
    made = 0

    def report(new):
        nonlocal made
        made += new
        if new and made >= steps:
            raise KeyboardInterrupt

    return report


def test_it_ends_as_if_it_had_not_been_interrupted(tmp_path, monkeypatch):
    monkeypatch.setattr(resume, "_SAVE_SECONDS", 0.0)
    # The third step has been made, but not yet saved.
    with pytest.raises(KeyboardInterrupt):
        resume.advance(tmp_path, begin, step, 5, stop_after(3))
    reported = []
    total, rows = resume.advance(tmp_path, begin, step, 5, reported.append)
    assert reported == [2, 1, 1, 1]
    assert int(total) == 0 + 1 + 2 + 3 + 4
    assert rows.tolist() == [0, 1, 3, 6, 10]


@pytest.mark.parametrize("name", ["call", "row"])
def test_checkpoints_of_older_versions_count_under_other_names(tmp_path, name):
    state = jnp.int32(3), np.array([0.0, 1.0, 3.0, 0.0, 0.0])
    checkpoints = Checkpoints(tmp_path, keep=1, report=print)
    checkpoints.save(3, state, {name: 3}, {})
    checkpoints.close()
    _, rows = resume.advance(tmp_path, begin, step, 5, lambda steps: None)
    assert rows.tolist() == [0, 1, 3, 6, 10]
