"""The one place that reads the study's configuration and wires its parts."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from experiments.few_shot import episode, network
from experiments.few_shot.config import FewShotConfig
from experiments.few_shot.datasets import read_images
from experiments.few_shot.episode import Episode, Tasks, of_classes
from experiments.few_shot.problem import (
    Problem,
    classification,
    regression,
)
from experiments.few_shot.sinusoid import sinusoids
from experiments.few_shot.variants import Variant, check_devices
from experiments.study import sharding
from learner.optimisers import make_meta_optimiser, make_optimiser
from meta import bootstrap, matching, tasks
from meta.bootstrap import MetaLearner
from meta.loop import Loop, scanned
from meta.tasks import OverTasks
from meta.update import (
    InnerState,
    Update,
    constant_gradient,
    gradient_update,
)

PyTree = Any


class Splits(NamedTuple):
    """Tasks to learn from, to look at meanwhile, and to be tested on."""

    train: Tasks
    validation: Tasks
    test: Tasks


def build_splits(
    config: FewShotConfig, devices: Sequence[jax.Device]
) -> Splits:
    """The tasks of a study; puts images, where there are any, on each device.

    Raises:
      ConfigError: for what is missing in a folder, or too small for the tasks;
        for tasks that the devices cannot share.
    """
    check_devices(config, len(devices))
    if config.data == "sinusoid":
        points = sinusoids(shots=config.shots, queries=config.queries)
        return Splits(points, points, points)
    images = read_images(
        config.data,
        config.folder,
        ways=config.ways,
        each=config.shots + config.queries,
    )
    parts = jax.device_put(
        (images.train, images.validation, images.test),
        sharding.replicated(devices),
    )
    return Splits(*(_tasks(config, images.brightest, part) for part in parts))


def _tasks(config: FewShotConfig, brightest: float, part: jax.Array) -> Tasks:
    return of_classes(
        part,
        brightest,
        ways=config.ways,
        shots=config.shots,
        queries=config.queries,
    )


def build_problem(config: FewShotConfig) -> Problem:
    """What is learned on each task."""
    if config.data == "sinusoid":
        return regression(network.mlp(config.network.hidden))
    net = network.convolutional(config.network.channels, config.ways)
    return classification(net, temperature=config.temperature)


def build_learner(
    config: FewShotConfig,
    variant: Variant,
    problem: Problem,
    *,
    over_tasks: OverTasks = tasks.vmapped,
    loop: Loop = scanned,
) -> MetaLearner:
    """What learns the initialisation; its windows are batches of episodes."""
    rule = gradient_update(problem.loss, _sgd(config.inner_rate))
    start = tasks.initialisation(over_tasks)
    # Adam cancels the scale of a matching function, but for its epsilon.
    meta_optimiser = make_meta_optimiser(
        learning_rate=variant.meta_rate, epsilon=1e-8, clip=0.0
    )

    def standard(rule: Update) -> MetaLearner:
        return bootstrap.standard(
            rule,
            lambda params, start, w, query: problem.loss(params, w, query)[0],
            meta_optimiser,
            num_inner=max(variant.K, 1),
            batches=episode.ahead_on_query,
            loop=loop,
            start=start,
        )

    def first_order() -> MetaLearner:
        sgd = constant_gradient(_sgd(config.inner_rate))
        return standard(gradient_update(problem.loss, sgd))

    def bmg() -> MetaLearner:
        return bootstrap.bootstrapped(
            rule,
            gradient_update(problem.loss, _sgd(variant.bootstrap_rate)),
            _matching(problem, variant),
            meta_optimiser,
            num_inner=variant.K,
            num_bootstrap=variant.L,
            batches=_AHEAD[variant.ahead],
            loop=loop,
            start=start,
        )

    makers: dict[str, Callable[[], MetaLearner]] = {
        "joint": lambda: standard(_NOTHING),
        "fomaml": first_order,
        "maml": lambda: standard(rule),
        "bmg": bmg,
    }
    return makers[variant.method]()


_AHEAD = {
    "query": episode.ahead_on_query,
    "support": episode.ahead_on_support,
}
# No adaptation: the outer loss is that of one network for all tasks.
_NOTHING = Update(
    lambda params: InnerState(params, ()), lambda state, w, batch: (state, {})
)


def _sgd(rate: float) -> optax.GradientTransformation:
    return make_optimiser(
        "sgd", learning_rate=rate, decay=0.0, epsilon=0.0, clip=0.0
    )


def _matching(problem: Problem, variant: Variant) -> matching.Matching:
    rules: dict[str, matching.Matching] = {
        "kl": problem.kl,
        "kl-reverse": matching.reversed_order(problem.kl),
        "l2": matching.squared_distance(),
    }
    return rules[variant.matching]


def build_test(
    config: FewShotConfig, problem: Problem
) -> Callable[[PyTree, Episode], jax.Array]:
    """`(w, episode) -> scores [1 + updates]` on the queries, from w on and
    after each update on the support."""
    rule = gradient_update(problem.loss, _sgd(config.inner_rate))

    def scores(w: PyTree, episode: Episode) -> jax.Array:
        def update(state: InnerState, _):
            state, _ = rule.apply(state, w, episode.support)
            return state, problem.score(state.params, episode.query)

        _, after = jax.lax.scan(
            update, rule.init(w), length=config.test_updates
        )
        return jnp.append(problem.score(w, episode.query), after)

    return scores


def over_devices(devices: Sequence[jax.Device], at_once: int) -> OverTasks:
    """Shares tasks out among devices, each of which takes some at a time.

    Args:
      devices: that share the tasks, as many each.
      at_once: tasks of a device at a time; 0 for all.
    """

    def over_tasks(task):
        def of_one_device(w: PyTree, items: PyTree) -> PyTree:
            if not at_once:
                return jax.vmap(task, in_axes=(None, 0))(w, items)
            return jax.lax.map(
                lambda item: task(w, item), items, batch_size=at_once
            )

        return jax.shard_map(
            of_one_device,
            mesh=sharding.mesh(devices),
            in_specs=(sharding.REPLICATED, sharding.SPLIT),
            out_specs=sharding.SPLIT,
            check_vma=False,
        )

    return over_tasks
