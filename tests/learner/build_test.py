"""What is built of a configuration: rates, windows, hyper-parameters."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learner import build
from learner.config import (
    Config,
    LearnerConfig,
    LossConfig,
    OptimiserConfig,
    ReplayConfig,
)
from learner.loss import Hyperparams
from tests.learner.tiny_learner import (
    FRAMES_PER_BATCH,
    TASK,
    B,
    T,
    a_window,
    assert_equal,
    compiled,
    configure,
    copied,
    differ,
    make,
    start,
)


def rates(optimiser, count):
    """How far each update goes along a constant gradient."""
    state, taken = optimiser.init(jnp.zeros(())), []
    for _ in range(count):
        update, state = optimiser.update(jnp.ones(()), state)
        taken.append(-float(update))
    return taken


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


@pytest.mark.parametrize(
    "make", [build.build_optimiser, build._bootstrap_optimiser]
)
def test_the_second_moment_begins_at_the_initial_scale(make):
    config = Config(optimiser=OptimiserConfig(initial_scale=0.7))
    state = make(config, TASK).init(jnp.zeros(2))
    moments = [x for x in jax.tree.leaves(state) if x.shape == (2,)]
    np.testing.assert_allclose(moments, [[0.7, 0.7]], rtol=1e-6)


def test_frames_that_replay_gives_are_not_counted():
    config = configure(updates=3)
    assert build.frames_per_batch(config, TASK) == FRAMES_PER_BATCH
    assert build.meta_steps(config, TASK) == 3
    replaying = dataclasses.replace(config, replay=ReplayConfig(trajectories=3))
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
    ("k", "length", "batches", "go_on", "updates"),
    [
        (1, 4, "next", "inner", 1),
        (2, 3, "next", "inner", 2),
        (2, 3, "same", "inner", 2),
        (2, 3, "next", "bootstrap", 4),
        (1, 4, "same", "bootstrap", 4),
    ],
)
def test_both_rates_reach_zero_with_the_last_meta_step(
    k, length, batches, go_on, updates
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
    inner = rates(build.build_optimiser(config, TASK), meta_steps * updates + 1)
    assert [rate > 0 for rate in inner] == [
        *[True] * meta_steps * updates,
        False,
    ]
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
