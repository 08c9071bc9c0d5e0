"""The two-colour world against a transcription in plain Python."""

import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.gridworld.environment import (
    CELLS,
    NUM_ACTIONS,
    SIZE,
    World,
    observe,
    respawn_all,
    respawn_object,
    two_colours,
)

STEPS = 3_000
PERIOD = 700
RULES = {"object": respawn_object, "all": respawn_all}


class LiteralWorld:
    """Sets, loops and if-statements; where things respawn is an argument."""

    def __init__(self, agent, objects):
        self.agent, self.objects, self.time = agent, list(objects), 0

    def step(self, action, respawn):
        row, column = divmod(self.agent, 5)
        if action == 0 and row > 0:
            row -= 1
        if action == 1 and row < 4:
            row += 1
        if action == 2 and column > 0:
            column -= 1
        if action == 3 and column < 4:
            column += 1
        self.agent = 5 * row + column
        reward, reached = -0.04, None
        for colour in (0, 1):
            if self.agent == self.objects[colour]:
                reached = colour
                swapped = (self.time // PERIOD) % 2 == 1
                reward = 1.0 if (colour == 0) != swapped else -1.0
        self.time += 1
        if reached is not None:
            respawn(self, reached)
        return reward

    def observe(self):
        numbers = []
        for cell in (self.agent, *self.objects):
            row, column = divmod(cell, 5)
            numbers += [float(row == i) for i in range(5)]
            numbers += [float(column == i) for i in range(5)]
        return numbers


def play(rule, seed):
    """Random actions: worlds `[STEPS + 1]`, actions and rewards."""
    environment = two_colours(
        period=PERIOD, step_reward=-0.04, respawn=RULES[rule]
    )

    def step(world, keys):
        action = jax.random.randint(keys[0], (), 0, NUM_ACTIONS)
        after, reward = environment.step(world, action, keys[1])
        return after, (after, action, reward)

    first, rest = jax.random.split(jax.random.key(seed))
    start = environment.reset(first)
    keys = jax.random.split(rest, (STEPS, 2))
    _, (worlds, actions, rewards) = jax.lax.scan(step, start, keys)
    worlds = jax.tree.map(
        lambda a, b: np.concatenate([np.asarray(a)[None], b]), start, worlds
    )
    return worlds, np.asarray(actions), np.asarray(rewards)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seed", [0, 1])
def test_equals_the_literal_world(rule, seed):
    worlds, actions, rewards = play(rule, seed)
    literal = LiteralWorld(worlds.agent[0], worlds.objects[0])
    observed = np.asarray(jax.vmap(observe)(World(*worlds)))
    kinds = collections.Counter()
    for t in range(STEPS):
        np.testing.assert_array_equal(observed[t], literal.observe())

        def respawn(world, reached, t=t):
            there = worlds.objects[t + 1]
            kinds[reached, rewards[t] > 0] += 1
            # The reached object is on a free cell.
            if rule == "object":
                world.objects[reached] = there[reached]
            else:
                world.agent, world.objects = worlds.agent[t + 1], list(there)
            assert len({int(world.agent), *map(int, world.objects)}) == 3

        reward = literal.step(actions[t], respawn)
        assert rewards[t] == np.float32(reward)
        assert literal.agent == worlds.agent[t + 1]
        np.testing.assert_array_equal(literal.objects, worlds.objects[t + 1])
        assert literal.time == worlds.time[t + 1]
    # Both colours were reached, before and after a switch.
    assert len(kinds) == 4


@pytest.mark.parametrize("rule", RULES)
def test_every_free_cell_is_equally_likely(rule):
    world = World(jnp.int32(7), jnp.array([7, 12]), jnp.int32(0))
    keys = jax.random.split(jax.random.key(0), 20_000)
    after = jax.vmap(lambda key: RULES[rule](world, jnp.int32(0), key))(keys)
    count = np.bincount(np.asarray(after.objects[:, 0]), minlength=CELLS)
    free = np.ones(CELLS, bool)
    if rule == "object":
        free[[7, 12]] = False
        np.testing.assert_array_equal(after.objects[:, 1], 12)
        np.testing.assert_array_equal(after.agent, 7)
    assert not count[~free].any()
    expected = len(keys) / free.sum()
    # Five standard deviations of a binomial count.
    assert np.abs(count[free] - expected).max() < 5 * np.sqrt(expected)


def test_resets_share_no_cell():
    environment = two_colours(period=1, step_reward=0.0, respawn=respawn_object)
    keys = jax.random.split(jax.random.key(0), 5_000)
    worlds = jax.vmap(environment.reset)(keys)
    cells = np.column_stack([worlds.agent, worlds.objects])
    assert ((cells >= 0) & (cells < SIZE * SIZE)).all()
    assert (np.diff(np.sort(cells, axis=1), axis=1) > 0).all()
    for column in cells.T:
        assert len(np.unique(column)) == CELLS


def test_a_period_is_at_least_one_step():
    with pytest.raises(ValueError, match="period = 0: must be at least 1"):
        two_colours(period=0, step_reward=0.0, respawn=respawn_object)
