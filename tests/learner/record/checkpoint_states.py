"""States of a learner, saved and compared."""

import jax
import jax.numpy as jnp
import numpy as np


def a_state(first_state, seed):
    """A bmg learner's state with random numbers in every leaf."""
    rng = np.random.default_rng(seed)

    def fill(leaf):
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            value = rng.normal(size=leaf.shape)
        else:
            value = rng.integers(1, 10**6, size=leaf.shape)
        return jax.device_put(value.astype(leaf.dtype), leaf.sharding)

    return jax.tree.map(fill, first_state)


def saved(opened, states, *, keep=3):
    """Saves `{frames: state}` and closes."""
    checkpoints = opened(keep=keep)
    for frames, state in states.items():
        checkpoints.save(frames, state, {"frames": frames, "seconds": 1.5}, {})
    checkpoints.close()


def assert_bitwise(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert x.dtype == y.dtype
        assert np.asarray(x).tobytes() == np.asarray(y).tobytes()


def names(folder):
    return {path.name for path in folder.iterdir()}
