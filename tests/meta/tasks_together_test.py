"""Tasks at once or one by one, and the matching the other way round."""

import jax
import numpy as np
import optax
import pytest

from meta import bootstrap as bootstrap_lib
from meta import matching as matching_lib
from meta import tasks as tasks_lib
from meta.loop import scanned, unrolled
from tests.meta.logistic_tasks import (
    AHEAD_ON_QUERY,
    ALPHA,
    BETA,
    assert_close,
    descend,
    differences,
    initial,
    jax_loss,
    logits,
    maml,
    meta_gradient,
    predict,
    rule,
    softmax,
    task,
    window,
)

pytestmark = pytest.mark.usefixtures("float64")


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
