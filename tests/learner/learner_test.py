"""impala, stacx and bmg as `build_learner` makes them, on a tiny task."""

import collections
import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from actors.environment import FIRST, LAST, MID, Spec
from actors.transition import Transition, Unroll
from learner import build, build_acting
from learner.config import (
    Config,
    LearnerConfig,
    LossConfig,
    MetaConfig,
    NetworkConfig,
    OptimiserConfig,
    ReplayConfig,
)
from learner.learner import make_learner
from learner.loss import Hyperparams
from meta.update import gradient_update

T, B = 4, 4
TASK = Spec(
    num_actions=3,
    observation_shape=(4, 3),  # [S * C, W]
    observation_dtype=np.dtype(np.uint8),
    stack=2,
    frames_per_step=4,
)
FRAMES_PER_BATCH = T * B * 4
ALGORITHMS = ("impala", "stacx", "bmg")

# Compiles in less than half the time.
quickly = functools.partial(
    jax.jit,
    compiler_options={
        "xla_backend_optimization_level": 0,
        "xla_cpu_use_fusion_emitters": False,
    },
)

every_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS)


def configure(algorithm="bmg", *, updates=8, **meta):
    """All that matters is small; so is the meta-optimiser's epsilon, so that
    whatever has a meta-gradient at all moves by the meta-learning rate."""
    options = {"bootstrap_updates": 2, "epsilon": 1e-8, "learning_rate": 1e-2}
    return Config(
        algorithm=algorithm,
        frames=updates * FRAMES_PER_BATCH,
        network=NetworkConfig(torso="mlp", hidden=8),
        learner=LearnerConfig(unroll_length=T, batch=B, devices=1),
        loss=LossConfig(reduction="mean"),
        optimiser=OptimiserConfig(learning_rate=1e-2),
        meta=MetaConfig(**(options | meta)),
    )


def make(config, devices=1):
    agent = build_acting.build_agent(config, TASK)
    algorithm = build.build_algorithm(config, TASK, agent)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jax, "jit", quickly)
        learner = make_learner(
            algorithm, stack=TASK.stack, devices=jax.devices()[:devices]
        )
    return learner, agent


def compiled(algorithm, devices=1):
    """Compiled once for all tests."""
    return _compiled(algorithm, devices)


@functools.cache
def _compiled(algorithm, devices):
    return make(configure(algorithm), devices)


def some_params(agent):
    """Away from where networks begin, with policies that are not uniform."""
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda x: x + jnp.asarray(0.5 * rng.normal(size=x.shape), x.dtype),
        agent.init(jax.random.key(0)),
    )


def start(learner, agent):
    return learner.init(some_params(agent))


def a_batch(seed):
    """Single frames, as the actors send them."""
    rng = np.random.default_rng(seed)
    step_type = rng.choice(
        [FIRST, MID, LAST], p=[0.1, 0.8, 0.1], size=(T + 1, B)
    )
    transitions = Transition(
        observation=rng.integers(256, size=(T + 1, B, 2, 3), dtype=np.uint8),
        step_type=step_type.astype(np.int8),
        reward=rng.normal(size=(T + 1, B)).astype(np.float32),
        discount=(step_type != LAST).astype(np.float32),
        action=rng.integers(3, size=(T + 1, B), dtype=np.int32),
        logits=rng.normal(size=(T + 1, B, 3)).astype(np.float32),
    )
    older = rng.integers(256, size=(B, 2, 3), dtype=np.uint8)
    return Unroll(transitions, older, (), np.zeros(B, np.int32))


def a_window(learner, seed=0):
    return tuple(
        learner.place(a_batch(seed + i)) for i in range(learner.window)
    )


def copied(tree):
    return jax.tree.map(np.array, jax.device_get(tree))


def assert_equal(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    jax.tree.map(np.testing.assert_array_equal, one, other)


def differ(one, other):
    return any(
        np.any(x != y)
        for x, y in zip(
            jax.tree.leaves(one), jax.tree.leaves(other), strict=True
        )
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
    update = gradient_update(loss, build.build_optimiser(config, TASK))
    params = some_params(agent)
    (batch,) = a_window(learner)
    expected, _ = quickly(update.apply)(update.init(params), (), batch)
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


# The learning rate.


def rates(optimiser, count):
    """How far each update goes along a constant gradient."""
    state, told = optimiser.init(jnp.zeros(())), []
    for _ in range(count):
        update, state = optimiser.update(jnp.ones(()), state)
        told.append(-float(update))
    return told


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [(0.0, [8, 6, 4, 2, 0, 0]), (0.5, [8, 7, 6, 5, 4, 4])],
)
def test_the_rate_falls_linearly_over_the_run(fraction, expected):
    config = Config(
        frames=4 * FRAMES_PER_BATCH,
        learner=LearnerConfig(unroll_length=T, batch=B),
        optimiser=OptimiserConfig(
            name="sgd", learning_rate=8.0, final_fraction=fraction
        ),
    )
    found = rates(build.build_optimiser(config, TASK), 6)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_frames_that_replay_gives_are_not_counted():
    config = configure(updates=3)
    assert build.frames_per_batch(config, TASK) == FRAMES_PER_BATCH
    assert build.meta_steps(config, TASK) == 3
    replaying = dataclasses.replace(config, replay=ReplayConfig(columns=3))
    assert build.frames_per_batch(replaying, TASK) == FRAMES_PER_BATCH / 4
    assert build.meta_steps(replaying, TASK) == 12


def test_both_rates_are_zero_at_the_end_of_a_run_and_not_before():
    learner, agent = compiled("bmg")
    state = start(learner, agent)
    while state.updates < 8:
        before = copied(state.meta.inner.params)
        state, metrics = learner.step(state, a_window(learner))
        assert differ(copied(state.meta.inner.params), before)
        assert metrics["meta"]["loss"] > 0
    before = copied(state.meta.inner.params)
    state, metrics = learner.step(state, a_window(learner))
    assert_equal(copied(state.meta.inner.params), before)
    assert metrics["meta"]["gradient_norm"] == 0


@pytest.mark.parametrize(
    ("k", "length", "batches", "go_on", "kept"),
    [
        (1, 4, "next", "inner", 1),
        (2, 3, "next", "inner", 2),
        (2, 3, "same", "inner", 2),
        (2, 3, "next", "bootstrap", 4),
        (1, 4, "same", "bootstrap", 4),
    ],
)
def test_both_rates_reach_zero_with_the_last_meta_step(
    k, length, batches, go_on, kept
):
    config = configure(
        updates=8,
        inner_updates=k,
        bootstrap_updates=length,
        bootstrap_batches=batches,
        continue_from=go_on,
        bootstrap_optimiser="sgd",
        bootstrap_learning_rate=1.0,
    )
    learner, _ = make(config)
    meta_steps = 8 // learner.stride
    inner = rates(build.build_optimiser(config, TASK), meta_steps * kept + 1)
    assert [rate > 0 for rate in inner] == [*[True] * meta_steps * kept, False]
    last = rates(build._bootstrap_optimiser(config, TASK), meta_steps + 1)
    assert [rate > 0 for rate in last] == [*[True] * meta_steps, False]


# Windows.


@pytest.mark.parametrize(
    ("algorithm", "options", "window", "stride"),
    [
        ("impala", {}, 1, 1),
        ("impala", {"inner_updates": 3}, 3, 3),
        ("stacx", {}, 2, 1),
        ("stacx", {"inner_updates": 3}, 4, 3),
        ("stacx", {"inner_updates": 3, "bootstrap_batches": "same"}, 3, 3),
        ("bmg", {"bootstrap_updates": 1}, 2, 1),
        ("bmg", {"bootstrap_updates": 4}, 5, 1),
        ("bmg", {"inner_updates": 2, "bootstrap_updates": 4}, 6, 2),
        ("bmg", {"bootstrap_updates": 4, "bootstrap_batches": "same"}, 1, 1),
        (
            "bmg",
            {"bootstrap_updates": 4, "continue_from": "bootstrap"},
            5,
            4,
        ),
    ],
)
def test_the_window_and_its_stride(algorithm, options, window, stride):
    learner, _ = make(configure(algorithm, **options))
    assert (learner.window, learner.stride) == (window, stride)


# Hyper-parameters.


def test_the_plain_objective_is_head_0_with_the_configured_numbers():
    config = Config(
        loss=LossConfig(
            discount=0.97,
            trace=0.9,
            value_weight=0.25,
            policy_weight=2.0,
            entropy_weight=0.03,
            auxiliary_heads=2,
        )
    )
    expected = Hyperparams(
        discount=[0.97] * 3,
        trace=[0.9] * 3,
        value_weight=[0.25, 0, 0],
        policy_weight=[2, 0, 0],
        entropy_weight=[0.03, 0, 0],
        alpha_rho=[1] * 3,
        alpha_c=[1] * 3,
    )
    for found, wanted in zip(
        build.plain_hyperparams(config), expected, strict=True
    ):
        np.testing.assert_array_equal(found, np.float32(wanted))


@pytest.mark.parametrize("algorithm", ["stacx", "bmg"])
def test_self_tuned_hyperparams_start_at_initial_times_scale(algorithm):
    learner, agent = compiled(algorithm)
    found = learner.hyperparams(start(learner, agent))
    scale = Hyperparams(1, 1, 0.5, 1, 0.01, 1, 1)
    for name, value in zip(Hyperparams._fields, found, strict=True):
        assert value.shape == (3,)
        expected = 0.99 * getattr(scale, name)
        np.testing.assert_allclose(value, np.full(3, expected), rtol=1e-5)


def test_what_is_not_tuned_keeps_the_configured_value():
    config = configure(tuned=("trace", "entropy_weight"), initial=0.5)
    tuned = build.tuned_hyperparams(config)
    w = tuned.init()
    assert w.keys() == {"trace", "entropy_weight"}
    found = tuned.values(w)
    expected = Hyperparams(0.99, 0.5, 0.5, 1.0, 0.005, 1.0, 1.0)
    for value, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(value, np.full(3, wanted), rtol=1e-6)


def test_impala_keeps_its_hyperparams():
    learner, agent = compiled("impala")
    state, _ = learner.step(start(learner, agent), a_window(learner))
    for found, plain in zip(
        learner.hyperparams(state),
        build.plain_hyperparams(configure("impala")),
        strict=True,
    ):
        np.testing.assert_array_equal(found, plain)
        assert found.shape == (1,)


@pytest.mark.parametrize("algorithm", ["stacx", "bmg"])
def test_one_meta_step_moves_all_21_hyperparams(algorithm):
    """As far as Adam's first step goes: none has a gradient of zero."""
    learner, agent = compiled(algorithm)
    state = start(learner, agent)
    before = copied(state.meta.meta_params)
    state, metrics = learner.step(state, a_window(learner))
    moved = [
        np.abs(copied(state.meta.meta_params)[name] - before[name])
        for name in Hyperparams._fields
    ]
    assert np.size(moved) == 21
    assert np.min(moved) > 1e-3
    assert 0 < metrics["meta"]["gradient_norm"] < np.inf


def test_nothing_to_tune_is_no_error():
    learner, agent = make(configure("bmg", tuned=()))
    state, metrics = jax.eval_shape(
        learner.step, start(learner, agent), a_window(learner)
    )
    assert state.meta.meta_params == {}
    assert "bootstrap" in metrics


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
    del metrics["meta"]["gradient"], metrics["inner"]["rho"]
    inner = {"policy_loss", "value_loss", "entropy", "loss", "gradient_norm"}
    assert inner < metrics["inner"].keys()
    assert metrics["bootstrap"].pop("rho").counts.sum() > 0
    for leaf in jax.tree.leaves(metrics):
        assert leaf.shape == ()
    assert optax.tree.norm(metrics) > 0
