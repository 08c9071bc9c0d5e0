"""Batches for the tests of the loss, and the loss as loops in numpy.

Two networks: a table, that is outputs that are themselves the parameters, so
that gradients show what each step learns; and a small smooth perceptron.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from actors.networks import Outputs
from actors.transition import FIRST, LAST, MID, Transition, Unroll
from learner.loss import Hyperparams, actor_critic_loss

T, B, H, A, F = 6, 5, 3, 4, 5  # F numbers in an observation

# Trajectories: a lost life, a game over, a truncation, games that begin and
# end at the edges.
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
    """`a_batch` with `field=(where, value)` written into new arrays."""
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

    def semi_gradient(table, hyperparams, batch):
        return jax.value_and_grad(loss, has_aux=True)(
            table, table, hyperparams, batch
        )

    return jax.jit(semi_gradient)


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


def observed(batch):
    t = batch.transitions
    return t.observation, t.step_type == FIRST, batch.core_state


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
    ratios = np.full((T, B), np.nan)
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
                    if i == 0:
                        ratios[s, b] = capped
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
        "behaviour_kl": kl[~LASTS[:-1]].mean(),
        "masked": masked[~LASTS[:-1]].mean(),
        "rho": ratios,
    }
    return total, metrics
