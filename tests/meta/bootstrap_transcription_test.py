"""Meta-steps against a transcription in numpy, by complex steps."""

from typing import NamedTuple

import numpy as np
import optax
import pytest

from meta import bootstrap as bootstrap_lib
from tests.meta.actor_critic_bandit import (
    ALPHA,
    BATCHES,
    DECAY,
    EPS,
    INNER,
    MATCHING,
    PLAIN,
    A,
    N,
    S,
    assert_close,
    gradient_by_hand,
    meta_params,
    sigmoid,
    stream,
    table,
)

pytestmark = pytest.mark.usefixtures("float64")


class Transcript(NamedTuple):
    x: np.ndarray
    nu: np.ndarray  # second moment of the inner optimiser
    plain_nu: np.ndarray  # second moment of the plain optimiser
    w: np.ndarray  # entropy, value
    momentum: np.ndarray  # of the meta-optimiser


def rmsprop_by_hand(rate, x, nu, gradient):
    nu = DECAY * nu + (1 - DECAY) * gradient * gradient
    return x - rate * gradient / np.sqrt(nu + EPS), nu


def matching_by_hand(x, target, batch):
    total = 0.0
    for n in range(N):
        s = np.argmax(batch.state[n])
        p = np.exp(target[s, :A]) / np.sum(np.exp(target[s, :A]))
        q = np.exp(x[s, :A]) / np.sum(np.exp(x[s, :A]))
        for a in range(A):
            total += p[a] * (np.log(p[a]) - np.log(q[a])) / N
        total += 0.25 * (target[s, A] - x[s, A]) ** 2 / N
    return total


def meta_step_by_hand(t, inner_batches, bootstrap_batches, num_kept):
    def learn(w, batches):
        path = [(t.x, t.nu)]
        for batch in batches:
            x, nu = path[-1]
            g = gradient_by_hand(
                x.astype(w.dtype), sigmoid(w[1]), sigmoid(w[0]), batch
            )
            path.append(rmsprop_by_hand(0.05, x, nu, g))
        return path

    k, last = len(inner_batches), bootstrap_batches[-1]
    path = learn(t.w, inner_batches + bootstrap_batches[:-1])
    x = path[-1][0]
    target, plain_nu = rmsprop_by_hand(
        ALPHA, x, t.plain_nu, gradient_by_hand(x, 0.5, 0.1, last)
    )
    gradient = np.zeros(2)
    for j in range(2):
        w = t.w + 1e-30j * np.eye(2)[j]
        x_k, _ = learn(w, inner_batches)[k]
        gradient[j] = matching_by_hand(x_k, target, last).imag / 1e-30
    momentum = 0.9 * t.momentum + gradient
    w = t.w - 0.5 * momentum
    loss = matching_by_hand(path[k][0], target, last)
    return Transcript(*path[num_kept], plain_nu, w, momentum), loss


@pytest.mark.parametrize(
    ("k", "length", "num_kept", "batches"),
    [
        (1, 1, 1, "next"),
        (2, 3, 2, "next"),
        (2, 3, 3, "next"),
        (2, 3, 4, "next"),
        (2, 3, 2, "same"),
        (2, 3, 4, "same"),
    ],
)
def test_meta_steps_against_numpy(k, length, num_kept, batches):
    learner = bootstrap_lib.bootstrapped(
        INNER["rmsprop"],
        PLAIN["rmsprop"],
        MATCHING["kl_v"],
        optax.sgd(0.5, momentum=0.9),
        num_inner=k,
        num_bootstrap=length,
        continue_after=num_kept,
        batches=BATCHES[batches],
    )
    state = learner.init(table(), meta_params())
    zeros = np.zeros((S, A + 1))
    w = np.array([-0.4, 0.7])
    t = Transcript(table(), zeros, zeros, w, np.zeros(2))
    data = stream(20)
    stride = k if batches == "same" else num_kept
    assert learner.stride == stride

    for _ in range(3):
        state, metrics = learner.step(state, data[: learner.window])

        ahead = data[k : k + length]
        if batches == "same":
            ahead = [data[k - 1]] * length
        t, loss = meta_step_by_hand(t, data[:k], ahead, num_kept)
        # A batch is learnt from once; those that were only looked at return.
        data = data[stride:]

        assert_close(state.inner.params, t.x)
        assert_close(optax.tree.get(state.inner.opt_state, "nu"), t.nu)
        assert_close(
            optax.tree.get(state.bootstrap_opt_state, "nu"), t.plain_nu
        )
        assert_close(
            state.meta_params, dict(zip(meta_params(), t.w, strict=True))
        )
        assert_close(
            optax.tree.get(state.meta_opt_state, "trace"),
            dict(zip(meta_params(), t.momentum, strict=True)),
        )
        assert_close(metrics["meta"]["loss"], loss)
