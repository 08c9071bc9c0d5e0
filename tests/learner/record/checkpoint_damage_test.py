"""Checkpoints that are damaged: put aside, refused, or noticed."""

import shutil

import jax.numpy as jnp
import numpy as np
import pytest

from learner.record import checkpoint as checkpoint_lib
from learner.record.progress import RunError
from tests.learner.record.checkpoint_states import (
    a_state,
    assert_bitwise,
    names,
    saved,
)


def files_of(step):
    return sorted(path for path in step.rglob("*") if path.is_file())


def truncate_every_file(step):
    for path in files_of(step):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def truncate_the_numbers(step):
    path = max(files_of(step / "state"), key=lambda path: path.stat().st_size)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def remove_the_state(step):
    shutil.rmtree(step / "state")


def remove_the_numbers(step):
    for path in files_of(step / "state" / "d"):
        path.unlink()
    for path in files_of(step / "state" / "ocdbt.process_0"):
        path.unlink()


def remove_the_facts(step):
    shutil.rmtree(step / "facts")


def garbage_for_the_manifest(step):
    (step / "state" / "manifest.ocdbt").write_bytes(b"garbage" * 9)


def garbage_for_the_structure(step):
    (step / "state" / "_METADATA").write_text("{garbage")


def garbage_for_the_facts(step):
    for path in files_of(step / "facts"):
        path.write_text("{garbage")


def empty(step):
    shutil.rmtree(step)
    step.mkdir()


DAMAGE = [
    truncate_every_file,
    truncate_the_numbers,
    remove_the_state,
    remove_the_numbers,
    remove_the_facts,
    garbage_for_the_manifest,
    garbage_for_the_structure,
    garbage_for_the_facts,
    empty,
]


def contents(folder):
    return {
        path.relative_to(folder): path.read_bytes() for path in files_of(folder)
    }


# orbax's other reads go on when one has failed, and nobody awaits them.
ignore_unraisable = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)


@ignore_unraisable
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_newest_is_put_aside_and_the_one_before_is_taken(
    damage, opened, tmp_path, first_state
):
    states = {frames: a_state(first_state, frames) for frames in (1, 2, 3)}
    saved(opened, states)
    folder = tmp_path / "checkpoints"
    damage(folder / "3")
    damaged = contents(folder / "3")

    messages = []
    checkpoints = opened(report=messages.append)
    restored = checkpoints.restore(a_state(first_state, 9))

    assert_bitwise(restored.state, states[2])
    assert restored.facts["frames"] == 2
    (message,) = messages
    assert "checkpoint 3 cannot be read" in message
    assert "unreadable-3" in message
    assert "\n" not in message
    # Nothing is deleted.
    assert contents(folder / "unreadable-3") == damaged
    assert names(folder) == {"1", "2", "unreadable-3"}
    # The run comes to the same frames again, and on.
    for frames in (3, 4):
        checkpoints.save(frames, states[frames % 3 + 1], {"frames": frames}, {})
    checkpoints.close()
    restored = opened(report=messages.append).restore(a_state(first_state, 9))
    assert restored.facts["frames"] == 4
    assert len(messages) == 1
    assert contents(folder / "unreadable-3") == damaged


def test_two_damaged_ones_are_both_put_aside(opened, tmp_path):
    states = {frames: {"x": np.full(3, frames)} for frames in (1, 2, 3)}
    saved(opened, states)
    for frames in ("2", "3"):
        truncate_every_file(tmp_path / "checkpoints" / frames)
    messages = []
    restored = opened(report=messages.append).restore(states[1])
    assert_bitwise(restored.state, states[1])
    assert len(messages) == 2
    assert names(tmp_path / "checkpoints") == {
        *("1", "unreadable-2", "unreadable-3")
    }


def test_the_same_frames_may_be_damaged_twice(opened, tmp_path):
    states = {frames: {"x": np.full(3, frames)} for frames in (1, 2)}
    folder, messages = tmp_path / "checkpoints", []
    for _ in range(2):
        saved(opened, states)
        truncate_every_file(folder / "2")
        checkpoints = opened(report=messages.append)
        restored = checkpoints.restore(states[1])
        assert_bitwise(restored.state, states[1])
        checkpoints.close()
    assert len(messages) == 2
    aside = names(folder) - {"1"}
    assert len(aside) == 2
    assert all(name.startswith("unreadable-2") for name in aside)
    for name in aside:
        assert name in messages[0] + messages[1]


def test_where_none_can_be_read_the_folder_is_named(opened, tmp_path):
    states = {frames: {"x": np.full(3, frames)} for frames in (1, 2)}
    saved(opened, states)
    folder = tmp_path / "checkpoints"
    for frames in states:
        truncate_every_file(folder / str(frames))
    with pytest.raises(RunError, match=str(folder)) as error:
        opened().restore(states[1])
    assert isinstance(error.value, RuntimeError)
    assert "--out" in str(error.value)
    assert names(folder) == {"unreadable-1", "unreadable-2"}


def test_where_none_can_be_read_a_second_attempt_is_refused_too(
    opened, tmp_path
):
    """Starting anew in that folder would cut its metrics to nothing."""
    saved(opened, {1: {"x": np.zeros(3)}})
    truncate_every_file(tmp_path / "checkpoints" / "1")
    for _ in range(2):
        with pytest.raises(RunError, match="can be read"):
            opened().restore({"x": np.zeros(3)})


def test_an_unknown_format_is_refused(opened, tmp_path, monkeypatch):
    states = {frames: {"x": np.full(3, frames)} for frames in (1, 2)}
    saved(opened, {1: states[1]})
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_lib, "_FORMAT", 99)
        saved(opened, {2: states[2]})
    messages = []
    restored = opened(report=messages.append).restore(states[1])
    assert_bitwise(restored.state, states[1])
    assert "format 99 is unknown" in messages[0]
    assert "unreadable-2" in names(tmp_path / "checkpoints")


@ignore_unraisable
@pytest.mark.parametrize("template", [{"x": 4}, {"x": 3, "y": 1}, {"y": 3}])
def test_a_state_of_another_shape_is_not_taken(template, opened):
    saved(opened, {1: {"x": jnp.zeros(3)}})
    with pytest.raises(RunError):
        opened().restore({k: jnp.zeros(size) for k, size in template.items()})


def test_one_flipped_bit_among_the_numbers_is_noticed(opened, tmp_path):
    """orbax itself would read another number."""
    rng = np.random.default_rng(0)
    states = {i: {"x": rng.normal(size=(300, 300))} for i in (1, 2)}
    saved(opened, states)
    step = tmp_path / "checkpoints" / "2"
    path = max(files_of(step), key=lambda path: path.stat().st_size)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    messages = []
    restored = opened(report=messages.append).restore(states[1])
    assert_bitwise(restored.state, states[1])
    assert "not those that were written" in messages[0]


def test_a_checkpoint_without_a_checksum_is_taken(opened, monkeypatch):
    state = {"x": np.arange(3)}
    dumps, save = checkpoint_lib.ocp.args.JsonSave, {}

    def without(facts):
        save.update(facts)
        return dumps({k: v for k, v in facts.items() if k != "checksum"})

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_lib.ocp.args, "JsonSave", without)
        saved(opened, {1: state})
    assert "checksum" in save
    assert_bitwise(opened().restore(state).state, state)


def test_a_lost_tape_is_noticed(opened, tmp_path):
    """Without it, a deterministic run would go on as another one."""
    state, checkpoints = {"x": np.zeros(2)}, opened()
    for frames in (1, 2):
        checkpoints.save(frames, state, {}, {"000": np.full(3, frames)})
    checkpoints.close()
    shutil.rmtree(tmp_path / "checkpoints" / "2" / "tape")
    np.testing.assert_array_equal(
        opened().restore(state).tape["000"], np.full(3, 1)
    )
