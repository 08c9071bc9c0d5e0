"""Meta-steps: states keep their form, jit changes nothing; refusals."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from meta import bootstrap as bootstrap_lib
from meta import loop as loop_lib
from meta import matching as matching_lib
from tests.meta.jitted import jitted_update
from tests.meta.recording_update import params_k, recording_update

pytestmark = pytest.mark.usefixtures("float64")


def layered(x, w, batch):
    hidden = jnp.tanh(x["first"] @ batch)
    output = hidden @ x["layer"]["last"]
    return w["scale"] * output**2 + w["decay"] @ hidden, {}


def plain_layered(x, w, batch):
    del w
    return layered(x, {"scale": 0.5, "decay": np.zeros(3, np.float32)}, batch)


LAYERED = jitted_update(layered, optax.rmsprop(0.01, eps=1e-2, momentum=0.5))
PLAIN_LAYERED = jitted_update(plain_layered, optax.adam(0.01))


def layered_learner(name, meta):
    mu = jax.jit(matching_lib.squared_distance())
    if name == "fixed":
        return bootstrap_lib.fixed(LAYERED, num_inner=2)
    if name == "standard":
        return bootstrap_lib.standard(LAYERED, mu, meta, num_inner=2)
    return bootstrap_lib.bootstrapped(
        LAYERED, PLAIN_LAYERED, mu, meta, num_bootstrap=2
    )


def layered_problem(learner):
    rng = np.random.default_rng(0)
    normal = rng.standard_normal
    x = {
        "first": normal((3, 3), np.float32),
        "layer": {"last": normal(3, np.float32)},
    }
    w = {"scale": np.float32(1.0), "decay": np.ones(3, np.float32)}
    window = [normal(3, np.float32) for _ in range(learner.window)]
    return learner.init(x, w), window


factories = pytest.mark.parametrize(
    "name", ["fixed", "standard", "bootstrapped"]
)


@factories
def test_a_step_keeps_structure_shapes_and_dtypes(name):
    learner = layered_learner(name, optax.adam(1e-3))
    state, window = layered_problem(learner)
    before = jax.eval_shape(lambda s: s, state)
    after, _ = jax.eval_shape(learner.step, state, window)
    assert jax.tree.structure(after) == jax.tree.structure(before)
    # Equal shapes, dtypes and weak types: compiled once, donated safely.
    assert jax.tree.leaves(after) == jax.tree.leaves(before)


def test_jit_and_donation_change_nothing():
    learner = layered_learner("bootstrapped", optax.sgd(1e-3, 0.9))
    state, window = layered_problem(learner)
    donated = jax.tree.map(jnp.array, state)
    step = jax.jit(learner.step, donate_argnums=0)
    for _ in range(2):
        state, metrics = learner.step(state, window)
        donated, jit_metrics = step(donated, window)
    for actual, expected in (donated, state), (jit_metrics, metrics):
        jax.tree.map(
            lambda a, e: np.testing.assert_allclose(a, e, 1e-5, 1e-7),
            actual,
            expected,
        )


def test_a_scanned_loop_changes_nothing():
    mu = matching_lib.squared_distance()

    def stepped(loop):
        learner = bootstrap_lib.bootstrapped(
            LAYERED,
            PLAIN_LAYERED,
            mu,
            optax.sgd(1e-3, 0.9),
            num_inner=2,
            num_bootstrap=4,
            continue_after=4,
            loop=loop,
        )
        return jax.jit(learner.step)(*layered_problem(learner))

    jax.tree.map(
        lambda a, e: np.testing.assert_allclose(a, e, 1e-5, 1e-7),
        stepped(loop_lib.scanned),
        stepped(loop_lib.unrolled),
    )


# Refusals.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_inner": -1}, "num_inner = -1: must be at least 0"),
        ({"num_bootstrap": 0}, "num_bootstrap = 0: must be at least 1"),
        (
            {"num_inner": 0, "num_bootstrap": 1},
            "num_bootstrap = 1: must be at least 2",
        ),
        (
            {"num_inner": 2, "num_bootstrap": 3, "continue_after": 1},
            "continue_after = 1: must lie between 2 and K + L - 1 = 4",
        ),
        (
            {"num_inner": 2, "num_bootstrap": 3, "continue_after": 5},
            "continue_after = 5: must lie between 2 and K + L - 1 = 4",
        ),
        (
            {"num_inner": 0, "num_bootstrap": 3},
            "continue_after = 0: must lie between 1 and K + L - 1 = 2",
        ),
        (
            {
                "num_inner": 0,
                "num_bootstrap": 3,
                "continue_after": 1,
                "batches": bootstrap_lib.same_batches,
            },
            "K = 0 has no inner batch: use next_batches",
        ),
    ],
)
def test_impossible_counts_are_refused(arguments, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        bootstrap_lib.bootstrapped(
            recording_update(0.0),
            recording_update(0.5),
            params_k,
            optax.sgd(1.0),
            **arguments,
        )


def test_fixed_and_standard_need_an_inner_update():
    message = "num_inner = 0: must be at least 1"
    with pytest.raises(ValueError, match=message):
        bootstrap_lib.fixed(recording_update(0.0), num_inner=0)
    with pytest.raises(ValueError, match=message):
        bootstrap_lib.standard(
            recording_update(0.0), params_k, optax.sgd(1.0), num_inner=0
        )


@factories
@pytest.mark.parametrize("surplus", [-1, 1])
def test_a_window_of_the_wrong_length_is_refused(name, surplus):
    learner = layered_learner(name, optax.sgd(1e-3))
    state, window = layered_problem(learner)
    window = (window * 2)[: learner.window + surplus]
    message = f"batches: {len(window)}, a step takes {learner.window}"
    with pytest.raises(ValueError, match=message):
        learner.step(state, window)
