"""Bootstrapped meta-gradients, and what they are compared with.

Flennerhag et al., "Bootstrapped Meta-Learning", ICLR 2022, section 3.

Three factories with one interface, `MetaLearner(init, step)`:

* `fixed`: the meta-parameters stay as they are;
* `standard`: w <- w - beta grad_w f(x_K(w)), meta-gradients as in STACX;
* `bootstrapped`: w <- w - beta grad_w mu(x~, x_K(w)), BMG.

`K` counts inner updates, `L` bootstrap updates. The last two take an
`InnerLoopStart`: where the K updates begin, `online` or
`meta.tasks.initialisation`.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax

from meta.batches import Batches, next_batches, same_batches
from meta.batches import Split as Split
from meta.geometry import distance
from meta.loop import Loop, unrolled
from meta.matching import Matching
from meta.meta_learner import (
    InnerLoopStart,
    MetaLearner,
    MetaLoss,
    MetaState,
    online,
)
from meta.update import Batch, InnerState, Metrics, PyTree, Update


def fixed(update: Update, *, num_inner: int = 1) -> MetaLearner:
    """K plain updates; the meta-parameters never change.

    Args:
      update: the update rule.
      num_inner: K >= 1.
    """
    _at_least("num_inner", num_inner, 1)

    def init(params: PyTree, meta_params: PyTree) -> MetaState:
        return MetaState(update.init(params), meta_params, (), ())

    def step(
        state: MetaState, window: Sequence[Batch]
    ) -> tuple[MetaState, Metrics]:
        _check_length(window, num_inner)
        inner, metrics = _follow(update, state.inner, state.meta_params, window)
        return state._replace(inner=inner), {"inner": _summary(metrics)}

    return MetaLearner(init, step, window=num_inner, stride=num_inner)


def standard(
    inner_update: Update,
    objective: Matching,
    meta_optimiser: optax.GradientTransformation,
    *,
    num_inner: int = 1,
    batches: Batches = next_batches,
    loop: Loop = unrolled,
    start: InnerLoopStart = online,
) -> MetaLearner:
    """Meta-gradients: descends an objective of the updated parameters.

    w <- w - beta grad_w f(x_K(w))  (Xu et al. 2018; STACX, Zahavy et al. 2020)

    Args:
      inner_update: phi, applied K times.
      objective: f, called as `(params_K, params_0, meta_params, batch)`, so
        that it can hold x_K near x_0. With `online` x_0 is a constant of w;
        with `meta.tasks.initialisation` it is w, and the gradient reaches it.
      meta_optimiser: changes w.
      num_inner: K >= 1.
      batches: which batch the objective sees.
      loop: over the updates, `unrolled` or `scanned`.
      start: where the inner loop starts.
    """
    _at_least("num_inner", num_inner, 1)
    size = batches.size(num_inner, 1)

    def begin(params):
        return inner_update.init(params), ()

    def value(meta_params, start_state, window):
        _check_length(window, size)
        split = batches.split(window, num_inner, 1)
        first, nothing = start_state
        inner, metrics = _follow(
            inner_update, first, meta_params, split.inner, loop
        )
        value = objective(
            inner.params, first.params, meta_params, split.matching
        )
        return value, ((inner, nothing), {"inner": _summary(metrics)})

    return start(MetaLoss(begin, value, size, num_inner), meta_optimiser)


def bootstrapped(
    inner_update: Update,
    plain_update: Update,
    matching: Matching,
    meta_optimiser: optax.GradientTransformation,
    *,
    num_inner: int = 1,
    num_bootstrap: int = 1,
    continue_after: int | None = None,
    batches: Batches = next_batches,
    loop: Loop = unrolled,
    start: InnerLoopStart = online,
) -> MetaLearner:
    """Bootstrapped meta-gradients (BMG paper, section 3).

    1. x_1 … x_K(w): K inner updates; gradients reach w through these alone.
    2. x_{K+1} … x_{K+L-1}: L - 1 further updates of the same rule, then one
       plain update from there gives the bootstrap x~, a constant.
    3. w <- w - beta grad_w mu(x~, x_K(w)).

    Args:
      inner_update: phi, the meta-learned rule.
      plain_update: the last bootstrap update, on the plain objective f with an
        optimiser and optimiser state of its own.
      matching: mu, called as `(params_K, bootstrap_params, meta_params,
        batch)`.
      meta_optimiser: changes w.
      num_inner: K >= 0. With K = 0 nothing is differentiated through an
        update: w is reached by the matching function alone.
      num_bootstrap: L >= 1; with K = 0 at least 2, since the last bootstrap
        update is never kept.
      continue_after: the learner goes on from x_i with this i, between K (the
        paper's Atari agent) and K + L - 1 (its grid-world agents; the newest
        parameters under the learned rule). Default K; with K = 0 it must be
        given, since going on from x_0 would learn nothing.
      batches: `next_batches` or `same_batches`.
      loop: over the updates, `unrolled` or `scanned`.
      start: where the inner loop starts.

    Raises:
      ValueError: where a count is out of its range.
    """
    _at_least("num_inner", num_inner, 0)
    _at_least("num_bootstrap", num_bootstrap, 1 if num_inner else 2)
    last = num_inner + num_bootstrap - 1
    num_kept = num_inner if continue_after is None else continue_after
    if not max(num_inner, 1) <= num_kept <= last:
        raise ValueError(
            f"continue_after = {num_kept}: must lie between "
            f"{max(num_inner, 1)} and K + L - 1 = {last}"
        )
    if num_inner == 0 and batches is same_batches:
        raise ValueError("K = 0 has no inner batch: use next_batches")
    size = batches.size(num_inner, num_bootstrap)

    def begin(params):
        return inner_update.init(params), plain_update.init(params).opt_state

    def value(meta_params, start_state, window):
        _check_length(window, size)
        split = batches.split(window, num_inner, num_bootstrap)
        cut = num_kept - num_inner
        first, bootstrap_opt_state = start_state
        inner, metrics = _follow(
            inner_update, first, meta_params, split.inner, loop
        )
        # Stop-gradient: the bootstrap is a constant of the meta-parameters.
        ahead, constant = lax.stop_gradient((inner, meta_params))
        continued, more = _follow(
            inner_update, ahead, constant, split.bootstrap[:cut], loop
        )
        ahead, _ = _follow(
            inner_update, continued, constant, split.bootstrap[cut:-1], loop
        )
        bootstrap, plain_metrics = plain_update.apply(
            ahead._replace(opt_state=bootstrap_opt_state),
            constant,
            split.bootstrap[-1],
        )
        value = matching(
            inner.params,
            lax.stop_gradient(bootstrap.params),
            meta_params,
            split.matching,
        )
        ahead_by = {"distance": distance(bootstrap.params, inner.params)}
        return value, (
            (continued, bootstrap.opt_state),
            {
                "inner": _summary(metrics + more),
                "bootstrap": plain_metrics | ahead_by,
            },
        )

    return start(
        MetaLoss(begin, value, size, min(num_kept, size)), meta_optimiser
    )


def _follow(
    update: Update,
    state: InnerState,
    meta_params: PyTree,
    batches: Sequence[Batch],
    loop: Loop = unrolled,
) -> tuple[InnerState, list[Metrics]]:
    """Applies an update once per batch: the last state, and all metrics."""

    def body(state: InnerState, batch: Batch) -> tuple[InnerState, Metrics]:
        return update.apply(state, meta_params, batch)

    return loop(body, state, batches)


def _summary(metrics: list[Metrics]) -> Any:
    """Of n updates: the mean of each number, arrays one by one `[n, …]`."""

    def summarise(*xs: jax.Array) -> jax.Array:
        stacked = jnp.stack(xs)
        return stacked if stacked.ndim > 1 else jnp.mean(stacked)

    return jax.tree.map(summarise, *metrics)


def _check_length(window: Sequence[Batch], size: int) -> None:
    # Slices of a shorter window would quietly make a shorter bootstrap, and a
    # batch that was not put in a list would be taken for its own fields.
    if len(window) != size:
        raise ValueError(f"batches: {len(window)}, a step takes {size}")


def _at_least(name: str, value: int, minimum: int) -> None:
    if value < minimum:
        raise ValueError(f"{name} = {value}: must be at least {minimum}")
