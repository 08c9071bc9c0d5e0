"""Meta-parameters that are the initialisation of every task.

MAML (Finn et al. 2017, section 2.2), and BMG on many tasks (BMG paper,
section 6): w is x_0, from which K updates lead to x_K(w) on each task.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from meta.meta_learner import (
    InnerLoopStart,
    MetaLearner,
    MetaLoss,
    MetaState,
    descend,
)
from meta.update import Batch, Metrics, PyTree

# Of `(shared, item) -> result`, one such function of stacked items `[N, ...]`.
OverTasks = Callable[[Callable[[Any, Any], Any]], Callable[[Any, Any], Any]]


def vmapped(task: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """All tasks at once, on one device."""
    return jax.vmap(task, in_axes=(None, 0))


def initialisation(over_tasks: OverTasks = vmapped) -> InnerLoopStart:
    """Many tasks, the inner loop of each of which starts at x_0 = w.

    w <- w - beta 1/N sum_i grad_w loss_i(w), with loss_i what `standard` or
    `bootstrapped` descend on the window of task i.

    Every array of a window has an axis `[N, ...]` of tasks in front. The
    learner's `init` makes nothing of the parameters that it is given: they are
    w. No task's parameters are kept.

    Args:
      over_tasks: maps one task's gradient over the tasks. Each gradient is
        taken by itself, so that a map which goes from task to task needs the
        memory of one.
    """

    def start(
        loss: MetaLoss, meta_optimiser: optax.GradientTransformation
    ) -> MetaLearner:
        def value(w: PyTree, window: Sequence[Batch]):
            value, (_, metrics) = loss.value(w, loss.begin(w), window)
            return value, metrics

        def task(w: PyTree, window: Sequence[Batch]):
            return jax.value_and_grad(value, has_aux=True)(w, window)

        def init(params: PyTree, meta_params: PyTree) -> MetaState:
            del params
            opt_state = meta_optimiser.init(meta_params)
            return MetaState((), meta_params, opt_state, ())

        def step(
            state: MetaState, window: Sequence[Batch]
        ) -> tuple[MetaState, Metrics]:
            each = over_tasks(task)(state.meta_params, window)
            (mean, metrics), gradient = jax.tree.map(
                lambda x: jnp.mean(x, axis=0), each
            )
            meta = {"loss": mean, "gradient_norm": optax.tree.norm(gradient)}
            state = descend(meta_optimiser, state, gradient)
            return state, metrics | {"meta": meta}

        return MetaLearner(init, step, loss.window, loss.stride)

    return start
