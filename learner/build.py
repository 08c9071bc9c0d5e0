"""Reads the configuration and puts together what learns.

What plays is put together in `learner/build_acting.py`; nobody else reads the
configuration of either.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax

from actors.agent import Agent
from actors.spaces import Spec
from learner import learner as learner_lib
from learner.config import Config
from learner.learner import Algorithm, Learner, MakeLoss
from learner.loss import Hyperparams, actor_critic_loss, predict
from learner.optimisers import make_meta_optimiser, make_optimiser
from meta import bootstrap, matching
from meta.parameters import Bounds, SelfTuned, self_tuned


def frames_per_batch(config: Config, task: Spec) -> int:
    """Environment frames of the new trajectories of one batch."""
    steps = config.learner.unroll_length * config.online
    return steps * task.frames_per_step


def meta_steps(config: Config, task: Spec) -> float:
    """Meta-steps of the whole run."""
    batches = config.frames / frames_per_batch(config, task)
    same = config.meta.bootstrap_batches == "same"
    # Bootstrap updates that are kept use up batches, unless they are the same.
    return batches / (
        config.meta.inner_updates if same else _updates_per_meta_step(config)
    )


def _updates_per_meta_step(config: Config) -> int:
    """Updates that the learner keeps of each meta-step."""
    meta = config.meta
    if config.algorithm == "bmg" and meta.continue_from == "bootstrap":
        return meta.inner_updates + meta.bootstrap_updates - 1
    return meta.inner_updates


def build_learner(config: Config, task: Spec, agent: Agent) -> Learner:
    """The jitted learner on the devices of every learner host."""
    return learner_lib.make_learner(
        build_algorithm(config, task, agent),
        stack=task.stack,
        devices=_devices(config),
    )


def _devices(config: Config) -> list[jax.Device]:
    """As many of every host, in the order of hosts."""
    hosts = [
        [d for d in jax.devices() if d.process_index == host]
        for host in range(jax.process_count())
    ]
    count = min(map(len, hosts))
    if config.learner.devices:
        count = min(count, config.learner.devices)
    # All that divide a host's part of the batch; the check of the configuration
    # has refused a number that was asked for and does not.
    while config.learner.batch // len(hosts) % count:
        count -= 1
    return [device for local in hosts for device in local[:count]]


def build_algorithm(config: Config, task: Spec, agent: Agent) -> Algorithm:
    """impala, stacx or bmg."""
    makers = {"impala": _impala, "stacx": _stacx, "bmg": _bmg}
    return makers[config.algorithm](config, task, agent)


def plain_hyperparams(config: Config) -> Hyperparams:
    """The plain objective: head 0 alone, nothing tuned."""
    acting = np.eye(1, config.heads, dtype=np.float32)[0]  # [H] 1, 0, 0, …
    ones = np.ones_like(acting)
    loss = config.loss
    return Hyperparams(
        discount=loss.discount * ones,
        trace=loss.trace * ones,
        value_weight=loss.value_weight * acting,
        policy_weight=loss.policy_weight * acting,
        entropy_weight=loss.entropy_weight * acting,
        alpha_rho=ones,
        alpha_c=ones,
    )


def tuned_hyperparams(config: Config) -> SelfTuned:
    """STACX's self-tuning: sigmoids that start at `meta.initial`.

    Loss weights are scaled by their value in the configuration, the others
    lie in (0, 1). What is not tuned keeps the configuration's value. With the
    papers' trace of 1 all sigmoids start at the same point.
    """
    ones = np.ones(config.heads, np.float32)
    loss = config.loss
    scale = {
        "value_weight": loss.value_weight,
        "policy_weight": loss.policy_weight,
        "entropy_weight": loss.entropy_weight,
    }
    fixed = {"discount": loss.discount, "trace": loss.trace} | scale
    initial = Hyperparams(
        **{name: fixed.get(name, 1.0) * ones for name in Hyperparams._fields}
    )
    bounds = {
        name: Bounds(0.0, scale.get(name, 1.0)) for name in config.meta.tuned
    }
    # The trace may grow to 1, but starts near what it is without tuning.
    first = scale | {"trace": loss.trace}
    start = {
        name: config.meta.initial * first.get(name, 1.0) * ones
        for name in bounds
    }
    return self_tuned(initial._replace(**start), bounds)


def _impala(config: Config, task: Spec, agent: Agent) -> Algorithm:
    constant = self_tuned(plain_hyperparams(config), {})
    return learner_lib.impala(
        build_loss(config, agent),
        constant,
        build_optimiser(config, task),
        num_inner=config.meta.inner_updates,
    )


def _stacx(config: Config, task: Spec, agent: Agent) -> Algorithm:
    meta = config.meta
    return learner_lib.stacx(
        build_loss(config, agent),
        tuned_hyperparams(config),
        build_optimiser(config, task),
        plain=plain_hyperparams(config),
        predict=predict(agent.unroll),
        reduce=_reduction(config),
        kl_weight=meta.outer_kl,
        meta_optimiser=_meta_optimiser(config),
        num_inner=meta.inner_updates,
        batches=_batches(config),
    )


def _bmg(config: Config, task: Spec, agent: Agent) -> Algorithm:
    meta = config.meta
    prediction = predict(agent.unroll)
    matchings = {
        "l2": matching.squared_distance,
        "kl": lambda: matching.policy_kl(prediction),
        "kl-v": lambda: matching.policy_kl_and_value(
            prediction, value_coefficient=meta.value_coefficient
        ),
    }
    return learner_lib.bmg(
        build_loss(config, agent),
        tuned_hyperparams(config),
        build_optimiser(config, task),
        plain=plain_hyperparams(config),
        bootstrap_optimiser=_bootstrap_optimiser(config, task),
        matching=matchings[meta.matching](),
        meta_optimiser=_meta_optimiser(config),
        num_inner=meta.inner_updates,
        num_bootstrap=meta.bootstrap_updates,
        continue_after=_updates_per_meta_step(config),
        batches=_batches(config),
    )


def build_loss(config: Config, agent: Agent) -> MakeLoss:
    """The self-tuned loss, still to be given its hyper-parameters."""
    clip = config.loss.reward_clip or math.inf
    return functools.partial(
        actor_critic_loss,
        agent.unroll,
        clip_reward=lambda reward: jnp.clip(reward, -clip, clip),
        reduce=_reduction(config),
        kl_threshold=config.replay.kl_threshold or math.inf,
    )


def _reduction(config: Config):
    return {"sum": jnp.sum, "mean": jnp.mean}[config.loss.reduction]


def _batches(config: Config) -> bootstrap.Batches:
    rules = {"next": bootstrap.next_batches, "same": bootstrap.same_batches}
    return rules[config.meta.bootstrap_batches]


def build_optimiser(config: Config, task: Spec) -> optax.GradientTransformation:
    """The inner optimiser, its rate falling over the run's updates."""
    options = config.optimiser
    return make_optimiser(
        options.name,
        learning_rate=_schedule(
            config,
            options.learning_rate,
            meta_steps(config, task) * _updates_per_meta_step(config),
        ),
        decay=options.decay,
        epsilon=options.epsilon,
        initial_scale=options.initial_scale,
        clip=options.clip,
    )


def _bootstrap_optimiser(
    config: Config, task: Spec
) -> optax.GradientTransformation:
    options = config.optimiser
    rate = config.meta.bootstrap_learning_rate or options.learning_rate
    # It takes one step per meta-step, so its schedule counts those.
    steps = meta_steps(config, task)
    return make_optimiser(
        config.meta.bootstrap_optimiser,
        learning_rate=_schedule(config, rate, steps),
        decay=options.decay,
        epsilon=options.epsilon,
        initial_scale=options.initial_scale,
        clip=options.clip,
    )


def _meta_optimiser(config: Config) -> optax.GradientTransformation:
    return make_meta_optimiser(
        learning_rate=config.meta.learning_rate,
        epsilon=config.meta.epsilon,
        clip=config.meta.clip,
    )


def _schedule(config: Config, rate: float, steps: float) -> optax.Schedule:
    final = rate * config.optimiser.final_fraction
    return optax.linear_schedule(rate, final, math.ceil(steps))
