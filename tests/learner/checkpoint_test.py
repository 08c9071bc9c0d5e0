"""Checkpoints: bit for bit, and what happens when one is damaged."""

import pathlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from actors.environment import Spec
from learner import build, build_acting
from learner import checkpoint as checkpoint_lib
from learner.checkpoint import Checkpoints
from learner.config import Config, LearnerConfig, NetworkConfig
from learner.learner import LearnerState, make_learner
from learner.progress import RunError

TASK = Spec(3, (4, 3), np.dtype(np.uint8), stack=2, frames_per_step=4)


@pytest.fixture(scope="module")
def first_state():
    """Of bmg on two devices."""
    config = Config(
        network=NetworkConfig(torso="mlp", hidden=4, lstm=3),
        learner=LearnerConfig(unroll_length=4, batch=4),
    )
    agent = build_acting.build_agent(config, TASK)
    algorithm = build.build_algorithm(config, TASK, agent)
    learner = make_learner(
        algorithm, stack=TASK.stack, devices=jax.devices()[:2]
    )
    return learner.init(agent.init(jax.random.key(0)))


def a_state(first_state, seed):
    """A bmg learner's state with random numbers in every leaf."""
    rng = np.random.default_rng(seed)

    def fill(leaf):
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            value = rng.normal(size=leaf.shape)
        else:
            value = rng.integers(1, 10**6, size=leaf.shape)
        return jax.device_put(value.astype(leaf.dtype), leaf.sharding)

    return jax.tree.map(fill, first_state)


@pytest.fixture
def opened(tmp_path):
    """Opens the checkpoints of a run, and closes them in the end."""
    made = []

    def opened(*, keep=3, report=print):
        made.append(Checkpoints(tmp_path, keep=keep, report=report))
        return made[-1]

    yield opened
    for checkpoints in made:
        checkpoints.close()


def saved(opened, states, *, keep=3):
    """Saves `{frames: state}` and closes."""
    checkpoints = opened(keep=keep)
    for frames, state in states.items():
        checkpoints.save(frames, state, {"frames": frames, "seconds": 1.5}, {})
    checkpoints.close()


def assert_bitwise(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert x.dtype == y.dtype
        assert np.asarray(x).tobytes() == np.asarray(y).tobytes()


def names(folder):
    return {path.name for path in folder.iterdir()}


# Round trips.


def test_a_learners_state_comes_back_bit_for_bit(first_state, opened):
    state = a_state(first_state, 1)
    saved(opened, {320: state})
    restored = opened().restore(a_state(first_state, 2))
    assert isinstance(restored.state, LearnerState)
    assert_bitwise(restored.state, state)
    for ours, theirs in zip(
        jax.tree.leaves(restored.state), jax.tree.leaves(state), strict=True
    ):
        assert ours.sharding == theirs.sharding
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
    again = opened()
    assert again.restore(state).facts["seconds"] == 1.0
    again.save(8, state, {"seconds": 4.0}, {})
    again.close()
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


# Damage.


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


# orbax's other reads go on when one has failed, and find nobody waiting.
unheard = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)


@unheard
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_newest_is_put_aside_and_the_one_before_is_taken(
    damage, opened, tmp_path, first_state
):
    states = {frames: a_state(first_state, frames) for frames in (1, 2, 3)}
    saved(opened, states)
    folder = tmp_path / "checkpoints"
    damage(folder / "3")
    damaged = contents(folder / "3")

    told = []
    checkpoints = opened(report=told.append)
    restored = checkpoints.restore(a_state(first_state, 9))

    assert_bitwise(restored.state, states[2])
    assert restored.facts["frames"] == 2
    (message,) = told
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
    restored = opened(report=told.append).restore(a_state(first_state, 9))
    assert restored.facts["frames"] == 4
    assert len(told) == 1
    assert contents(folder / "unreadable-3") == damaged


def test_two_damaged_ones_are_both_put_aside(opened, tmp_path):
    states = {frames: {"x": np.full(3, frames)} for frames in (1, 2, 3)}
    saved(opened, states)
    for frames in ("2", "3"):
        truncate_every_file(tmp_path / "checkpoints" / frames)
    told = []
    restored = opened(report=told.append).restore(states[1])
    assert_bitwise(restored.state, states[1])
    assert len(told) == 2
    assert names(tmp_path / "checkpoints") == {
        *("1", "unreadable-2", "unreadable-3")
    }


def test_the_same_frames_may_be_damaged_twice(opened, tmp_path):
    states = {frames: {"x": np.full(3, frames)} for frames in (1, 2)}
    folder, told = tmp_path / "checkpoints", []
    for _ in range(2):
        saved(opened, states)
        truncate_every_file(folder / "2")
        checkpoints = opened(report=told.append)
        restored = checkpoints.restore(states[1])
        assert_bitwise(restored.state, states[1])
        checkpoints.close()
    assert len(told) == 2
    aside = names(folder) - {"1"}
    assert len(aside) == 2
    assert all(name.startswith("unreadable-2") for name in aside)
    for name in aside:
        assert name in told[0] + told[1]


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
    told = []
    restored = opened(report=told.append).restore(states[1])
    assert_bitwise(restored.state, states[1])
    assert "format 99 is unknown" in told[0]
    assert "unreadable-2" in names(tmp_path / "checkpoints")


@unheard
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
    told = []
    restored = opened(report=told.append).restore(states[1])
    assert_bitwise(restored.state, states[1])
    assert "not those that were written" in told[0]


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


def test_a_folder_may_be_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    checkpoints = Checkpoints(pathlib.Path("run"), keep=1, report=print)
    checkpoints.save(1, {"x": np.zeros(2)}, {}, {})
    checkpoints.close()
    assert names(tmp_path / "run" / "checkpoints") == {"1"}
