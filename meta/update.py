"""The update rule x' = x + phi(x, h, w) (BMG paper, section 2)."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import optax
from jax import lax

PyTree = Any
Batch = Any
Metrics = dict[str, Any]

# (params, meta_params, batch) -> (scalar loss, metrics)
Loss = Callable[[PyTree, PyTree, Batch], tuple[jax.Array, Metrics]]
# (params, fixed_params, meta_params, batch) -> (scalar loss, metrics)
SemiLoss = Callable[[PyTree, PyTree, PyTree, Batch], tuple[jax.Array, Metrics]]


class InnerState(NamedTuple):
    """What an update rule changes: parameters x and optimiser state h.

    An update rule may carry a NamedTuple of its own with more fields, as long
    as it has these two.
    """

    params: PyTree
    opt_state: PyTree


class Update(NamedTuple):
    """A pair of pure functions that is one update rule phi.

    init: `params -> inner_state`.
    apply: `(inner_state, meta_params, batch) -> (inner_state, metrics)`.
    """

    init: Callable[[PyTree], InnerState]
    apply: Callable[[InnerState, PyTree, Batch], tuple[InnerState, Metrics]]


def gradient_update(
    loss: Loss, optimiser: optax.GradientTransformation
) -> Update:
    """Returns one optimiser step on a loss that the meta-parameters shape.

    x' = x + optimiser(grad_x loss(x, w, batch)).

    The result is differentiable in `w` when the optimiser is. RMSProp and Adam
    need their epsilon inside the root (`eps_in_sqrt`, `eps_root`): the root of
    a zero second moment has no finite derivative.

    Args:
      loss: `(params, meta_params, batch) -> (scalar, metrics)`.
      optimiser: an optax transformation.

    Returns:
      An `Update` whose metrics are those of the loss, `loss` and
      `gradient_norm` (before clipping).
    """

    def semi_loss(params, fixed_params, meta_params, batch):
        del fixed_params
        return loss(params, meta_params, batch)

    return semi_gradient_update(semi_loss, optimiser)


def semi_gradient_update(
    loss: SemiLoss, optimiser: optax.GradientTransformation
) -> Update:
    """Returns one optimiser step along a semi-gradient.

    x' = x + optimiser(g(x)),  g(x) = grad_y loss(y, x, w, batch) at y = x.

    What is bootstrapped (targets, advantages) is made of the second argument.
    A stop-gradient inside a loss of one argument gives the same g, but cuts
    its derivative: from the second update on, x depends on w, and so do the
    targets. Here dg/dx is whole, and the meta-gradient exact for every K.

    Args:
      loss: `(params, fixed_params, meta_params, batch) -> (scalar, metrics)`,
        differentiated by the first; both are given the same parameters.
      optimiser: an optax transformation.

    Returns:
      An `Update` as `gradient_update`'s.
    """

    def init(params: PyTree) -> InnerState:
        return InnerState(params, optimiser.init(params))

    def apply(
        state: InnerState, meta_params: PyTree, batch: Batch
    ) -> tuple[InnerState, Metrics]:
        (value, metrics), gradient = jax.value_and_grad(loss, has_aux=True)(
            state.params, state.params, meta_params, batch
        )
        updates, opt_state = optimiser.update(
            gradient, state.opt_state, state.params
        )
        params = optax.apply_updates(state.params, updates)
        metrics = metrics | {
            "loss": value,
            "gradient_norm": optax.tree.norm(gradient),
        }
        return state._replace(params=params, opt_state=opt_state), metrics

    return Update(init, apply)


def constant_gradient(
    optimiser: optax.GradientTransformation,
) -> optax.GradientTransformation:
    """The same optimiser, its gradient a constant of what it depends on.

    Updates by it have the identity as their derivative, but for what the
    optimiser itself adds: first-order MAML (Finn et al. 2017, section 5.2).
    """
    stop = optax.stateless(lambda gradient, _: lax.stop_gradient(gradient))
    return optax.chain(stop, optimiser)
