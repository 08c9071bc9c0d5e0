"""The learner: three algorithms with one interface, as one jitted step.

`impala`, `stacx` and `bmg` are built from the same pieces and differ in the
meta-learner that they hand to `make_learner`.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from actors.transition import Unroll, restack
from learner.loss import Hyperparams
from meta import bootstrap
from meta.bootstrap import MetaLearner, MetaState
from meta.matching import Matching, Predict, kl_divergence
from meta.parameters import SelfTuned
from meta.update import SemiLoss, semi_gradient_update

PyTree = Any
# (meta_params -> Hyperparams) -> SemiLoss
MakeLoss = Callable[[Callable[[PyTree], Hyperparams]], SemiLoss]


class LearnerState(NamedTuple):
    """Exactly what a checkpoint holds."""

    meta: MetaState
    updates: jax.Array  # [] int32 batches consumed as inner batches
    skipped: jax.Array  # [] int32 meta-steps skipped so far
    skipped_in_a_row: jax.Array  # [] int32


class Learner(NamedTuple):
    """A pair of functions; `step` is jitted and donates its state.

    init: `params -> LearnerState`, replicated over the devices.
    share: a state on the host to one that is replicated over the devices, as
      the first learner host gave it; all hosts call it together.
    step: `(state, window) -> (state, metrics)`, `window` batches of stacked
      observations, sharded over B; all hosts call it together.
    place: puts this host's part of a batch of single frames on its devices and
      rebuilds the stacks there; a batch of all hosts.
    hyperparams: `state -> Hyperparams`, as they are now.
    window, stride: as in `MetaLearner`.
    """

    init: Callable[[PyTree], LearnerState]
    share: Callable[[LearnerState], LearnerState]
    step: Callable[
        [LearnerState, Sequence[Unroll]], tuple[LearnerState, dict[str, Any]]
    ]
    place: Callable[[Unroll], Unroll]
    hyperparams: Callable[[LearnerState], Hyperparams]
    window: int
    stride: int


class Algorithm(NamedTuple):
    """A meta-learner, its first meta-parameters, and how to read them."""

    meta_learner: MetaLearner
    tuned: SelfTuned


def impala(
    make_loss: MakeLoss,
    tuned: SelfTuned,
    optimiser: optax.GradientTransformation,
    *,
    num_inner: int = 1,
) -> Algorithm:
    """IMPALA (Espeholt et al. 2018): nothing is self-tuned."""
    update = semi_gradient_update(make_loss(tuned.values), optimiser)
    return Algorithm(bootstrap.fixed(update, num_inner=num_inner), tuned)


def stacx(
    make_loss: MakeLoss,
    tuned: SelfTuned,
    optimiser: optax.GradientTransformation,
    *,
    plain: Hyperparams,
    predict: Predict,
    reduce: Callable[[jax.Array], jax.Array],
    kl_weight: float,
    meta_optimiser: optax.GradientTransformation,
    num_inner: int,
    batches: bootstrap.Batches,
) -> Algorithm:
    """STACX (Zahavy et al. 2020): meta-gradients of the outer loss.

    f(x_K) = L(x_K; plain) + kl_weight KL(pi_{x_K} || pi_{x_0}).
    """
    plain_loss = make_loss(lambda _: plain)

    def objective(params, start_params, meta_params, batch):
        # Stop-gradient: the objective descends along its semi-gradient.
        fixed = lax.stop_gradient(params)
        value, _ = plain_loss(params, fixed, meta_params, batch)
        new, old = predict(params, batch), predict(start_params, batch)
        kl = kl_divergence(new.logits, old.logits)
        return value + kl_weight * reduce(new.weights * kl)

    meta_learner = bootstrap.standard(
        semi_gradient_update(make_loss(tuned.values), optimiser),
        objective,
        meta_optimiser,
        num_inner=num_inner,
        batches=batches,
    )
    return Algorithm(meta_learner, tuned)


def bmg(
    make_loss: MakeLoss,
    tuned: SelfTuned,
    optimiser: optax.GradientTransformation,
    *,
    plain: Hyperparams,
    bootstrap_optimiser: optax.GradientTransformation,
    matching: Matching,
    meta_optimiser: optax.GradientTransformation,
    num_inner: int,
    num_bootstrap: int,
    continue_after: int,
    batches: bootstrap.Batches,
) -> Algorithm:
    """BMG (Flennerhag et al. 2022): matches a bootstrap of x_K."""
    meta_learner = bootstrap.bootstrapped(
        semi_gradient_update(make_loss(tuned.values), optimiser),
        semi_gradient_update(make_loss(lambda _: plain), bootstrap_optimiser),
        matching,
        meta_optimiser,
        num_inner=num_inner,
        num_bootstrap=num_bootstrap,
        continue_after=continue_after,
        batches=batches,
    )
    return Algorithm(meta_learner, tuned)


def make_learner(
    algorithm: Algorithm, *, stack: int, devices: Sequence[jax.Device]
) -> Learner:
    """Jits an algorithm's meta-step, data-parallel over `devices`.

    Parameters are replicated, batches are cut along B; XLA adds the sums over
    devices, those of other learner hosts among them. A meta-step that leaves
    anything not finite is skipped: the state stays as it was, and the skip is
    counted.

    Args:
      algorithm: from `impala`, `stacx` or `bmg`.
      stack: S, frames per observation.
      devices: must divide B; as many of every learner host, in its order.
    """
    meta_learner, tuned = algorithm
    mesh = Mesh(devices, ("batch",))
    replicated = NamedSharding(mesh, PartitionSpec())

    def init(params: PyTree) -> LearnerState:
        # Three zeros: a buffer cannot be donated twice.
        counts = [jnp.zeros((), jnp.int32) for _ in range(3)]
        # A copy: the first step donates its state, not the caller's params.
        params = jax.tree.map(jnp.copy, params)
        meta = meta_learner.init(params, tuned.init())
        return share(LearnerState(meta, *counts))

    def share(state: LearnerState) -> LearnerState:
        return jax.tree.map(
            lambda x: jax.make_array_from_process_local_data(replicated, x),
            multihost_utils.broadcast_one_to_all(state),
        )

    def step(state: LearnerState, window: Sequence[Unroll]):
        meta, metrics = meta_learner.step(state.meta, window)
        finite = _all_finite(meta)
        meta = jax.tree.map(
            lambda new, old: jnp.where(finite, new, old), meta, state.meta
        )
        skip = 1 - finite.astype(jnp.int32)
        state = LearnerState(
            meta,
            state.updates + meta_learner.stride,
            state.skipped + skip,
            (state.skipped_in_a_row + skip) * skip,
        )
        metrics["skipped"] = state.skipped
        metrics["skipped_in_a_row"] = state.skipped_in_a_row
        return state, metrics

    values = jax.jit(tuned.values)

    return Learner(
        init,
        share,
        jax.jit(
            step,
            donate_argnums=0,
            out_shardings=(replicated, replicated),
        ),
        _make_place(mesh, stack),
        # Of a copy on this host: the other hosts need not take part.
        lambda state: values(jax.device_get(state.meta.meta_params)),
        meta_learner.window,
        meta_learner.stride,
    )


def _make_place(mesh: Mesh, stack: int) -> Callable[[Unroll], Unroll]:
    """`Learner.place`: every device rebuilds its own trajectories' stacks.

    Nothing here runs on several hosts: they would have to start it in one
    order, and a batch is made while another is learned from.
    """
    rows = PartitionSpec("batch")
    over_batch = (PartitionSpec(None, "batch"), rows, rows, rows)
    specs: Any = Unroll._make(over_batch)
    local = mesh.local_mesh
    shardings = [NamedSharding(local, spec) for spec in over_batch]

    def restacked(batch: Unroll) -> Unroll:
        t = batch.transitions
        observation = restack(t.observation, batch.stack, t.step_type, stack)
        transitions = t._replace(observation=observation)
        return batch._replace(transitions=transitions, stack=())

    rebuild = jax.jit(
        jax.shard_map(restacked, mesh=local, in_specs=(specs,), out_specs=specs)
    )

    def place(batch: Unroll) -> Unroll:
        placed = rebuild(Unroll(*map(jax.device_put, batch, shardings)))
        return multihost_utils.host_local_array_to_global_array(
            placed, mesh, specs
        )

    return place


def _all_finite(tree: PyTree) -> jax.Array:
    finite = [jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves(tree)]
    return jnp.all(jnp.stack(finite))
