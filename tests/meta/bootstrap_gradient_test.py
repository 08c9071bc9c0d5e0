"""BMG on a bandit: numpy transcription, identities, finite differences."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from meta import bootstrap as bootstrap_lib
from meta import matching as matching_lib
from tests.meta.jitted import follow, jitted_update

pytestmark = pytest.mark.usefixtures("float64")

S, A, N = 2, 3, 4  # states, actions, samples in a batch
ALPHA = 0.3  # of the plain update
DECAY, EPS = 0.9, 1e-3  # of RMSProp


class Batch(NamedTuple):
    """Of a contextual bandit; states and actions are one-hot."""

    state: Any  # [N, S]
    action: Any  # [N, A]
    reward: Any  # [N]


def actor_critic(x, value_weight, entropy_weight, batch):
    """Of a table x [S, A + 1]: for each state A logits and a value."""
    prediction = predict(x, batch)
    log_pi = jax.nn.log_softmax(prediction.logits)
    policy = -jnp.mean(batch.reward * jnp.sum(batch.action * log_pi, axis=-1))
    value = 0.5 * jnp.mean((batch.reward - prediction.values) ** 2)
    entropy = -jnp.mean(jnp.sum(jnp.exp(log_pi) * log_pi, axis=-1))
    loss = policy + value_weight * value - entropy_weight * entropy
    return loss, {"entropy": entropy}


def predict(x, batch):
    table = batch.state @ x
    return matching_lib.Prediction(table[:, :-1], table[:, -1], jnp.ones(N))


def inner_loss(x, w, batch):
    weights = jax.nn.sigmoid(w["value"]), jax.nn.sigmoid(w["entropy"])
    return actor_critic(x, *weights, batch)


def plain_loss(x, w, batch):
    del w
    return actor_critic(x, 0.5, 0.1, batch)


@jax.jit
def objective(x, x_0, w, batch):
    del x_0
    return plain_loss(x, w, batch)[0]


def rmsprop(rate):
    return optax.rmsprop(rate, DECAY, EPS, eps_in_sqrt=True)


INNER = {
    "sgd": jitted_update(inner_loss, optax.sgd(0.5)),
    "rmsprop": jitted_update(inner_loss, rmsprop(0.05)),
}
PLAIN = {
    "sgd": jitted_update(plain_loss, optax.sgd(ALPHA)),
    "rmsprop": jitted_update(plain_loss, rmsprop(ALPHA)),
}
MATCHING = {
    "l2": jax.jit(matching_lib.squared_distance()),
    "kl": jax.jit(matching_lib.policy_kl(predict)),
    "kl_v": jax.jit(matching_lib.policy_kl_and_value(predict)),
}
BATCHES = {
    "next": bootstrap_lib.next_batches,
    "same": bootstrap_lib.same_batches,
}

# Leaves w as it is and keeps the meta-gradient as its state.
recorder = optax.GradientTransformation(
    lambda w: jax.tree.map(np.zeros_like, w),
    lambda gradient, _, w: (jax.tree.map(np.zeros_like, w), gradient),
)


def table():
    return np.random.default_rng(0).normal(size=(S, A + 1))


def meta_params():
    return {"entropy": np.array(-0.4), "value": np.array(0.7)}


def stream(length):
    rng = np.random.default_rng(1)
    return [
        Batch(
            np.eye(S)[rng.integers(S, size=N)],
            np.eye(A)[rng.integers(A, size=N)],
            rng.normal(size=N),
        )
        for _ in range(length)
    ]


def meta_gradient(learner, x, w, window):
    state, _ = learner.step(learner.init(x, w), window)
    return state.meta_opt_state


def assert_close(actual, expected, rtol=1e-9):
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for a, e in zip(
        jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True
    ):
        np.testing.assert_allclose(a, e, rtol=rtol, atol=1e-12)


# Identities.


@pytest.mark.parametrize("batches", BATCHES)
@pytest.mark.parametrize("k", [1, 2, 3])
def test_one_sgd_step_under_l2_is_the_standard_meta_gradient(k, batches):
    """x~ = x_K - alpha grad f: grad mu = 2 alpha grad f (x_K(w))."""
    # SGD: RMSProp nearly cancels a rescaled loss, and would prove little.
    bmg = bootstrap_lib.bootstrapped(
        INNER["sgd"],
        PLAIN["sgd"],
        MATCHING["l2"],
        recorder,
        num_inner=k,
        batches=BATCHES[batches],
    )
    standard = bootstrap_lib.standard(
        INNER["sgd"],
        objective,
        recorder,
        num_inner=k,
        batches=BATCHES[batches],
    )
    assert bmg.window == standard.window
    problem = table(), meta_params(), stream(bmg.window)

    expected = meta_gradient(standard, *problem)

    assert min(abs(g) for g in expected.values()) > 1e-3
    assert_close(
        meta_gradient(bmg, *problem),
        {name: 2 * ALPHA * g for name, g in expected.items()},
        rtol=1e-11,
    )


@pytest.mark.parametrize("matching", MATCHING)
@pytest.mark.parametrize("optimiser", INNER)
@pytest.mark.parametrize("length", [1, 2, 4])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_meta_gradient_is_that_of_a_constant_bootstrap(
    k, length, optimiser, matching
):
    """By central differences of mu(x~, x_K(w)), x~ held where it is."""
    update, plain = INNER[optimiser], PLAIN[optimiser]
    mu = MATCHING[matching]
    learner = bootstrap_lib.bootstrapped(
        update, plain, mu, recorder, num_inner=k, num_bootstrap=length
    )
    x, w, window = table(), meta_params(), stream(k + length)

    ahead = follow(update, update.init(x), w, window[:-1])
    bootstrap = follow(plain, plain.init(ahead.params), w, window[-1:]).params

    def loss(w):
        x_k = follow(update, update.init(x), w, window[:k]).params
        return mu(x_k, bootstrap, w, window[-1])

    step = 1e-5
    expected = {
        name: (
            loss(w | {name: w[name] + step}) - loss(w | {name: w[name] - step})
        )
        / (2 * step)
        for name in w
    }
    if matching != "kl":  # A policy alone does not feel the value's weight.
        assert abs(expected["value"]) > 1e-6
    assert abs(expected["entropy"]) > 1e-6
    actual = meta_gradient(learner, x, w, window)
    for name in w:
        np.testing.assert_allclose(
            actual[name], expected[name], rtol=1e-5, atol=1e-9
        )


@pytest.mark.parametrize("optimiser", INNER)
def test_no_gradient_through_the_bootstrap(optimiser):
    learner = bootstrap_lib.bootstrapped(
        INNER[optimiser],
        PLAIN[optimiser],
        lambda x, bootstrap, w, batch: jnp.sum(bootstrap**2),
        recorder,
        num_inner=2,
        num_bootstrap=3,
    )
    gradient = meta_gradient(learner, table(), meta_params(), stream(5))
    assert gradient == {"entropy": 0.0, "value": 0.0}


def test_meta_gradient_of_one_step_by_hand():
    """K = L = 1, SGD and L2, by the chain rule."""
    learner = bootstrap_lib.bootstrapped(
        INNER["sgd"], PLAIN["sgd"], MATCHING["l2"], recorder
    )
    x, w, (first, second) = table(), meta_params(), stream(2)
    y = sigmoid(np.array([w["value"], w["entropy"]]))
    x_1 = x - 0.5 * gradient_by_hand(x, *y, first)

    # x_1 - x~ = alpha grad f(x_1), d x_1 / d w = -0.5 y' times its gradient.
    gap = ALPHA * gradient_by_hand(x_1, 0.5, 0.1, second)
    slopes = [
        gradient_by_hand(x, *(y + unit), first) - gradient_by_hand(x, *y, first)
        for unit in np.eye(2)
    ]
    value, entropy = (
        np.sum(2 * gap * -0.5 * slope * y_i * (1 - y_i))
        for slope, y_i in zip(slopes, y, strict=True)
    )
    assert_close(
        meta_gradient(learner, x, w, [first, second]),
        {"entropy": entropy, "value": value},
    )


# A transcription in numpy, whose meta-gradients are complex steps.


class Transcript(NamedTuple):
    x: np.ndarray
    nu: np.ndarray  # second moment of the inner optimiser
    plain_nu: np.ndarray  # second moment of the plain optimiser
    w: np.ndarray  # entropy, value
    momentum: np.ndarray  # of the meta-optimiser


def sigmoid(w):
    return 1 / (1 + np.exp(-w))


def gradient_by_hand(x, value_weight, entropy_weight, batch):
    gradient = np.zeros_like(x)
    for n in range(N):
        s, a = np.argmax(batch.state[n]), np.argmax(batch.action[n])
        r = batch.reward[n]
        pi = np.exp(x[s, :A]) / np.sum(np.exp(x[s, :A]))
        entropy = -np.sum(pi * np.log(pi))
        for b in range(A):
            policy = r * (pi[b] - (a == b))
            bonus = -pi[b] * (np.log(pi[b]) + entropy)
            gradient[s, b] += (policy - entropy_weight * bonus) / N
        gradient[s, A] += value_weight * (x[s, A] - r) / N
    return gradient


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
