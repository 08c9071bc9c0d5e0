"""Updates that compile once, however often a test unrolls them."""

import jax

from meta import update as update_lib


def jitted_update(loss, optimiser):
    update = update_lib.gradient_update(loss, optimiser)
    return update._replace(apply=jax.jit(update.apply))


def follow(update, state, w, batches):
    """The state after these batches, one update each."""
    for batch in batches:
        state, _ = update.apply(state, w, batch)
    return state
