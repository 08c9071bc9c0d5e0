"""Meta-steps: batches, states, closed forms and refusals."""

import re
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from meta import bootstrap as bootstrap_lib
from meta import loop as loop_lib
from meta import matching as matching_lib
from meta import update as update_lib

pytestmark = pytest.mark.usefixtures("float64")

BATCHES = {
    "next": bootstrap_lib.next_batches,
    "same": bootstrap_lib.same_batches,
}


# Parameters that spell the batches they have seen, one digit for each.


def speller(ending):
    """x' = 10 x + batch + ending, and an optimiser state that counts."""

    def apply(state, w, batch):
        del w
        state = state._replace(
            params=10.0 * state.params + batch + ending,
            opt_state=state.opt_state + 1,
        )
        return state, {"batch": jnp.float32(batch)}

    return update_lib.Update(
        lambda params: update_lib.InnerState(params, jnp.int32(0)), apply
    )


def spelling(k, length, kept=None, batches="next", read=lambda *args: args[0]):
    """A learner whose matching loss is what `read` picks."""
    learner = bootstrap_lib.bootstrapped(
        speller(0.0),
        speller(0.5),
        read,
        optax.sgd(1.0),
        num_inner=k,
        num_bootstrap=length,
        continue_after=kept,
        batches=BATCHES[batches],
    )
    return learner, learner.init(jnp.float32(0.0), jnp.float32(0.0))


def params_k(x, bootstrap, w, batch):
    return x


def bootstrap_params(x, bootstrap, w, batch):
    return bootstrap


def matching_batch(x, bootstrap, w, batch):
    return jnp.float32(batch)


@pytest.mark.parametrize(
    ("k", "length", "batches", "inner", "bootstrap", "last"),
    [
        (1, 1, "next", 1, 12.5, 2),
        (2, 1, "next", 12, 123.5, 3),
        (2, 3, "next", 12, 12345.5, 5),
        (1, 1, "same", 1, 11.5, 1),
        (2, 3, "same", 12, 12222.5, 2),
    ],
)
def test_batches_of_a_meta_step(k, length, batches, inner, bootstrap, last):
    for read, expected in (
        (params_k, inner),
        (bootstrap_params, bootstrap),
        (matching_batch, last),
    ):
        learner, state = spelling(k, length, None, batches, read)
        window = list(range(1, 1 + learner.window))
        _, metrics = learner.step(state, window)
        assert metrics["meta"]["loss"] == expected


@pytest.mark.parametrize("kept", [2, 3, 4])
def test_windows_slide_and_learn_from_each_batch_once(kept):
    learner, state = spelling(2, 3, kept)
    assert (learner.window, learner.stride) == (5, kept)
    stream = list(range(1, 10))
    while len(stream) >= learner.window:
        state, _ = learner.step(state, stream[: learner.window])
        stream = stream[learner.stride :]
    learnt = "123456789"[: 9 - len(stream)]
    assert state.inner.params == float(learnt)
    assert state.inner.opt_state == len(learnt)


@pytest.mark.parametrize(("kept", "expected"), [(2, 12), (3, 122), (4, 1222)])
def test_same_batches_move_on_by_the_window(kept, expected):
    learner, state = spelling(2, 3, kept, "same")
    assert (learner.window, learner.stride) == (2, 2)
    state, _ = learner.step(state, [1, 2])
    assert state.inner.params == expected


def test_the_plain_update_has_an_optimiser_state_of_its_own():
    learner, state = spelling(2, 3, 4)
    for _ in range(2):
        state, _ = learner.step(state, [1, 2, 3, 4, 5])
    assert state.bootstrap_opt_state == 2  # once for each meta-step
    assert state.inner.opt_state == 8


def test_the_learner_goes_on_from_x_k_by_default():
    learner, state = spelling(2, 3)
    state, _ = learner.step(state, [1, 2, 3, 4, 5])
    assert state.inner.params == 12


@pytest.mark.parametrize("kept", [2, 4])
def test_metrics_are_means_over_the_updates_that_are_kept(kept):
    learner, state = spelling(2, 3, kept)
    _, metrics = learner.step(state, [1, 2, 3, 4, 5])
    assert metrics["inner"]["batch"] == (1 + kept) / 2
    assert metrics["bootstrap"]["batch"] == 5


def test_fields_of_a_richer_inner_state_are_carried():
    class Keyed(NamedTuple):
        params: Any
        opt_state: Any
        key: jax.Array

    noise = speller(0.0)

    def apply(state, w, batch):
        state, metrics = noise.apply(state, w, batch)
        return state._replace(key=jax.random.split(state.key)[0]), metrics

    key = jax.random.key(0)
    keyed = update_lib.Update(lambda x: Keyed(x, jnp.int32(0), key), apply)
    learner = bootstrap_lib.bootstrapped(
        keyed, speller(0.5), bootstrap_params, optax.sgd(1.0), num_bootstrap=2
    )
    state = learner.init(jnp.float32(0.0), jnp.float32(0.0))

    state, metrics = learner.step(state, [1, 2, 3])

    assert metrics["meta"]["loss"] == 123.5
    assert state.inner.key == jax.random.split(key)[0]


# A parabola, f(x) = x^2 / 2, whose meta-parameter is the step size.


def parabola(x, w, batch):
    del batch
    return 0.5 * w * x**2, {}


def plain_parabola(x, w, batch):
    return parabola(x, 1.0, batch)


def step_size_learner(k, length, rate):
    return bootstrap_lib.bootstrapped(
        update_lib.gradient_update(parabola, optax.sgd(1.0)),
        update_lib.gradient_update(plain_parabola, optax.sgd(0.1)),
        matching_lib.squared_distance(),
        optax.sgd(rate),
        num_inner=k,
        num_bootstrap=length,
    )


@pytest.mark.parametrize("w", [0.3, 1.4])
@pytest.mark.parametrize("length", [1, 2, 4])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_meta_gradient_of_the_step_size(k, length, w):
    x = 2.0
    learner = step_size_learner(k, length, 1.0)
    before = learner.init(jnp.float64(x), jnp.float64(w))

    after, metrics = learner.step(before, [None] * learner.window)

    x_k = (1 - w) ** k * x
    bootstrap = (1 - 0.1) * (1 - w) ** (k + length - 1) * x
    slope = -k * (1 - w) ** (k - 1) * x
    gradient = -2 * (bootstrap - x_k) * slope
    np.testing.assert_allclose(after.inner.params, x_k)
    np.testing.assert_allclose(after.meta_params, w - gradient)
    np.testing.assert_allclose(metrics["meta"]["loss"], (bootstrap - x_k) ** 2)
    np.testing.assert_allclose(metrics["meta"]["gradient"], gradient)
    np.testing.assert_allclose(metrics["meta"]["gradient_norm"], abs(gradient))
    np.testing.assert_allclose(
        metrics["bootstrap"]["distance"], abs(bootstrap - x_k)
    )


@pytest.mark.parametrize("w", [0.5, 1.5])
def test_step_size_is_learnt(w):
    # The Newton step, w = 1, is the best step size of a parabola.
    learner = step_size_learner(1, 2, rate=0.05)
    state = learner.init(jnp.float64(2.0), jnp.float64(w))
    x_0 = state.inner
    step = jax.jit(learner.step)
    for _ in range(100):
        state, _ = step(state._replace(inner=x_0), (None,) * 3)
    np.testing.assert_allclose(state.meta_params, 1.0, atol=1e-2)


def test_fixed_makes_k_plain_updates():
    update = update_lib.gradient_update(parabola, optax.sgd(1.0))
    learner = bootstrap_lib.fixed(update, num_inner=3)
    assert (learner.window, learner.stride) == (3, 3)
    state = learner.init(jnp.float64(8.0), jnp.float64(0.5))

    state, metrics = learner.step(state, [None] * 3)

    assert state.inner.params == 1.0
    assert state.meta_params == 0.5
    # Gradients 0.5 (8, 4, 2).
    np.testing.assert_allclose(metrics["inner"]["gradient_norm"], 7 / 3)


def test_fixed_uses_the_batches_in_order():
    learner = bootstrap_lib.fixed(speller(0.0), num_inner=3)
    state = learner.init(jnp.float32(0.0), None)
    state, _ = learner.step(state, [1, 2, 3])
    assert state.inner.params == 123


def near(x, x_0, w, batch):
    """f plus a hold on x_0: the objective of STACX in small."""
    return 0.5 * x**2 + 3.0 * (x - x_0) ** 2


@pytest.mark.parametrize("k", [1, 2, 3])
def test_standard_meta_gradient(k):
    update = update_lib.gradient_update(parabola, optax.sgd(1.0))
    learner = bootstrap_lib.standard(update, near, optax.sgd(0.1), num_inner=k)
    x, w = 2.0, 0.3
    state = learner.init(jnp.float64(x), jnp.float64(w))

    state, metrics = learner.step(state, [None] * learner.window)

    # x_0 is where the learner stood before its K updates.
    x_k = (1 - w) ** k * x
    slope = -k * (1 - w) ** (k - 1) * x
    gradient = (x_k + 6.0 * (x_k - x)) * slope
    np.testing.assert_allclose(state.inner.params, x_k)
    np.testing.assert_allclose(state.meta_params, w - 0.1 * gradient)
    np.testing.assert_allclose(metrics["meta"]["loss"], near(x_k, x, w, None))


def test_standard_objective_of_x_0_gives_no_meta_gradient():
    update = update_lib.gradient_update(parabola, optax.sgd(1.0))
    learner = bootstrap_lib.standard(
        update, lambda x, x_0, w, batch: x_0**2, optax.sgd(1.0), num_inner=2
    )
    before = learner.init(jnp.float64(2.0), jnp.float64(0.3))
    after, metrics = learner.step(before, [None] * 3)
    assert after.meta_params == before.meta_params
    assert metrics["meta"]["gradient_norm"] == 0.0


@pytest.mark.parametrize(("batches", "last"), [("next", 3), ("same", 2)])
def test_standard_batches(batches, last):
    learner = bootstrap_lib.standard(
        speller(0.0),
        matching_batch,
        optax.sgd(1.0),
        num_inner=2,
        batches=BATCHES[batches],
    )
    assert (learner.window, learner.stride) == (last, 2)
    state = learner.init(jnp.float32(0.0), jnp.float32(0.0))
    state, metrics = learner.step(state, list(range(1, last + 1)))
    assert metrics["meta"]["loss"] == last
    assert state.inner.params == 12


# K = 0: the matching function alone reads the meta-parameters.


def greedy_policy_kl(q, bootstrap_q, epsilon, batch):
    """-log of the epsilon-greedy probability of the bootstrap's action."""
    greedy = jnp.argmax(q, -1) == jnp.argmax(bootstrap_q, -1)
    kept = 1 - epsilon + epsilon / q.shape[-1]
    changed = epsilon / q.shape[-1]
    return -jnp.mean(jnp.log(jnp.where(greedy, kept, changed)))


def towards_batch(x, w, batch):
    return 0.5 * jnp.sum((x - batch) ** 2), {}


def q_learner(matching, kept):
    """Moves the q-values halfway to each batch, wholly on the last."""
    return bootstrap_lib.bootstrapped(
        update_lib.gradient_update(towards_batch, optax.sgd(0.5)),
        update_lib.gradient_update(towards_batch, optax.sgd(1.0)),
        matching,
        optax.sgd(1.0),
        num_inner=0,
        num_bootstrap=3,
        continue_after=kept,
    )


def q_values(*greedy):
    return np.eye(2)[list(greedy)]


def test_exploration_is_learnt_without_inner_updates():
    # One of four states changes its greedy action: 1/4 = eps (1 - 1/2) at the
    # minimum, where eps = 0.5.
    q, bootstrap_q = q_values(0, 0, 1, 1), q_values(0, 0, 1, 0)
    learner = q_learner(greedy_policy_kl, kept=2)
    for epsilon in (0.1, 0.5, 0.9):
        state = learner.init(q, jnp.float64(epsilon))
        state, _ = learner.step(state, [q, q, bootstrap_q])
        gradient = 0.75 * 0.5 / (1 - 0.5 * epsilon) - 0.25 / epsilon
        np.testing.assert_allclose(
            state.meta_params, epsilon - gradient, atol=1e-12
        )


@pytest.mark.parametrize(("kept", "expected"), [(1, 0.5), (2, 0.75)])
def test_without_inner_updates_the_learner_follows_the_bootstrap(
    kept, expected
):
    learner = q_learner(greedy_policy_kl, kept)
    assert (learner.window, learner.stride) == (3, kept)
    state = learner.init(np.zeros((4, 2)), jnp.float64(0.3))
    state, metrics = learner.step(state, [np.ones((4, 2))] * 3)
    np.testing.assert_allclose(state.inner.params, expected)
    assert metrics["inner"]["loss"] > 0


def test_without_inner_updates_nothing_else_reaches_w():
    learner, state = spelling(0, 3, 2, read=bootstrap_params)
    after, metrics = learner.step(state, [1, 2, 3])
    assert metrics["meta"] == {
        "loss": 123.5,
        "gradient_norm": 0.0,
        "gradient": 0.0,
    }
    assert after.meta_params == state.meta_params


# What a run relies on: states keep their form, jit changes nothing.


def layered(x, w, batch):
    hidden = jnp.tanh(x["first"] @ batch)
    output = hidden @ x["layer"]["last"]
    return w["scale"] * output**2 + w["decay"] @ hidden, {}


def plain_layered(x, w, batch):
    del w
    return layered(x, {"scale": 0.5, "decay": np.zeros(3, np.float32)}, batch)


def jitted_update(loss, optimiser):
    update = update_lib.gradient_update(loss, optimiser)
    return update._replace(apply=jax.jit(update.apply))


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
            speller(0.0), speller(0.5), params_k, optax.sgd(1.0), **arguments
        )


def test_fixed_and_standard_need_an_inner_update():
    message = "num_inner = 0: must be at least 1"
    with pytest.raises(ValueError, match=message):
        bootstrap_lib.fixed(speller(0.0), num_inner=0)
    with pytest.raises(ValueError, match=message):
        bootstrap_lib.standard(
            speller(0.0), params_k, optax.sgd(1.0), num_inner=0
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
