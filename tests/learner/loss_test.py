"""The loss: a transcription in numpy, rlax, finite differences, masks.

Two networks: a table, that is outputs that are themselves the parameters, so
that gradients tell what each step learns; and a small smooth perceptron.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import rlax

from actors.environment import FIRST, LAST, MID
from actors.networks import Outputs
from actors.transition import Transition, Unroll
from learner import learner as learner_lib
from learner.loss import Hyperparams, actor_critic_loss, predict
from learner.optimisers import make_optimiser
from learner.vtrace import leaky_vtrace
from meta import bootstrap
from meta.matching import policy_kl_and_value
from meta.parameters import Bounds, self_tuned
from meta.update import InnerState, gradient_update

T, B, H, A, F = 6, 5, 3, 4, 5  # F numbers in an observation

# Columns: a life lost, a game over, a truncation, games that begin and end at
# the edges.
STEP_TYPE = np.array(
    [
        [MID, MID, MID, MID, MID, MID, MID],
        [MID, MID, MID, LAST, FIRST, MID, MID],
        [MID, MID, MID, LAST, FIRST, MID, MID],
        [LAST, FIRST, MID, MID, MID, MID, MID],
        [FIRST, MID, MID, MID, MID, LAST, FIRST],
    ],
    np.int8,
).T
LIFE_LOST, GAME_OVER, TRUNCATED = (3, 0), (3, 1), (3, 2)  # (t, b)
DISCOUNT = np.ones((T + 1, B))
DISCOUNT[LIFE_LOST] = DISCOUNT[GAME_OVER] = DISCOUNT[0, 3] = 0.0
LASTS = STEP_TYPE == LAST
ALIVE = [(t, b) for t, b in np.ndindex(T + 1, B) if not LASTS[t, b]]


# Compiles in less than half the time.
quickly = functools.partial(
    jax.jit,
    compiler_options={
        "xla_backend_optimization_level": 0,
        "xla_cpu_use_fusion_emitters": False,
    },
)


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def a_batch(seed=0):
    rng = np.random.default_rng(seed)
    transitions = Transition(
        # float32: an MLP of the project casts what it observes.
        observation=rng.normal(size=(T + 1, B, F)).astype(np.float32),
        step_type=STEP_TYPE,
        reward=rng.normal(size=(T + 1, B)) * (STEP_TYPE != FIRST),
        discount=DISCOUNT.copy(),
        action=rng.integers(A, size=(T + 1, B)),
        logits=rng.normal(size=(T + 1, B, A)),
    )
    return Unroll(transitions, (), (), np.zeros(B, np.int32))


def edited(batch, **changes):
    """`a_batch` with `field=(where, value)` written into copies."""
    fields = {}
    for name, (where, value) in changes.items():
        fields[name] = np.copy(getattr(batch.transitions, name))
        fields[name][where] = value
    return batch._replace(transitions=batch.transitions._replace(**fields))


def a_table(seed=0):
    rng = np.random.default_rng(100 + seed)
    return Outputs(
        rng.normal(size=(T + 1, B, H, A)), rng.normal(size=(T + 1, B, H))
    )


def look_up(table, observation, first, core_state):
    del observation, first, core_state
    return table


def a_perceptron(seed=0):
    rng = np.random.default_rng(200 + seed)
    shapes = {"torso": (F, 6), "policy": (6, H, A), "value": (6, H)}
    return {k: 0.7 * rng.normal(size=shape) for k, shape in shapes.items()}


def perceive(params, observation, first, core_state):
    del first, core_state
    x = jnp.tanh(observation @ params["torso"])
    logits = jnp.einsum("tbf,fha->tbha", x, params["policy"])
    return Outputs(logits, jnp.einsum("tbf,fh->tbh", x, params["value"]))


def perceive_in_numpy(params, batch):
    x = np.tanh(batch.transitions.observation @ np.array(params["torso"]))
    logits = np.tensordot(x, params["policy"], 1)
    return Outputs(logits, np.tensordot(x, params["value"], 1))


def some_hyperparams(seed=0):
    rng = np.random.default_rng(300 + seed)
    return Hyperparams(*rng.uniform(0.3, 0.95, size=(7, H)))


def only(name, **others):
    """Hyper-parameters that leave one term of the loss, with weight 1."""
    zeros, ones = np.zeros(H), np.ones(H)
    plain = Hyperparams(0.9 * ones, ones, zeros, zeros, zeros, ones, ones)
    return plain._replace(**{name: ones}, **others)


def clip_to(limit):
    return lambda reward: jnp.clip(reward, -limit, limit)


def make_loss(hyperparams, *, network=look_up, **options):
    defaults = {
        "clip_reward": clip_to(np.inf),
        "reduce": jnp.sum,
        "kl_threshold": np.inf,
    }
    return actor_critic_loss(network, hyperparams, **(defaults | options))


@functools.cache
def compiled(**options):
    """The loss of a table, its metrics and gradient; w is `Hyperparams`."""
    loss = make_loss(lambda w: w, **options)
    return quickly(jax.value_and_grad(loss, has_aux=True))


def gradient(table, hyperparams, batch, **options):
    _, found = compiled(**options)(table, hyperparams, batch)
    return found


def value_targets(table, batch, hyperparams=None):
    """(v - target)^2 / 2 has the gradient v - target: what each v learns."""
    hyperparams = hyperparams or only("value_weight")
    slope = gradient(table, hyperparams, batch).values[:-1]
    return table.values[:-1] - slope


def on_policy(batch, table):
    """Makes head 0 the behaviour policy, and every head head 0."""
    logits = np.repeat(table.logits[:, :, :1], H, axis=2)
    table = table._replace(logits=logits)
    return edited(batch, logits=((...,), table.logits[:, :, 0])), table


# A transcription in numpy.


def softmax(logits):
    return np.exp(logits) / np.sum(np.exp(logits), axis=-1, keepdims=True)


def kl_by_hand(p, q):
    return sum(p[a] * np.log(p[a] / q[a]) for a in range(A))


def loss_by_hand(
    outputs, h, batch, *, constant=None, limit=np.inf, threshold=np.inf
):
    """The sum of all terms, and the metrics.

    Targets, advantages and masks come from `constant`, where it is given: what
    a gradient takes for constants, a difference has to hold where it is.
    """
    t, fixed = batch.transitions, constant or outputs
    pi, mu = softmax(outputs.logits), softmax(t.logits)
    fixed_pi = softmax(fixed.logits)
    counts = np.zeros(20)
    terms = np.zeros((3, T, B, H))  # policy, value, entropy
    kl, masked = np.zeros((T, B)), np.zeros((T, B))
    for b in range(B):
        for s in range(T):
            kl[s, b] = kl_by_hand(mu[s, b], fixed_pi[s, b, 0])
            masked[s, b] = (
                t.step_type[s, b] == LAST or not kl[s, b] <= threshold
            )
        for i in range(H):
            # What is to be added to the value of s, from the last s back.
            error, next_target = 0.0, fixed.values[T, b, i]
            for s in reversed(range(T)):
                a, v = t.action[s, b], fixed.values[s, b, i]
                v_next = fixed.values[s + 1, b, i]
                reward = min(max(t.reward[s + 1, b], -limit), limit)
                discount = t.discount[s + 1, b] * h.discount[i]
                ratio = fixed_pi[s, b, i, a] / mu[s, b, a]
                if masked[s, b]:
                    ratio = 0.0
                capped = min(1.0, ratio)
                rho = h.alpha_rho[i] * capped + (1 - h.alpha_rho[i]) * ratio
                c = h.alpha_c[i] * capped + (1 - h.alpha_c[i]) * ratio
                c *= h.trace[i]
                q = h.trace[i] * next_target + (1 - h.trace[i]) * v_next
                if s == T - 1:
                    q = v_next
                advantage = rho * (reward + discount * q - v)
                error = rho * (reward + discount * v_next - v) + (
                    discount * c * error
                )
                next_target = v + error
                if not masked[s, b]:
                    if i == 0:  # of twenty parts of [0, 1]; 1 in the last
                        counts[min(int(20 * capped), 19)] += 1
                    p, gap = pi[s, b, i], v + error - outputs.values[s, b, i]
                    terms[:, s, b, i] = (
                        -np.log(p[a]) * advantage,
                        0.5 * gap**2,
                        sum(p[k] * np.log(p[k]) for k in range(A)),
                    )
    weights = h.policy_weight, h.value_weight, h.entropy_weight
    total = sum(np.sum(w * x) for w, x in zip(weights, terms, strict=True))
    metrics = {
        "policy_loss": terms[0, ..., 0].mean(),
        "value_loss": terms[1, ..., 0].mean(),
        "entropy": -terms[2, ..., 0].mean(),
        "behaviour_kl": kl.mean(),
        "masked": masked.mean(),
        "rho": counts,
    }
    return total, metrics


@pytest.mark.parametrize("threshold", [np.inf, 0.8])
@pytest.mark.parametrize("limit", [np.inf, 0.5])
def test_the_loss_is_its_transcription(limit, threshold):
    loss = make_loss(
        lambda w: w, clip_reward=clip_to(limit), kl_threshold=threshold
    )
    for seed in range(3):
        table, h, batch = a_table(seed), some_hyperparams(seed), a_batch(seed)
        value, metrics = quickly(loss)(table, h, batch)
        expected, told = loss_by_hand(
            table, h, batch, limit=limit, threshold=threshold
        )
        np.testing.assert_allclose(value, expected, rtol=1e-10)
        np.testing.assert_allclose(metrics["rho"].edges * 20, range(21))
        metrics["rho"] = metrics["rho"].counts
        assert metrics.keys() == told.keys()
        for name in told:
            np.testing.assert_allclose(metrics[name], told[name], rtol=1e-6)


def test_a_mean_is_the_sum_over_its_steps():
    problem = a_table(), some_hyperparams(), a_batch()
    (total, _), _ = compiled()(*problem)
    (mean, _), _ = compiled(reduce=jnp.mean)(*problem)
    np.testing.assert_allclose(mean, total / (T * B))


def test_the_network_is_told_where_games_begin():
    calls = []

    def network(*arguments):
        calls.append(arguments)
        return look_up(*arguments)

    batch, table = a_batch()._replace(core_state={"memory": 7}), a_table()
    make_loss(lambda w: w, network=network)(table, some_hyperparams(), batch)
    predict(network)(table, batch)
    for params, observation, first, core_state in calls:
        assert params is table
        assert observation is batch.transitions.observation
        np.testing.assert_array_equal(first, STEP_TYPE == FIRST)
        assert core_state == {"memory": 7}
    assert len(calls) == 2


# The inner gradient is the usual one.


def rlax_loss(params, h, batch):
    """IMPALA's loss, summed over heads, from rlax's parts."""
    t, outputs = batch.transitions, perceive(params, *observed(batch))
    ratio = (
        jax.nn.softmax(outputs.logits)[:-1]
        / (jax.nn.softmax(t.logits)[:-1, :, None])
    )

    def column(h, logits, values, ratio, action, reward, discount, step_type):
        valid = (step_type[:-1] != LAST).astype(logits.dtype)
        vtrace = rlax.vtrace_td_error_and_advantage(
            values[:-1],
            values[1:],
            reward[1:],
            discount[1:] * h.discount,
            jax.lax.stop_gradient(rlax.batched_index(ratio, action)) * valid,
            h.trace,
        )
        policy = rlax.policy_gradient_loss(
            logits, action, vtrace.pg_advantage, valid
        )
        pi = jax.nn.softmax(logits)
        return T * (
            h.policy_weight * policy
            + h.value_weight * 0.5 * jnp.mean(valid * vtrace.errors**2)
            + h.entropy_weight
            * jnp.mean(valid * jnp.sum(pi * jnp.log(pi), axis=-1))
        )

    columns = jax.vmap(column, in_axes=(None, *[1] * 7))
    heads = jax.vmap(columns, in_axes=(0, 2, 2, 2, *[None] * 4))
    return jnp.sum(
        heads(
            h,
            outputs.logits[:-1],
            outputs.values,
            ratio,
            jnp.asarray(t.action[:-1]),
            jnp.asarray(t.reward),
            jnp.asarray(t.discount),
            STEP_TYPE,
        )
    )


def observed(batch):
    t = batch.transitions
    return t.observation, t.step_type == FIRST, batch.core_state


@pytest.mark.filterwarnings("ignore:Rlax softmax:PendingDeprecationWarning")
def test_the_inner_gradient_is_that_of_rlax_parts():
    ones = np.ones(H)
    h = some_hyperparams()._replace(alpha_rho=ones, alpha_c=ones)
    params, batch = a_perceptron(), a_batch()
    ours = quickly(jax.grad(make_loss(lambda _: h, network=perceive), 0, True))
    theirs = quickly(jax.grad(functools.partial(rlax_loss, h=h, batch=batch)))
    found, expected = ours(params, (), batch)[0], theirs(params)
    for name in params:
        assert np.abs(expected[name]).min() > 1e-6
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-8)


def test_leaks_change_the_inner_gradient():
    ones = np.ones(H)
    h = some_hyperparams()._replace(alpha_rho=ones, alpha_c=ones)
    clipped = gradient(a_table(), h, a_batch())
    for name in ("alpha_rho", "alpha_c"):
        leaky = gradient(a_table(), h._replace(**{name: 0.5 * ones}), a_batch())
        assert np.abs(leaky.values - clipped.values).max() > 1e-3


# Meta-gradients.

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
    ours, theirs = (
        perceive_in_numpy(x, batch) for x in (x_k, constants.bootstrap)
    )
    p, q = softmax(theirs.logits[:, :, 0]), softmax(ours.logits[:, :, 0])
    gap = theirs.values[:, :, 0] - ours.values[:, :, 0]
    return sum(
        kl_by_hand(p[i], q[i]) + 0.25 * gap[i] ** 2 for i in ALIVE
    ) / len(ALIVE)


def frozen_loss(params, frozen, w, batch):
    """The inner loss with targets and advantages of `frozen` parameters."""
    t, h = batch.transitions, TUNED.values(w)
    live, constant = (perceive(x, *observed(batch)) for x in (params, frozen))
    taken = jnp.asarray(t.action)[:, :, None, None]
    log_pi, frozen_log_pi, log_mu = (
        jax.nn.log_softmax(x)[:-1]
        for x in (live.logits, constant.logits, t.logits[:, :, None])
    )

    def of_action(x):
        return jnp.take_along_axis(x, taken[:-1], axis=-1)[..., 0]

    valid = jnp.asarray(~LASTS[:-1, :, None], jnp.float64)
    vtrace = leaky_vtrace(
        v_tm1=constant.values[:-1],
        v_t=constant.values[1:],
        r_t=t.reward[1:, :, None],
        discount_t=t.discount[1:, :, None] * h.discount,
        rho_tm1=jnp.exp(of_action(frozen_log_pi) - of_action(log_mu)) * valid,
        lambda_=h.trace,
        alpha_rho=h.alpha_rho,
        alpha_c=h.alpha_c,
    )
    policy = -of_action(log_pi) * vtrace.advantages
    value = 0.5 * (vtrace.targets - live.values[:-1]) ** 2
    entropy = jnp.sum(jnp.exp(log_pi) * log_pi, axis=-1)
    total = (
        h.policy_weight * policy
        + h.value_weight * value
        + h.entropy_weight * entropy
    )
    return jnp.sum(valid * total) / (T * B)


@quickly
def frozen_update(state, frozen, w, batch):
    slope = jax.grad(frozen_loss)(state.params, frozen, w, batch)
    change, opt_state = inner_optimiser().update(slope, state.opt_state)
    return InnerState(optax.apply_updates(state.params, change), opt_state)


INNER = gradient_update(make_perceptron_loss(TUNED.values), inner_optimiser())
PLAIN_UPDATE = gradient_update(
    make_perceptron_loss(lambda _: PLAIN), bootstrap_optimiser()
)
inner_apply, plain_apply = quickly(INNER.apply), quickly(PLAIN_UPDATE.apply)


def inner_path(x, w, batches):
    """x_0 … x_n by real updates."""
    states = [INNER.init(x)]
    for batch in batches:
        states.append(inner_apply(states[-1], w, batch)[0])
    return [state.params for state in states]


def moved_end(path, w, batches):
    """x_k under w, its targets being those of a path under another w."""
    state = INNER.init(path[0])
    for frozen, batch in zip(path, batches, strict=False):
        state = frozen_update(state, frozen, w, batch)
    return state.params


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize(
    ("make", "by_hand"), [(make_stacx, stacx_by_hand), (make_bmg, bmg_by_hand)]
)
def test_all_21_meta_gradients_are_finite_differences(make, by_hand, k):
    """Of the outer loss in numpy, after k updates of x under w.

    What values and ratios the targets are made of is a constant to w as well,
    after the first update too, as in STACX: stop_gradient stops all orders.
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
    assert_close(moved_end(path, w, window[:k]), path[k])

    def outer(name, head, change):
        moved = w | {name: w[name].copy()}
        moved[name][head] += change
        x_k = moved_end(path, moved, window[:k])
        return by_hand(x, x_k, constants, window[-1])

    state, _ = quickly(learner.step)(learner.init(x, w), window)
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


# Where games end.


@pytest.mark.parametrize("field", ["action", "logits"])
def test_what_the_agent_did_at_a_games_end_changes_nothing(field):
    """EnvPool ignores it and resets."""
    h, batch, table = some_hyperparams(), a_batch(), a_table()
    other = {"action": 3 - batch.transitions.action[LASTS], "logits": 5.0}
    changed = edited(batch, **{field: (LASTS, other[field])})
    assert_same_lesson((table, h, batch), (table, h, changed))


def test_the_reset_steps_reward_and_discount_change_nothing():
    h, batch, table = some_hyperparams(), a_batch(), a_table()
    resets = np.zeros_like(LASTS)
    resets[1:] = LASTS[:-1]
    changed = edited(batch, reward=(resets, 9.0), discount=(resets, 0.0))
    assert_same_lesson((table, h, batch), (table, h, changed))


def test_the_policy_at_a_games_end_changes_nothing():
    h, batch, table = some_hyperparams(), a_batch(), a_table()
    logits = table.logits.copy()
    logits[LASTS] = np.arange(A)
    changed = table._replace(logits=logits)
    assert_same_lesson((table, h, batch), (changed, h, batch))


def test_the_value_of_a_game_over_changes_nothing():
    h, batch, table = some_hyperparams(), a_batch(), a_table()
    values = table.values.copy()
    values[GAME_OVER] += 3.0
    changed = table._replace(values=values)
    assert_same_lesson((table, h, batch), (changed, h, batch))


def assert_same_lesson(before, after):
    (value, metrics), slope = compiled()(*before)
    (value_2, metrics_2), slope_2 = compiled()(*after)
    assert value == value_2
    jax.tree.map(np.testing.assert_array_equal, slope, slope_2)
    # What is told of how far behaviour has fallen behind may differ.
    for name in metrics.keys() - {"behaviour_kl"}:
        jax.tree.map(
            np.testing.assert_array_equal, metrics[name], metrics_2[name]
        )


def test_a_games_end_learns_nothing():
    slope = gradient(a_table(), some_hyperparams(), a_batch())
    for part in slope:
        taught = np.any(
            np.asarray(part)[:-1] != 0, axis=tuple(range(3, part.ndim))
        )
        np.testing.assert_array_equal(
            taught, np.repeat(~LASTS[:-1, :, None], H, axis=2)
        )


def test_a_truncated_game_bootstraps_from_its_last_observation():
    batch, table = on_policy(a_batch(), a_table())
    t, b = TRUNCATED
    expected = batch.transitions.reward[t, b] + 0.9 * table.values[t, b]
    targets = value_targets(table, batch)
    np.testing.assert_allclose(targets[t - 1, b], expected)


def test_the_value_of_a_truncated_games_last_observation_counts():
    h, batch, table = some_hyperparams(), a_batch(), a_table()
    t, b = TRUNCATED
    values = table.values.copy()
    values[t, b] += 1.0
    before = value_targets(table, batch, only("value_weight"))
    after = value_targets(
        table._replace(values=values), batch, only("value_weight")
    )
    assert np.all(after[:t, b] > before[:t, b] + 1e-3)
    np.testing.assert_array_equal(after[t + 1 :, b], before[t + 1 :, b])
    assert (
        compiled()(table, h, batch)[0][0]
        != (compiled()(table._replace(values=values), h, batch)[0][0])
    )


@pytest.mark.parametrize("end", [GAME_OVER, LIFE_LOST])
def test_a_game_over_and_a_lost_life_do_not_bootstrap(end):
    batch, table = on_policy(a_batch(), a_table())
    t, b = end
    targets = value_targets(table, batch)
    reward = batch.transitions.reward[t, b]
    np.testing.assert_allclose(targets[t - 1, b], np.full(H, reward))
    # One step earlier: the next reward, and nothing beyond.
    reward = batch.transitions.reward[t - 1, b] + 0.9 * reward
    np.testing.assert_allclose(targets[t - 2, b], np.full(H, reward))


def test_play_goes_on_after_a_lost_life():
    slope = gradient(a_table(), some_hyperparams(), a_batch())
    t, b = LIFE_LOST
    assert np.all(np.asarray(slope.values)[t, b] != 0)
    assert np.all(np.asarray(slope.logits)[t, b] != 0)


@pytest.mark.parametrize("end", [GAME_OVER, TRUNCATED])
def test_nothing_leaks_from_a_game_into_the_one_before(end):
    h, batch, table = some_hyperparams(), a_batch(), a_table()
    t, b = end
    later = (slice(t + 1, None), b)
    other = edited(
        batch,
        reward=(later, 4.0),
        action=(later, 0),
        logits=(later, np.arange(A)),
        discount=(later, 0.3),
    )
    logits, values = table.logits.copy(), table.values.copy()
    logits[later], values[later] = 0.5 * np.arange(A), -2.0
    before = gradient(table, h, batch)
    after = gradient(Outputs(logits, values), h, other)
    for x, y in zip(before, after, strict=True):
        np.testing.assert_array_equal(x[: t + 1], y[: t + 1])
        assert np.all(
            np.asarray(x)[t + 1 : T, b] != np.asarray(y)[t + 1 : T, b]
        )


# Masks and rewards.


def test_laser_masks_the_steps_whose_behaviour_is_far_from_head_0():
    table, h, batch = a_table(), some_hyperparams(), a_batch()
    mu = softmax(batch.transitions.logits[:-1])
    pi = softmax(table.logits[:-1, :, 0])
    kl = np.sum(mu * np.log(mu / pi), axis=-1)
    reverse = np.sum(pi * np.log(pi / mu), axis=-1)
    threshold = float(np.median(kl))
    trusted = (kl <= threshold) & ~LASTS[:-1]
    # The direction shows, and so does which head decides.
    assert np.any((reverse <= threshold) != (kl <= threshold))

    (_, metrics), slope = compiled(kl_threshold=threshold)(table, h, batch)
    for part in slope:
        taught = np.any(
            np.asarray(part)[:-1] != 0, axis=tuple(range(2, part.ndim))
        )
        np.testing.assert_array_equal(taught, trusted)
    np.testing.assert_allclose(metrics["masked"], 1 - trusted.mean())
    np.testing.assert_allclose(metrics["behaviour_kl"], kl.mean())


def test_a_masked_step_bootstraps_the_one_before_and_cuts_the_trace():
    batch, table = on_policy(a_batch(), a_table())
    far, b = 4, 0
    batch = edited(batch, logits=((far, b), 9.0 * np.arange(A)))
    slope = gradient(table, only("value_weight"), batch, kl_threshold=0.1)
    targets = table.values[:-1] - slope.values[:-1]
    reward = batch.transitions.reward[far, b]
    np.testing.assert_allclose(
        targets[far - 1, b], reward + 0.9 * table.values[far, b]
    )


def test_rewards_are_clipped_for_learning_alone():
    table, h, batch = a_table(), some_hyperparams(), a_batch()
    huge = batch.transitions.reward * 100
    batch = edited(batch, reward=((...,), huge))
    signs = edited(batch, reward=((...,), np.sign(huge)))
    clip = clip_to(1.0)
    clipped = compiled(clip_reward=clip)(table, h, batch)
    jax.tree.map(
        np.testing.assert_array_equal,
        clipped,
        compiled(clip_reward=clip)(table, h, signs),
    )
    assert clipped[0][0] != compiled()(table, h, batch)[0][0]


def test_predictions_are_head_0_where_an_action_counts():
    table, batch = a_table(), a_batch()
    found = predict(look_up)(table, batch)
    np.testing.assert_array_equal(found.logits, table.logits[:, :, 0])
    np.testing.assert_array_equal(found.values, table.values[:, :, 0])
    np.testing.assert_array_equal(found.weights, 1.0 - LASTS)
