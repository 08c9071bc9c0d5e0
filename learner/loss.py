"""The self-tuned actor-critic loss (STACX, Zahavy et al. 2020, section 4)."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import rlax

from actors.networks import Outputs
from actors.transition import FIRST, LAST, Transition, Unroll
from learner.vtrace import leaky_vtrace
from meta.matching import Prediction, kl_divergence, weighted_mean
from meta.update import SemiLoss

PyTree = Any
# (params, observation [T+1, B, …], first [T+1, B], core_state) -> Outputs
UnrollNetwork = Callable[..., Outputs]


class Hyperparams(NamedTuple):
    """All that the loss reads, one entry per head, `[H]` each.

    The squashed meta-parameters make the inner loss; a constant instance is
    the plain objective.
    """

    discount: Any
    trace: Any  # lambda
    value_weight: Any
    policy_weight: Any
    entropy_weight: Any
    alpha_rho: Any
    alpha_c: Any


class _Data(NamedTuple):
    """A batch, shifted: index t is an action and what it led to, `[T, B]`."""

    action: jax.Array
    reward: jax.Array
    discount: jax.Array
    behaviour: jax.Array  # [T, B, A] logits
    valid: jax.Array  # 0 where nothing can be learned


class _Terms(NamedTuple):
    """The parts of one head's loss, `[T, B]`."""

    policy: jax.Array
    value: jax.Array
    entropy: jax.Array
    ratio: jax.Array  # importance ratio, clipped at 1: no part, but a metric


def actor_critic_loss(
    unroll_network: UnrollNetwork,
    hyperparams: Callable[[PyTree], Hyperparams],
    *,
    clip_reward: Callable[[jax.Array], jax.Array],
    reduce: Callable[[jax.Array], jax.Array],
    kl_threshold: float,
) -> SemiLoss:
    """The sum over heads of g_p L_p + g_v L_v + g_e L_e.

        L_p = -log pi(a) A,  L_v = (vs - v)^2 / 2,  L_e = -entropy(pi),

    with leaky V-trace targets vs and advantages A under each head's own
    discount, lambda and leaks. The values and ratios that go into them are
    those of the fixed parameters: the gradient by the first argument is the
    usual semi-gradient, while targets and advantages stay differentiable in
    the hyper-parameters and in the fixed parameters.

    Args:
      unroll_network: `Agent.unroll`.
      hyperparams: `meta_params -> Hyperparams`; a constant function makes the
        plain objective.
      clip_reward: applied to raw rewards.
      reduce: sum (IMPALA) or mean over `[T, B]`.
      kl_threshold: steps with KL(behaviour || head 0) above are masked (LASER);
        infinite for none.

    Returns:
      `(params, fixed_params, meta_params, batch) -> (scalar, metrics)`,
      `batch` an `Unroll` of stacked observations. Metrics are numbers of head
      0, and `rho` `[T, B]`, the clipped importance ratios; NaN where a step
      does not count.
    """

    def loss(params, fixed_params, meta_params, batch: Unroll):
        outputs = _apply(unroll_network, params, batch)
        fixed = _apply(unroll_network, fixed_params, batch)
        data = _shift(batch.transitions, clip_reward)
        kl = kl_divergence(data.behaviour, fixed.logits[:-1, :, 0])
        trusted = data.valid * (kl <= kl_threshold)
        h = hyperparams(meta_params)
        terms = jax.vmap(_head_terms, in_axes=(0, 2, 2, None), out_axes=-1)(
            h, outputs, fixed, data._replace(valid=trusted)
        )  # [T, B, H]
        total = jnp.sum(
            h.policy_weight * terms.policy
            + h.value_weight * terms.value
            + h.entropy_weight * terms.entropy,
            axis=-1,
        )
        metrics = {
            "policy_loss": jnp.mean(terms.policy[..., 0]),
            "value_loss": jnp.mean(terms.value[..., 0]),
            "entropy": -jnp.mean(terms.entropy[..., 0]),
            # Of steps that are not ignored anyway.
            "behaviour_kl": weighted_mean(kl, data.valid),
            "masked": weighted_mean(1.0 - trusted, data.valid),
            # Each step's own, for a histogram where one is wanted.
            "rho": jnp.where(trusted > 0, terms.ratio[..., 0], jnp.nan),
        }
        return reduce(total), metrics

    return loss


def predict(unroll_network: UnrollNetwork) -> Callable[..., Prediction]:
    """Head 0's policy and value of a batch, for the matching functions.

    The state after a game's end has no action that counts: weight 0.
    """

    def prediction(params, batch: Unroll) -> Prediction:
        outputs = _apply(unroll_network, params, batch)
        alive = batch.transitions.step_type != LAST
        return Prediction(
            outputs.logits[:, :, 0],
            outputs.values[:, :, 0],
            alive.astype(jnp.float32),
        )

    return prediction


def _apply(unroll_network: UnrollNetwork, params, batch: Unroll) -> Outputs:
    t = batch.transitions
    return unroll_network(
        params, t.observation, t.step_type == FIRST, batch.core_state
    )


def _shift(t: Transition, clip_reward) -> _Data:
    # Index shift: what the action of t led to is stored at t + 1. The action
    # after a game's last step is ignored by EnvPool, which resets instead.
    return _Data(
        action=t.action[:-1],
        reward=clip_reward(t.reward[1:]),
        discount=t.discount[1:],
        behaviour=t.logits[:-1],
        valid=(t.step_type[:-1] != LAST).astype(jnp.float32),
    )


def _head_terms(
    h: Hyperparams, outputs: Outputs, fixed: Outputs, data: _Data
) -> _Terms:
    """One head: `h` scalars, logits `[T+1, B, A]`, values `[T+1, B]`."""
    log_pi = jax.nn.log_softmax(outputs.logits[:-1])
    log_pi_a = rlax.batched_index(log_pi, data.action)
    vtrace = leaky_vtrace(
        v_tm1=fixed.values[:-1],
        v_t=fixed.values[1:],
        r_t=data.reward,
        discount_t=data.discount * h.discount,
        rho_tm1=_ratio(fixed, data),
        lambda_=h.trace,
        alpha_rho=h.alpha_rho,
        alpha_c=h.alpha_c,
    )
    gap = vtrace.targets - outputs.values[:-1]
    negative_entropy = jnp.sum(jnp.exp(log_pi) * log_pi, axis=-1)
    return _Terms(
        policy=-data.valid * log_pi_a * vtrace.advantages,
        value=data.valid * 0.5 * jnp.square(gap),
        entropy=data.valid * negative_entropy,
        ratio=jnp.minimum(1.0, _ratio(fixed, data)),
    )


def _ratio(fixed: Outputs, data: _Data) -> jax.Array:
    """pi(a) / mu(a) `[T, B]`; 0 where a step does not count."""
    log_pi = jax.nn.log_softmax(fixed.logits[:-1])
    log_mu = jax.nn.log_softmax(data.behaviour)
    log_ratio = rlax.batched_index(log_pi - log_mu, data.action)
    return jnp.exp(log_ratio) * data.valid
