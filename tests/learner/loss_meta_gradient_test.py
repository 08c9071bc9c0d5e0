"""Meta-gradients of the whole loss, stacx and bmg: finite differences."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from learner import learner as learner_lib
from learner.loss import Hyperparams, predict
from learner.optimisers import make_optimiser
from meta import bootstrap
from meta.matching import policy_kl_and_value
from meta.parameters import Bounds, self_tuned
from meta.update import semi_gradient_update
from tests.learner.loss_reference import (
    ALIVE,
    B,
    H,
    T,
    a_batch,
    a_perceptron,
    kl_by_hand,
    loss_by_hand,
    make_loss,
    perceive,
    perceive_in_numpy,
    softmax,
)

pytestmark = pytest.mark.usefixtures("float64")


BOUNDS = {
    name: Bounds(0.0, high)
    for name, high in zip(
        Hyperparams._fields, (1.0, 1.0, 0.6, 1.3, 0.4, 1.0, 1.0), strict=True
    )
}
TUNED = self_tuned(
    Hyperparams(**{k: b.high * np.full(H, 0.8) for k, b in BOUNDS.items()}),
    BOUNDS,
)
PLAIN = Hyperparams(
    *(
        np.array(x)
        for x in (
            [0.97, 0.9, 0.8],
            [1.0, 0.9, 0.8],
            [0.5, 0.0, 0.0],
            [1.0, 0.0, 0.0],
            [0.02, 0.0, 0.0],
            [1.0, 1.0, 1.0],
            [1.0, 1.0, 1.0],
        )
    )
)
RMSPROP = {"decay": 0.9, "epsilon": 1e-2, "clip": 1.0}
KL_WEIGHT = 0.7
make_perceptron_loss = functools.partial(
    make_loss, network=perceive, reduce=jnp.mean
)

# Leaves w as it is and keeps the meta-gradient as its state.
recorder = optax.GradientTransformation(
    lambda w: jax.tree.map(jnp.zeros_like, w),
    lambda gradient, _, w: (jax.tree.map(jnp.zeros_like, w), gradient),
)


def inner_optimiser():
    return make_optimiser("rmsprop", learning_rate=0.05, **RMSPROP)


def make_stacx(k):
    return learner_lib.stacx(
        make_perceptron_loss,
        TUNED,
        inner_optimiser(),
        plain=PLAIN,
        predict=predict(perceive),
        reduce=jnp.mean,
        kl_weight=KL_WEIGHT,
        meta_optimiser=recorder,
        num_inner=k,
        batches=bootstrap.next_batches,
    )


def bootstrap_optimiser():
    return make_optimiser("sgd", learning_rate=0.5, **RMSPROP)


def make_bmg(k):
    return learner_lib.bmg(
        make_perceptron_loss,
        TUNED,
        inner_optimiser(),
        plain=PLAIN,
        bootstrap_optimiser=bootstrap_optimiser(),
        matching=policy_kl_and_value(predict(perceive)),
        meta_optimiser=recorder,
        num_inner=k,
        num_bootstrap=2,
        continue_after=k,
        batches=bootstrap.next_batches,
    )


def assert_close(actual, expected):
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-9),
        actual,
        expected,
    )


class Constants(NamedTuple):
    """Parameters, before w is moved, that give targets."""

    x_k: dict
    bootstrap: dict


def stacx_by_hand(x_0, x_k, constants, batch):
    new, old = (perceive_in_numpy(x, batch) for x in (x_k, x_0))
    fixed = perceive_in_numpy(constants.x_k, batch)
    loss, _ = loss_by_hand(new, PLAIN, batch, constant=fixed)
    p, q = softmax(new.logits[:, :, 0]), softmax(old.logits[:, :, 0])
    kl = sum(kl_by_hand(p[i], q[i]) for i in ALIVE)
    return loss / (T * B) + KL_WEIGHT * kl / ((T + 1) * B)


def bmg_by_hand(x_0, x_k, constants, batch):
    del x_0
    online, target = (
        perceive_in_numpy(x, batch) for x in (x_k, constants.bootstrap)
    )
    p, q = softmax(target.logits[:, :, 0]), softmax(online.logits[:, :, 0])
    gap = target.values[:, :, 0] - online.values[:, :, 0]
    return sum(
        kl_by_hand(p[i], q[i]) + 0.25 * gap[i] ** 2 for i in ALIVE
    ) / len(ALIVE)


INNER = semi_gradient_update(
    make_perceptron_loss(TUNED.values), inner_optimiser()
)
PLAIN_UPDATE = semi_gradient_update(
    make_perceptron_loss(lambda _: PLAIN), bootstrap_optimiser()
)
inner_apply, plain_apply = jax.jit(INNER.apply), jax.jit(PLAIN_UPDATE.apply)


def inner_path(x, w, batches):
    """x_0 … x_n by real updates."""
    states = [INNER.init(x)]
    for batch in batches:
        states.append(inner_apply(states[-1], w, batch)[0])
    return [state.params for state in states]


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize(
    ("make", "by_hand"), [(make_stacx, stacx_by_hand), (make_bmg, bmg_by_hand)]
)
def test_all_21_meta_gradients_are_finite_differences(make, by_hand, k):
    """Of the outer loss in numpy, after k real updates of x under w.

    The targets of every update but the first move with w as well: they are
    made of parameters that earlier updates left.
    """
    learner, _ = make(k)
    x, window = a_perceptron(), [a_batch(i) for i in range(learner.window)]
    rng = np.random.default_rng(0)
    w = jax.tree.map(
        lambda leaf: leaf + rng.normal(size=leaf.shape), TUNED.init()
    )
    path = inner_path(x, w, window[:-1])
    ahead = plain_apply(PLAIN_UPDATE.init(path[-1]), w, window[-1])[0]
    constants = Constants(path[k], ahead.params)

    def outer(name, head, change):
        moved = w | {name: w[name].copy()}
        moved[name][head] += change
        x_k = inner_path(x, moved, window[:k])[-1]
        return by_hand(x, x_k, constants, window[-1])

    state, _ = jax.jit(learner.step)(learner.init(x, w), window)
    found = state.meta_opt_state
    step, count = 1e-4, 0
    for name in Hyperparams._fields:
        for head in range(H):
            rise = outer(name, head, step) - outer(name, head, -step)
            expected = rise / (2 * step)
            assert abs(expected) > 1e-8
            np.testing.assert_allclose(
                found[name][head], expected, rtol=1e-4, atol=1e-10
            )
            count += 1
    assert count == 21
