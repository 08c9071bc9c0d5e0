"""The one place that reads the study's configuration and wires its parts."""

import functools
from typing import NamedTuple

import jax
import optax

from experiments.gridworld import actor_critic, q_lambda
from experiments.gridworld.agent import Agent
from experiments.gridworld.config import GridworldConfig
from experiments.gridworld.context import Context, no_context, reward_context
from experiments.gridworld.environment import (
    Environment,
    respawn_all,
    respawn_object,
    two_colours,
)
from experiments.gridworld.lifetime import Lifetime, make_lifetime
from experiments.gridworld.schedule import (
    Schedule,
    constant,
    network,
    scalar,
)
from experiments.gridworld.variants import Variant
from learner.optimisers import make_meta_optimiser, make_optimiser
from meta import bootstrap, matching
from meta.bootstrap import MetaLearner
from meta.loop import scanned
from meta.update import gradient_update


class Setting(NamedTuple):
    """The swept numbers of one lane; lanes that differ in them alone share a
    program."""

    weight: jax.Array  # []
    meta_rate: jax.Array  # []


def build_lifetime(
    config: GridworldConfig, variant: Variant, setting: Setting
) -> Lifetime:
    """One lane's lifetime; `variant`'s own numbers give way to `setting`."""
    makers = {"ac": actor_critic_agent, "q-lambda": q_lambda_agent}
    size = _own(config, variant).context_size
    seen = {"none": no_context(), "reward": reward_context(size)}
    context = seen[variant.context]
    schedule = _schedule(config, variant, setting, context)
    meta_optimiser = make_meta_optimiser(
        learning_rate=setting.meta_rate, epsilon=1e-4, clip=0.0
    )
    agent, memory = makers[variant.agent](
        config, variant, setting.weight, schedule, meta_optimiser
    )
    return make_lifetime(
        agent, build_world(config), context, schedule.init, memory=memory
    )


def _own(config: GridworldConfig, variant: Variant):
    return {"ac": config.ac, "q-lambda": config.q}[variant.agent]


def build_world(config: GridworldConfig) -> Environment:
    """The two-colour world of a study."""
    rules = {"object": respawn_object, "all": respawn_all}
    return two_colours(
        period=config.world.period,
        step_reward=config.world.step_reward,
        respawn=rules[config.world.respawn],
    )


def _schedule(
    config: GridworldConfig,
    variant: Variant,
    setting: Setting,
    context: Context,
) -> Schedule:
    if variant.method == "fixed":
        return constant(setting.weight)
    if not context.size:
        return scalar()
    return network(_own(config, variant).meta_sizes, context.size)


def actor_critic_agent(
    config: GridworldConfig,
    variant: Variant,
    weight: jax.Array,
    schedule: Schedule,
    meta_optimiser: optax.GradientTransformation,
) -> tuple[Agent, int]:
    """The actor-critic, and how many observations its matching sees.

    `weight` is the outer loss's entropy weight (mg).
    """
    ac = config.ac
    net = actor_critic.make_network(ac.hidden, ac.init_scale)
    sgd = make_optimiser(
        "sgd", learning_rate=ac.learning_rate, decay=0.0, epsilon=0.0, clip=0.0
    )
    objective = functools.partial(
        actor_critic.policy_objective,
        net,
        discount=ac.discount,
        trace=ac.trace,
    )
    rule = gradient_update(
        actor_critic.actor_critic_loss(
            net,
            schedule,
            discount=ac.discount,
            trace=ac.trace,
            value_weight=ac.value_weight,
        ),
        sgd,
    )

    def fixed() -> MetaLearner:
        return bootstrap.fixed(rule)

    def mg() -> MetaLearner:
        return bootstrap.standard(
            rule,
            actor_critic.as_objective(objective(entropy_weight=weight)),
            meta_optimiser,
            num_inner=variant.K,
        )

    def bmg() -> MetaLearner:
        return bootstrap.bootstrapped(
            rule,
            gradient_update(objective(entropy_weight=0.0), sgd),
            _scaled(
                matching.policy_kl(actor_critic.predict(net)),
                ac.length if ac.reduction == "sum" else 1,
            ),
            meta_optimiser,
            num_inner=variant.K,
            num_bootstrap=variant.L,
            continue_after=variant.K + variant.L - 1,
        )

    learner = {"fixed": fixed, "mg": mg, "bmg": bmg}[variant.method]()
    agent = Agent(net.init, actor_critic.act(net), rule, learner, ac.length)
    return agent, ac.length


def q_lambda_agent(
    config: GridworldConfig,
    variant: Variant,
    weight: jax.Array,
    schedule: Schedule,
    meta_optimiser: optax.GradientTransformation,
) -> tuple[Agent, int]:
    """The Q(lambda) agent, and how many observations its matching sees."""
    del weight
    q = config.q
    net = q_lambda.make_network(q.hidden)
    optimisers = {
        "before": q_lambda.averaged_before,
        "within": q_lambda.averaged_within,
    }
    rule = q_lambda.peng_q_lambda(
        net,
        schedule,
        optimisers[q.averaging](q.learning_rate),
        discount=q.discount,
        trace=q.trace,
    )

    def fixed() -> MetaLearner:
        return bootstrap.fixed(rule)

    def bmg() -> MetaLearner:
        return bootstrap.bootstrapped(
            rule,
            # Nothing is meta-learned in the rule, so it is its own objective.
            rule,
            q_lambda.greedy_matching(net, schedule),
            meta_optimiser,
            num_inner=0,
            num_bootstrap=variant.L,
            continue_after=variant.L - 1,
            loop=scanned,
        )

    learner = {"fixed": fixed, "bmg": bmg}[variant.method]()
    act = q_lambda.act(net, schedule)
    agent = Agent(net.init, act, rule, learner, length=1, loop=scanned)
    return agent, q.memory


def _scaled(rule: matching.Matching, factor: float) -> matching.Matching:
    def scaled(params, bootstrap_params, meta_params, batch):
        return factor * rule(params, bootstrap_params, meta_params, batch)

    return scaled
