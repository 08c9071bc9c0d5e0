"""What an agent of the grid world is, and what it experiences."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from meta.bootstrap import MetaLearner
from meta.loop import Loop, unrolled
from meta.update import Update

PyTree = Any


class Rollout(NamedTuple):
    """T steps of one world, and what the agent remembers."""

    observation: jax.Array  # [T+1, O]
    action: jax.Array  # [T] int32
    reward: jax.Array  # [T]
    recent: jax.Array  # [M, O], the last observations acted on, these included
    context: jax.Array  # [N], these T rewards included


class Agent(NamedTuple):
    """One agent and how it learns.

    init: `key -> params`.
    act: `(params, meta_params, observation [O], context [N], key) -> action`.
    rule: the update rule that it learns by between one roll-out and the next.
    learner: the same rule with its meta-learning.
    length: T.
    loop: over the roll-outs between two meta-steps.
    """

    init: Callable[[jax.Array], PyTree]
    act: Callable[..., jax.Array]
    rule: Update
    learner: MetaLearner
    length: int
    loop: Loop = unrolled
