"""Updates whose parameters record their batches, one digit for each."""

import jax.numpy as jnp
import optax

from meta import bootstrap as bootstrap_lib
from meta import update as update_lib

BATCHES = {
    "next": bootstrap_lib.next_batches,
    "same": bootstrap_lib.same_batches,
}


def recording_update(ending):
    """x' = 10 x + batch + ending, and an optimiser state that counts."""

    def apply(state, w, batch):
        del w
        state = state._replace(
            params=10.0 * state.params + batch + ending,
            opt_state=state.opt_state + 1,
        )
        return state, {"batch": jnp.float32(batch)}

    return update_lib.Update(
        lambda params: update_lib.InnerState(params, jnp.int32(0)), apply
    )


def recording_learner(
    k, length, num_kept=None, batches="next", read=lambda *args: args[0]
):
    """A learner whose matching loss is what `read` picks."""
    learner = bootstrap_lib.bootstrapped(
        recording_update(0.0),
        recording_update(0.5),
        read,
        optax.sgd(1.0),
        num_inner=k,
        num_bootstrap=length,
        continue_after=num_kept,
        batches=BATCHES[batches],
    )
    return learner, learner.init(jnp.float32(0.0), jnp.float32(0.0))


def params_k(x, bootstrap, w, batch):
    return x


def bootstrap_params(x, bootstrap, w, batch):
    return bootstrap


def matching_batch(x, bootstrap, w, batch):
    return jnp.float32(batch)
