"""The meta-learner: what a meta-step keeps, and where its inner loop starts.

A meta-gradient is that of a function of w on one window of batches, `MetaLoss`.
An `InnerLoopStart` makes a learner of it: `online` here, one lifetime;
`meta.tasks.initialisation`, many tasks that all start at w.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import optax

from meta.update import Batch, InnerState, Metrics, PyTree


class MetaState(NamedTuple):
    """All that a meta-step reads and writes."""

    inner: Any  # InnerState; () where nothing is kept
    meta_params: PyTree
    meta_opt_state: PyTree
    bootstrap_opt_state: PyTree  # of the last bootstrap update; else ()


class MetaLearner(NamedTuple):
    """A pair of pure functions that learns x and w.

    init: `(params, meta_params) -> meta_state`.
    step: `(meta_state, batches) -> (meta_state, metrics)`; `batches` is a
      sequence of `window` batches, oldest first.
    window: batches that a step looks at.
    stride: batches by which the window moves on: updates that are kept.
    """

    init: Callable[[PyTree, PyTree], MetaState]
    step: Callable[[MetaState, Sequence[Batch]], tuple[MetaState, Metrics]]
    window: int
    stride: int


class MetaLoss(NamedTuple):
    """What the meta-parameters descend on one window, f or mu.

    begin: `params -> (inner_state, bootstrap_opt_state)`, before any update.
    value: `(meta_params, (inner_state, bootstrap_opt_state), window) ->
      (scalar, ((inner_state, bootstrap_opt_state), metrics))`.
    window, stride: as in `MetaLearner`.
    """

    begin: Callable[[PyTree], tuple[InnerState, PyTree]]
    value: Callable[[PyTree, tuple[InnerState, PyTree], Sequence[Batch]], Any]
    window: int
    stride: int


InnerLoopStart = Callable[[MetaLoss, optax.GradientTransformation], MetaLearner]


def online(
    loss: MetaLoss, meta_optimiser: optax.GradientTransformation
) -> MetaLearner:
    """One lifetime: each inner loop starts where the one before it ended."""

    def init(params: PyTree, meta_params: PyTree) -> MetaState:
        inner, bootstrap_opt_state = loss.begin(params)
        return MetaState(
            inner,
            meta_params,
            meta_optimiser.init(meta_params),
            bootstrap_opt_state,
        )

    def step(
        state: MetaState, window: Sequence[Batch]
    ) -> tuple[MetaState, Metrics]:
        start_state = state.inner, state.bootstrap_opt_state
        (value, (after, metrics)), gradient = jax.value_and_grad(
            loss.value, has_aux=True
        )(state.meta_params, start_state, window)
        inner, bootstrap_opt_state = after
        state = descend(meta_optimiser, state, gradient)._replace(
            inner=inner, bootstrap_opt_state=bootstrap_opt_state
        )
        meta = {
            "loss": value,
            "gradient_norm": optax.tree.norm(gradient),
            "gradient": gradient,
        }
        return state, metrics | {"meta": meta}

    return MetaLearner(init, step, loss.window, loss.stride)


def descend(
    meta_optimiser: optax.GradientTransformation,
    state: MetaState,
    gradient: PyTree,
) -> MetaState:
    """w <- w - beta gradient, by the meta-optimiser."""
    updates, meta_opt_state = meta_optimiser.update(
        gradient, state.meta_opt_state, state.meta_params
    )
    return state._replace(
        meta_params=optax.apply_updates(state.meta_params, updates),
        meta_opt_state=meta_opt_state,
    )
