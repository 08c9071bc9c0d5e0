"""The actor-critic whose entropy weight is meta-learned (section 5.1)."""

from collections.abc import Callable
from typing import Any, NamedTuple

import haiku as hk
import jax
import jax.numpy as jnp
import rlax

from experiments.gridworld.agent import Rollout
from experiments.gridworld.environment import NUM_ACTIONS, OBSERVATION_SIZE
from experiments.gridworld.schedule import Schedule
from meta.matching import Matching, Prediction
from meta.update import Loss

PyTree = Any


class Network(NamedTuple):
    """Two perceptrons that share nothing.

    init: `key -> params`.
    logits: `(params, observation [..., O]) -> [..., A]`.
    values: `(params, observation [..., O]) -> [...]`.
    """

    init: Callable[[jax.Array], PyTree]
    logits: Callable[[PyTree, jax.Array], jax.Array]
    values: Callable[[PyTree, jax.Array], jax.Array]


def make_network(hidden: int, init_scale: float = 1.0) -> Network:
    """Policy and value, each with two layers of `hidden` ReLUs.

    Args:
      hidden: units of each layer.
      init_scale: variance of the first weights, times their number of inputs.
    """
    w_init = hk.initializers.VarianceScaling(init_scale, "fan_in")

    def mlp(outputs: int) -> hk.Transformed:
        sizes = [hidden, hidden, outputs]
        return hk.without_apply_rng(
            hk.transform(lambda x: hk.nets.MLP(sizes, w_init)(x))
        )

    policy, value = mlp(NUM_ACTIONS), mlp(1)

    def init(key: jax.Array) -> PyTree:
        first, second = jax.random.split(key)
        nothing = jnp.zeros(OBSERVATION_SIZE)
        return {
            "policy": policy.init(first, nothing),
            "value": value.init(second, nothing),
        }

    return Network(
        init,
        lambda params, x: policy.apply(params["policy"], x),
        lambda params, x: value.apply(params["value"], x)[..., 0],
    )


def act(network: Network) -> Callable[..., jax.Array]:
    """Samples from the policy, whatever the schedule says."""

    def sample(params, meta_params, observation, context, key) -> jax.Array:
        del meta_params, context
        return jax.random.categorical(key, network.logits(params, observation))

    return sample


def actor_critic_loss(
    network: Network,
    entropy: Schedule,
    *,
    discount: float,
    trace: float,
    value_weight: float,
) -> Loss:
    """L = L_p + g_v L_v + g_e(context; w) L_e, means over T steps.

        L_p = -log pi(a_t|s_t) A_t,  L_v = A_t^2,  A_t = G_t - v(s_t),

        L_e = mean over actions a of pi(a|s_t) log pi(a|s_t),

    G_t = r_t + discount ((1 - trace) v(s_{t+1}) + trace G_{t+1}): returns to
    the roll-out's end with a trace of 1, of one step with 0. Neither the
    returns nor the policy loss's advantages carry a gradient.

    The source says that losses are averaged. Averaging the entropy over
    actions as well is our reading: with the sum over them, four times as
    strong, the initial weight of 0.5 drowns what the rewards say.

    Args:
      network: the agent's.
      entropy: g_e.
      discount: of the returns.
      trace: lambda of the returns.
      value_weight: g_v.

    Returns:
      `(params, meta_params, rollout) -> (scalar, metrics)`.
    """

    def loss(params, meta_params, rollout: Rollout):
        values = network.values(params, rollout.observation[:-1])
        # On its own, since only T states are differentiated.
        last = network.values(params, rollout.observation[-1])
        after = jnp.append(values[1:], last)
        advantage = _returns(rollout, after, discount, trace) - values
        policy_loss, negative_entropy = _policy_terms(
            network, params, rollout, jax.lax.stop_gradient(advantage)
        )
        weight = entropy.value(meta_params, rollout.context)
        total = (
            policy_loss
            + value_weight * jnp.mean(jnp.square(advantage))
            + weight * negative_entropy
        )
        return total, {"hyperparam": weight, "entropy": -negative_entropy}

    return loss


def policy_objective(
    network: Network, *, discount: float, trace: float, entropy_weight: Any
) -> Loss:
    """L = L_p + entropy_weight * L_e: nothing that is meta-learned.

    The last bootstrap update follows it, and standard meta-gradients descend
    it.
    """

    def loss(params, meta_params, rollout: Rollout):
        del meta_params
        # The critic judges, and is judged elsewhere.
        values = jax.lax.stop_gradient(
            network.values(params, rollout.observation)
        )
        returns = _returns(rollout, values[1:], discount, trace)
        policy_loss, negative_entropy = _policy_terms(
            network, params, rollout, returns - values[:-1]
        )
        return policy_loss + entropy_weight * negative_entropy, {}

    return loss


def as_objective(loss: Loss) -> Matching:
    """A loss of x_K as the objective of standard meta-gradients."""

    def objective(params, start_params, meta_params, rollout):
        del start_params
        return loss(params, meta_params, rollout)[0]

    return objective


def predict(network: Network) -> Callable[[PyTree, Rollout], Prediction]:
    """The policy at the states of a roll-out; no value is matched."""

    def prediction(params, rollout: Rollout) -> Prediction:
        logits = network.logits(params, rollout.recent)
        ones = jnp.ones(logits.shape[:-1])
        return Prediction(logits, jnp.zeros_like(ones), ones)

    return prediction


def _returns(
    rollout: Rollout, after: jax.Array, discount: float, trace: float
) -> jax.Array:
    """G_t, constants, from the values after each step."""
    return rlax.lambda_returns(
        r_t=rollout.reward,
        discount_t=jnp.full_like(rollout.reward, discount),
        v_t=after,
        lambda_=trace,
        stop_target_gradients=True,
    )


def _policy_terms(network: Network, params, rollout: Rollout, advantage):
    """L_p, a mean over T, and L_e, a mean over T and the actions."""
    log_pi = jax.nn.log_softmax(
        network.logits(params, rollout.observation[:-1])
    )
    log_pi_a = rlax.batched_index(log_pi, rollout.action)
    policy_loss = -jnp.mean(log_pi_a * advantage)
    return policy_loss, jnp.mean(jnp.exp(log_pi) * log_pi)
