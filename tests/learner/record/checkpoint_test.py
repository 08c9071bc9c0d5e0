"""Checkpoints: bit for bit, and which are kept."""

import pathlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np

from learner.learner import LearnerState
from learner.record.checkpoint import Checkpoints
from tests.learner.record.checkpoint_states import (
    a_state,
    assert_bitwise,
    names,
    saved,
)

# Round trips.


def test_a_learners_state_comes_back_bit_for_bit(first_state, opened):
    state = a_state(first_state, 1)
    saved(opened, {320: state})
    restored = opened().restore(a_state(first_state, 2))
    assert isinstance(restored.state, LearnerState)
    assert_bitwise(restored.state, state)
    for found, expected in zip(
        jax.tree.leaves(restored.state), jax.tree.leaves(state), strict=True
    ):
        assert found.sharding == expected.sharding
    assert restored.facts["frames"] == 320
    assert restored.facts["seconds"] == 1.5
    assert restored.tape == {}


def test_what_is_not_finite_comes_back_too(opened):
    state = {"x": np.array([np.nan, np.inf, -0.0, 1e-45], np.float32)}
    saved(opened, {1: state})
    assert_bitwise(opened().restore(state).state, state)


def test_a_tape_comes_back_bit_for_bit(opened):
    state = {"x": np.zeros(2)}
    tape = {
        "000": np.arange(12, dtype=np.int32).reshape(3, 4),
        "001": np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32),
    }
    checkpoints = opened()
    checkpoints.save(8, state, {}, tape)
    checkpoints.close()
    found = opened().restore(state).tape
    assert found.keys() == tape.keys()
    assert_bitwise({k: found[k] for k in tape}, tape)


def test_an_empty_folder_has_no_checkpoint(opened):
    assert opened().restore({"x": np.zeros(2)}) is None


def test_a_state_saved_on_two_devices_goes_on_on_one(first_state, opened):
    state = a_state(first_state, 1)
    saved(opened, {320: state})
    one = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    template = jax.device_put(a_state(first_state, 2), one)
    restored = opened().restore(template).state
    assert_bitwise(restored, state)
    for leaf in jax.tree.leaves(restored):
        assert leaf.sharding.device_set == {jax.devices()[0]}


# Saving.


def test_the_newest_are_kept_and_the_newest_is_taken(opened, tmp_path):
    states = {frames: {"x": np.full(3, frames)} for frames in (5, 10, 20, 100)}
    saved(opened, states, keep=2)
    assert names(tmp_path / "checkpoints") == {"20", "100"}
    restored = opened().restore(states[5])
    assert_bitwise(restored.state, states[100])


def test_milestones_are_kept_for_good(opened, tmp_path):
    checkpoints = opened(keep=1)
    for frames in range(1, 7):
        state = {"x": np.full(3, frames)}
        checkpoints.save(frames, state, {}, {}, milestone=frames % 2 == 0)
    checkpoints.close()
    assert names(tmp_path / "checkpoints") == {"6"}
    assert names(tmp_path / "milestones") == {"2", "4", "6"}
    # A milestone is a checkpoint.
    shutil.rmtree(tmp_path / "checkpoints")
    (tmp_path / "milestones").rename(tmp_path / "checkpoints")
    shutil.rmtree(tmp_path / "checkpoints" / "6")
    restored = opened().restore({"x": np.zeros(3, int)})
    np.testing.assert_array_equal(restored.state["x"], [4, 4, 4])


def test_saving_the_same_frames_twice_keeps_the_first(opened, tmp_path):
    """As at the end of a run that stops right after a checkpoint."""
    checkpoints, state = opened(), {"x": np.arange(3)}
    checkpoints.save(8, state, {"seconds": 1.0}, {})
    checkpoints.save(8, state, {"seconds": 2.0}, {}, milestone=True)
    checkpoints.save(8, state, {"seconds": 3.0}, {}, milestone=True)
    checkpoints.close()
    reopened = opened()
    assert reopened.restore(state).facts["seconds"] == 1.0
    reopened.save(8, state, {"seconds": 4.0}, {})
    reopened.close()
    assert names(tmp_path / "checkpoints") == {"8"}
    assert names(tmp_path / "milestones") == {"8"}


def test_what_is_saved_may_be_donated_at_once(opened):
    """Saving goes on in the background, while the next step runs."""
    change = jax.jit(lambda x: x * 0 - 1, donate_argnums=0)
    checkpoints = opened()
    big = jnp.arange(1_000_000, dtype=jnp.float32)
    expected = np.array(big)
    checkpoints.save(1, {"x": big}, {}, {})
    for _ in range(20):
        big = change(big)
    checkpoints.close()
    found = opened().restore({"x": expected})
    np.testing.assert_array_equal(found.state["x"], expected)


def test_what_was_saved_of_numpy_may_be_written_to_at_once(opened):
    checkpoints, array = opened(), np.arange(1_000_000)
    checkpoints.save(1, {"x": array}, {}, {})
    expected = array.copy()
    array[:] = -1
    checkpoints.close()
    found = opened().restore({"x": array})
    np.testing.assert_array_equal(found.state["x"], expected)


def test_a_save_that_was_cut_short_is_no_checkpoint(opened, tmp_path):
    """orbax writes elsewhere and renames: kill -9 leaves its scratch folder."""
    states = {frames: {"x": np.full(3, frames)} for frames in (1, 2)}
    saved(opened, states)
    checkpoints = tmp_path / "checkpoints"
    scratch = checkpoints / "3.orbax-checkpoint-tmp"
    shutil.copytree(checkpoints / "2", scratch)
    assert_bitwise(opened().restore(states[1]).state, states[2])


def test_a_folder_may_be_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    checkpoints = Checkpoints(pathlib.Path("run"), keep=1, report=print)
    checkpoints.save(1, {"x": np.zeros(2)}, {}, {})
    checkpoints.close()
    assert names(tmp_path / "run" / "checkpoints") == {"1"}
