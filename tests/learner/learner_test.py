"""impala, stacx and bmg: devices, donation, NaN, and what a step returns."""

import collections
import functools

import jax
import numpy as np
import optax
import pytest

from actors.transition import FIRST, Transition
from learner import build, build_acting
from learner.config import (
    Config,
    LearnerConfig,
    NetworkConfig,
)
from meta.update import semi_gradient_update
from tests.learner.tiny_learner import (
    TASK,
    B,
    T,
    a_batch,
    a_window,
    assert_equal,
    compiled,
    configure,
    copied,
    differ,
    every_algorithm,
    some_params,
    start,
)

# Devices.


@pytest.mark.parametrize(
    "algorithm",
    [
        "bmg",
        pytest.param("stacx", marks=pytest.mark.slow),
        pytest.param("impala", marks=pytest.mark.slow),
    ],
)
def test_two_devices_give_the_update_of_one(algorithm):
    found = []
    for devices in (1, 2):
        learner, agent = compiled(algorithm, devices)
        state = start(learner, agent)
        for step in range(2):
            window = a_window(learner, 10 * step)
            state, metrics = learner.step(state, window)
        found.append(copied((state, metrics)))
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5),
        *found,
    )
    # What is compared has moved by much more than the tolerance.
    moved = jax.tree.map(
        lambda x, y: np.abs(x - y).max(),
        found[0][0].meta.inner.params,
        copied(some_params(agent)),
    )
    assert max(jax.tree.leaves(moved)) > 1e-2


def test_batches_are_cut_over_devices_and_the_state_is_on_each():
    learner, agent = compiled("bmg", 2)
    batch = learner.place(a_batch(0))
    for leaf in jax.tree.leaves(batch.transitions):
        shapes = {s.device: s.data.shape for s in leaf.addressable_shards}
        assert len(shapes) == 2
        assert set(shapes.values()) == {(T + 1, B // 2, *leaf.shape[2:])}
    state, _ = learner.step(start(learner, agent), a_window(learner))
    for leaf in jax.tree.leaves(state):
        assert len(leaf.sharding.device_set) == 2
        assert leaf.sharding.is_fully_replicated


@pytest.mark.parametrize(
    ("asked", "batch", "used"), [(0, 4, 2), (1, 4, 1), (2, 4, 2), (0, 3, 1)]
)
def test_devices_are_those_asked_for_or_all_that_divide_the_batch(
    asked, batch, used
):
    config = Config(
        network=NetworkConfig(torso="mlp", hidden=4),
        learner=LearnerConfig(unroll_length=T, batch=batch, devices=asked),
    )
    agent = build_acting.build_agent(config, TASK)
    state = start(build.build_learner(config, TASK, agent), agent)
    assert len(state.updates.sharding.device_set) == used


# The state.


@every_algorithm
def test_a_step_donates_its_state_and_nothing_else(algorithm):
    learner, agent = compiled(algorithm)
    params = some_params(agent)
    before = copied(params)
    state, window = learner.init(params), a_window(learner)
    batches = copied(window)
    learner.step(state, window)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state))
    assert_equal(copied(params), before)
    assert_equal(copied(window), batches)


@every_algorithm
def test_a_step_is_deterministic(algorithm):
    learner, agent = compiled(algorithm)
    window = a_window(learner)
    one, other = (
        copied(learner.step(start(learner, agent), window)) for _ in range(2)
    )
    assert_equal(one, other)


@every_algorithm
def test_updates_count_batches(algorithm):
    learner, agent = compiled(algorithm)
    state = start(learner, agent)
    assert state.updates == 0
    for step in (1, 2, 3):
        state, _ = learner.step(state, a_window(learner, step))
        assert state.updates == step * learner.stride


def test_impala_is_the_plain_update():
    learner, agent = compiled("impala")
    config = configure("impala")
    loss = build.build_loss(config, agent)(
        lambda _: build.plain_hyperparams(config)
    )
    update = semi_gradient_update(loss, build.build_optimiser(config, TASK))
    params = some_params(agent)
    (batch,) = a_window(learner)
    expected, _ = jax.jit(update.apply)(update.init(params), (), batch)
    state, _ = learner.step(learner.init(params), (batch,))
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-7),
        copied(state.meta.inner.params),
        copied(expected.params),
    )


# What is not finite.


def poisoned(batch):
    reward = batch.transitions.reward.copy()
    reward[2, 1] = np.nan
    return batch._replace(transitions=batch.transitions._replace(reward=reward))


POISON = [("impala", 0), ("stacx", 0), ("stacx", 1), ("bmg", 0), ("bmg", 2)]


@pytest.mark.parametrize(("algorithm", "where"), POISON)
def test_a_nan_skips_the_update_and_leaves_the_state_bitwise(algorithm, where):
    """Whether the inner update suffers from it, or the meta-update alone."""
    learner, agent = compiled(algorithm)
    state, _ = learner.step(start(learner, agent), a_window(learner))
    before = copied(state)
    batches = [a_batch(i) for i in range(learner.window)]
    batches[where] = poisoned(batches[where])
    window = tuple(map(learner.place, batches))

    for skipped in (1, 2):
        state, metrics = learner.step(state, window)
        assert_equal(copied(state.meta), before.meta)
        assert metrics["skipped"] == state.skipped == skipped
        assert metrics["skipped_in_a_row"] == state.skipped_in_a_row == skipped
        # The batch is gone all the same.
        assert state.updates == before.updates + skipped * learner.stride

    state, metrics = learner.step(state, a_window(learner))
    assert differ(copied(state.meta.inner), before.meta.inner)
    assert (metrics["skipped"], metrics["skipped_in_a_row"]) == (2, 0)
    state, metrics = learner.step(state, window)
    assert (metrics["skipped"], metrics["skipped_in_a_row"]) == (3, 1)


# Frames to stacks.


@pytest.mark.parametrize("devices", [1, 2])
def test_place_rebuilds_the_stacks(devices):
    learner, _ = compiled("impala", devices)
    for seed in range(5):
        batch = a_batch(seed)
        placed = learner.place(batch)
        t = batch.transitions
        stacked = np.zeros((T + 1, B, 4, 3), np.uint8)
        for b in range(B):
            frames = collections.deque([batch.stack[b]], maxlen=TASK.stack)
            for step in range(T + 1):
                fills = 2 if t.step_type[step, b] == FIRST else 1
                frames.extend([t.observation[step, b]] * fills)
                stacked[step, b] = np.concatenate(frames)
        np.testing.assert_array_equal(placed.transitions.observation, stacked)
        assert placed.transitions.observation.dtype == np.uint8
        assert placed.stack == ()
        for name in set(Transition._fields) - {"observation"}:
            np.testing.assert_array_equal(
                getattr(placed.transitions, name), getattr(t, name)
            )


def test_place_keeps_the_recurrent_state_and_the_versions():
    learner, _ = compiled("impala", 2)
    batch = a_batch(0)._replace(
        core_state={"hidden": np.arange(8.0, dtype=np.float32).reshape(B, 2)},
        version=np.arange(B, dtype=np.int32),
    )
    placed = learner.place(batch)
    np.testing.assert_array_equal(
        placed.core_state["hidden"], batch.core_state["hidden"]
    )
    np.testing.assert_array_equal(placed.version, batch.version)


def test_metrics_are_numbers_of_the_inner_and_the_meta_update():
    learner, agent = compiled("bmg")
    _, metrics = learner.step(start(learner, agent), a_window(learner))
    assert metrics.keys() == {
        *("inner", "bootstrap", "meta", "skipped", "skipped_in_a_row")
    }
    assert metrics["meta"].keys() == {"loss", "gradient_norm", "gradient"}
    del metrics["meta"]["gradient"]
    assert metrics["inner"].pop("rho").shape == (1, T, B)  # K = 1
    inner = {"policy_loss", "value_loss", "entropy", "loss", "gradient_norm"}
    assert inner < metrics["inner"].keys()
    assert metrics["bootstrap"].pop("rho").shape == (T, B)
    for leaf in jax.tree.leaves(metrics):
        assert leaf.shape == ()
    assert optax.tree.norm(metrics) > 0
