"""Tasks that begin at w: MAML and BMG against numpy and finite differences."""

import numpy as np
import pytest

from meta import bootstrap as bootstrap_lib
from meta import matching as matching_lib
from meta import tasks as tasks_lib
from meta import update as update_lib
from meta.loop import scanned
from tests.meta.logistic_tasks import (
    AHEAD_ON_QUERY,
    ALPHA,
    BETA,
    TASKS,
    assert_close,
    descend,
    differences,
    gradient,
    initial,
    logits,
    maml,
    meta_gradient,
    predict,
    recorder,
    rule,
    softmax,
    task,
    window,
)

pytestmark = pytest.mark.usefixtures("float64")


def loss(w, batch):
    p = softmax(logits(w, batch.x))
    return -np.mean(np.log(np.sum(p * batch.y, axis=1)))


AHEAD_ON_SUPPORT = bootstrap_lib.Batches(
    lambda k, length: 2,
    lambda b, k, length: bootstrap_lib.Split(
        [b[0]] * k, [b[0]] * (length - 1) + [b[1]], b[1]
    ),
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
