"""The two-colour grid world (BMG paper, section 5.1), in pure JAX.

An agent and two coloured objects on a 5x5 grid. Reaching an object pays +1 or
-1; which colour pays swaps every `period` steps, and nothing in the observation
shows it. The world never ends.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

SIZE = 5
CELLS = SIZE * SIZE
NUM_ACTIONS = 4  # up, down, left, right
OBSERVATION_SIZE = 3 * 2 * SIZE


class World(NamedTuple):
    """Where everything is; a cell is row * SIZE + column."""

    agent: jax.Array  # [] int32
    objects: jax.Array  # [2] int32
    time: jax.Array  # [] int32, steps taken


# (world, which object was reached, key) -> world
Respawn = Callable[[World, jax.Array, jax.Array], World]


class Environment(NamedTuple):
    """Pure functions of one world.

    reset: `key -> world`.
    step: `(world, action, key) -> (world, reward)`.
    observe: `world -> [30]`, one-hot row and column of agent, object 0 and
      object 1.
    """

    reset: Callable[[jax.Array], World]
    step: Callable[[World, jax.Array, jax.Array], tuple[World, jax.Array]]
    observe: Callable[[World], jax.Array]


def two_colours(
    *, period: int, step_reward: float, respawn: Respawn
) -> Environment:
    """Builds the world.

    Args:
      period: steps between switches of the colour that pays.
      step_reward: of a step that reaches nothing.
      respawn: `respawn_object` or `respawn_all`.

    Raises:
      ValueError: for a period below 1.
    """
    if period < 1:
        raise ValueError(f"period = {period}: must be at least 1 step")

    def reset(key: jax.Array) -> World:
        cells = _distinct_cells(key)
        return World(cells[0], cells[1:], jnp.int32(0))

    def step(
        world: World, action: jax.Array, key: jax.Array
    ) -> tuple[World, jax.Array]:
        agent = _move(world.agent, action)
        at = agent == world.objects
        reached, which = jnp.any(at), jnp.argmax(at)
        # The last step of a period is still paid under its own colour.
        sign = 1.0 - 2.0 * (world.time // period % 2)
        colour = 1.0 - 2.0 * which
        reward = jnp.where(reached, sign * colour, step_reward)
        world = World(agent, world.objects, world.time + 1)
        moved = respawn(world, which, key)
        world = jax.tree.map(
            lambda a, b: jnp.where(reached, a, b), moved, world
        )
        return world, reward.astype(jnp.float32)

    return Environment(reset, step, observe)


def respawn_object(world: World, which: jax.Array, key: jax.Array) -> World:
    """The object moves to a random free cell; the agent stays."""
    taken = jnp.stack([world.agent, world.objects[1 - which]])
    cell = _free_cell(jax.random.randint(key, (), 0, CELLS - 2), taken)
    return world._replace(objects=world.objects.at[which].set(cell))


def respawn_all(world: World, which: jax.Array, key: jax.Array) -> World:
    """Agent and objects move to random cells, none shared."""
    del which
    cells = _distinct_cells(key)
    return world._replace(agent=cells[0], objects=cells[1:])


def observe(world: World) -> jax.Array:
    """One-hot row and column of agent, object 0 and object 1: `[30]`."""
    cells = jnp.append(world.agent, world.objects)
    rows = jax.nn.one_hot(cells // SIZE, SIZE)
    columns = jax.nn.one_hot(cells % SIZE, SIZE)
    return jnp.stack([rows, columns], axis=1).reshape(OBSERVATION_SIZE)


def _distinct_cells(key: jax.Array) -> jax.Array:
    """Three random cells, none twice: `[3]`."""
    ranks = jax.random.randint(key, (3,), 0, CELLS - jnp.arange(3))
    second = _free_cell(ranks[1], ranks[:1])
    taken = jnp.stack([ranks[0], second])
    return jnp.stack([ranks[0], second, _free_cell(ranks[2], taken)])


def _free_cell(rank: jax.Array, taken: jax.Array) -> jax.Array:
    """The cell of that rank among those not taken: counts past each taken."""
    for cell in jnp.sort(taken):
        rank = rank + (rank >= cell)
    return rank


def _move(cell: jax.Array, action: jax.Array) -> jax.Array:
    """Up, down, left, right; a wall blocks."""
    row, column = cell // SIZE, cell % SIZE
    row = jnp.clip(row + jnp.array([-1, 1, 0, 0])[action], 0, SIZE - 1)
    column = jnp.clip(column + jnp.array([0, 0, -1, 1])[action], 0, SIZE - 1)
    return (row * SIZE + column).astype(jnp.int32)
