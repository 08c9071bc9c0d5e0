"""Tasks of logistic regression, and MAML and BMG on them."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from meta import bootstrap as bootstrap_lib
from meta import matching as matching_lib
from meta import tasks as tasks_lib
from meta import update as update_lib
from meta.loop import scanned

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


def meta_gradient(learner, w, batches):
    state, metrics = jax.jit(learner.step)(learner.init((), w), batches)
    return state.meta_opt_state, metrics


def assert_close(actual, expected, rtol=1e-7):
    for name in expected:
        np.testing.assert_allclose(
            actual[name], expected[name], rtol=rtol, atol=1e-9
        )
