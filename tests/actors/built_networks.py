"""Networks built for tests, and their parameters."""

import haiku as hk
import jax

from actors.networks import ActorCritic
from tests.actors.random_arrays import normal

KEY = jax.random.key(0)


def build(torso, **options):
    """The functions of an `ActorCritic` with 6 actions."""
    options = {"num_actions": 6, "num_heads": 1} | options
    return hk.without_apply_rng(
        hk.transform(lambda *args: ActorCritic(torso, **options)(*args))
    )


def draw(init, *args):
    """Random parameters of the right shapes."""
    return jax.tree.map(
        lambda x: 0.3 * normal(*x.shape, seed=x.size),
        jax.eval_shape(init, KEY, *args),
    )


def shapes(params, name):
    """Shapes of all parameters called `name`, in order of creation."""
    return [p[name].shape for p in params.values() if name in p]
