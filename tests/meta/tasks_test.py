"""Tasks that begin at w: MAML and BMG against numpy and finite differences."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from meta import bootstrap as bootstrap_lib
from meta import matching as matching_lib
from meta import tasks as tasks_lib
from meta import update as update_lib
from meta.loop import scanned, unrolled

pytestmark = pytest.mark.usefixtures("float64")

N, F, A, TASKS = 6, 3, 4, 3  # examples, features, classes, tasks
ALPHA, BETA = 0.7, 0.4  # of inner updates, and of the bootstrap's


class Batch(NamedTuple):
    """Examples of one task, labels one-hot."""

    x: Any  # [N, F]
    y: Any  # [N, A]


def logits(w, x):
    return np.tanh(x @ w["a"]) @ w["b"]


def jax_logits(w, batch):
    return jnp.tanh(batch.x @ w["a"]) @ w["b"]


def jax_loss(w, meta_params, batch):
    del meta_params
    log_p = jax.nn.log_softmax(jax_logits(w, batch))
    return -jnp.mean(jnp.sum(batch.y * log_p, axis=1)), {}


def predict(w, batch):
    return matching_lib.Prediction(
        jax_logits(w, batch), jnp.zeros(N), jnp.ones(N)
    )


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def loss(w, batch):
    p = softmax(logits(w, batch.x))
    return -np.mean(np.log(np.sum(p * batch.y, axis=1)))


def gradient(w, batch):
    """By hand, the chain rule written out."""
    h = np.tanh(batch.x @ w["a"])
    delta = (softmax(h @ w["b"]) - batch.y) / N
    back = (delta @ w["b"].T) * (1 - h**2)
    return {"a": batch.x.T @ back, "b": h.T @ delta}


def descend(w, batch, rate, times=1):
    for _ in range(times):
        g = gradient(w, batch)
        w = {name: w[name] - rate * g[name] for name in w}
    return w


def differences(f, w, step=1e-5):
    """Central differences of f with respect to every number of w."""
    result = {name: np.zeros_like(value) for name, value in w.items()}
    for name, value in w.items():
        for index in np.ndindex(value.shape):
            ends = []
            for sign in (1, -1):
                moved = {n: v.copy() for n, v in w.items()}
                moved[name][index] += sign * step
                ends.append(f(moved))
            result[name][index] = (ends[0] - ends[1]) / (2 * step)
    return result


def initial():
    rng = np.random.default_rng(0)
    return {"a": rng.normal(size=(F, 5)), "b": rng.normal(size=(5, A))}


def window(tasks=TASKS):
    """Support and query of some tasks, `[tasks, N, ...]`."""
    rng = np.random.default_rng(1)
    return tuple(
        Batch(
            rng.normal(size=(tasks, N, F)),
            np.eye(A)[rng.integers(A, size=(tasks, N))],
        )
        for _ in range(2)
    )


def task(batches, index):
    return [jax.tree.map(lambda x: x[index], batch) for batch in batches]


# A window is support and query.
AHEAD_ON_QUERY = bootstrap_lib.Batches(
    lambda k, length: 2,
    lambda b, k, length: bootstrap_lib.Split([b[0]] * k, [b[1]] * length, b[1]),
)
AHEAD_ON_SUPPORT = bootstrap_lib.Batches(
    lambda k, length: 2,
    lambda b, k, length: bootstrap_lib.Split(
        [b[0]] * k, [b[0]] * (length - 1) + [b[1]], b[1]
    ),
)
# Leaves w as it is and keeps the meta-gradient as its state.
recorder = optax.GradientTransformation(
    lambda w: jax.tree.map(np.zeros_like, w),
    lambda g, _, w: (jax.tree.map(jnp.zeros_like, w), g),
)


def rule(rate, wrap=lambda optimiser: optimiser):
    return update_lib.gradient_update(jax_loss, wrap(optax.sgd(rate)))


def maml(k, inner=None, loop=scanned, over_tasks=tasks_lib.vmapped):
    return bootstrap_lib.standard(
        inner or rule(ALPHA),
        lambda params, start, w, batch: jax_loss(params, w, batch)[0],
        recorder,
        num_inner=k,
        batches=AHEAD_ON_QUERY,
        loop=loop,
        start=tasks_lib.initialisation(over_tasks),
    )


def bmg(k, length, mu, batches=AHEAD_ON_QUERY):
    return bootstrap_lib.bootstrapped(
        rule(ALPHA),
        rule(BETA),
        mu,
        recorder,
        num_inner=k,
        num_bootstrap=length,
        batches=batches,
        loop=scanned,
        start=tasks_lib.initialisation(),
    )


def meta_gradient(learner, w, batches):
    state, metrics = jax.jit(learner.step)(learner.init((), w), batches)
    return state.meta_opt_state, metrics


def assert_close(actual, expected, rtol=1e-7):
    for name in expected:
        np.testing.assert_allclose(
            actual[name], expected[name], rtol=rtol, atol=1e-9
        )


@pytest.mark.parametrize("k", [1, 3])
def test_maml_descends_the_loss_after_k_updates(k):
    """d/dw of the mean of f_query(x_K), x_0 = w, by finite differences."""
    w, batches = initial(), window()

    def expected(w):
        each = []
        for index in range(TASKS):
            support, query = task(batches, index)
            each.append(loss(descend(w, support, ALPHA, k), query))
        return np.mean(each)

    actual, metrics = meta_gradient(maml(k), w, batches)
    assert_close(actual, differences(expected, w), rtol=1e-6)
    np.testing.assert_allclose(metrics["meta"]["loss"], expected(w))


def test_first_order_maml_takes_the_gradient_where_it_ends():
    w, batches = initial(), window()
    each = []
    for index in range(TASKS):
        support, query = task(batches, index)
        each.append(gradient(descend(w, support, ALPHA, 2), query))
    expected = {n: np.mean([g[n] for g in each], axis=0) for n in w}

    first_order = maml(2, rule(ALPHA, update_lib.constant_gradient))
    actual, _ = meta_gradient(first_order, w, batches)
    assert_close(actual, expected)
    exact, _ = meta_gradient(maml(2), w, batches)
    assert np.max(np.abs(exact["b"] - expected["b"])) > 1e-3


@pytest.mark.parametrize("k", [1, 3])
def test_bmg_of_one_sgd_step_under_l2_is_maml(k):
    """x~ = x_K - beta grad f: grad mu = 2 beta grad f(x_K(w))."""
    w, batches = initial(), window()
    expected, _ = meta_gradient(maml(k), w, batches)
    l2 = matching_lib.squared_distance()
    actual, _ = meta_gradient(bmg(k, 1, l2), w, batches)
    assert np.max(np.abs(expected["a"])) > 1e-3
    assert_close(actual, {n: 2 * BETA * g for n, g in expected.items()}, 1e-10)


@pytest.mark.parametrize("ahead", ["query", "support"])
@pytest.mark.parametrize("length", [1, 3])
def test_bmg_under_kl_is_its_literal_transcription(ahead, length):
    """One task: K = 2 updates, L ahead, KL to a constant, in numpy."""
    w, batches = initial(), window(1)
    support, query = task(batches, 0)
    x_k = descend(w, support, ALPHA, 2)
    if ahead == "query":
        # L - 1 by the inner rule, the last by the bootstrap's own.
        x = descend(x_k, query, ALPHA, length - 1)
    else:
        x = descend(x_k, support, ALPHA, length - 1)
    target = softmax(logits(descend(x, query, BETA), query.x))

    def mu(w):
        online = softmax(logits(descend(w, support, ALPHA, 2), query.x))
        return np.mean(np.sum(target * np.log(target / online), axis=1))

    rules = {"query": AHEAD_ON_QUERY, "support": AHEAD_ON_SUPPORT}
    learner = bmg(2, length, matching_lib.policy_kl(predict), rules[ahead])
    actual, metrics = meta_gradient(learner, w, batches)
    np.testing.assert_allclose(metrics["meta"]["loss"], mu(w), rtol=1e-9)
    expected = differences(mu, w)
    assert np.max(np.abs(expected["a"])) > 1e-4
    assert_close(actual, expected, rtol=1e-5)


@pytest.mark.parametrize("loop", [unrolled, scanned])
def test_tasks_one_by_one_are_tasks_at_once(loop):
    def one_by_one(task):
        return lambda w, items: jax.lax.map(lambda item: task(w, item), items)

    w, batches = initial(), window()
    expected, _ = meta_gradient(maml(2), w, batches)
    actual, _ = meta_gradient(
        maml(2, loop=loop, over_tasks=one_by_one), w, batches
    )
    assert_close(actual, expected, rtol=1e-10)


def test_the_meta_optimiser_moves_w():
    w, batches = initial(), window()
    learner = bootstrap_lib.standard(
        rule(ALPHA),
        lambda params, start, w, batch: jax_loss(params, w, batch)[0],
        optax.sgd(0.1),
        batches=AHEAD_ON_QUERY,
        start=tasks_lib.initialisation(),
    )
    state, _ = learner.step(learner.init((), w), batches)
    g, _ = meta_gradient(maml(1), w, batches)
    assert_close(state.meta_params, {n: w[n] - 0.1 * g[n] for n in w})


def test_the_reversed_kl_weighs_by_our_own_predictions():
    w, query = initial(), task(window(1), 0)[1]
    target = descend(w, query, BETA)
    mu = matching_lib.reversed_order(matching_lib.policy_kl(predict))
    t = softmax(logits(target, query.x))

    def expected(w):
        p = softmax(logits(w, query.x))
        return np.mean(np.sum(p * np.log(p / t), axis=1))

    value, g = jax.value_and_grad(mu)(w, target, None, query)
    np.testing.assert_allclose(value, expected(w))
    assert_close(g, differences(expected, w), rtol=1e-5)
