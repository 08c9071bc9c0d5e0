"""Transitions: stacks from single frames, trajectories cut and joined."""

import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from actors.environment import Environment
from actors.transition import (
    FIRST,
    LAST,
    MID,
    Transition,
    Unroll,
    concatenate,
    newest_frame,
    older_frames,
    restack,
    take,
)
from actors.unroll import Unroller

restack_jit = jax.jit(restack, static_argnums=3)


class Recorder:
    """An environment that remembers EnvPool's own stacks, by environment."""

    def __init__(self, environment):
        self._environment = environment
        self.stacks = collections.defaultdict(list)

    def __getattr__(self, name):
        return getattr(self._environment, name)

    def recv(self):
        step = self._environment.recv()
        for env, observation in zip(step.env_id, step.observation, strict=True):
            self.stacks[int(env)].append(observation.copy())
        return step


def assert_restack_equals_envpool(
    counting_agent, task, protocol, *, batch_size, resets
):
    """Plays until `resets` games began, checking the stacks of every unroll."""
    environment = Recorder(
        Environment(
            task,
            protocol,
            num_envs=2,
            batch_size=batch_size,
            num_threads=2,
            seed=7,
        )
    )
    agent = counting_agent(environment.spec)
    unroller = Unroller(
        environment, agent, unroll_length=9, trajectories=2, seed=0
    )
    began = 0
    while began < resets:
        unroll, _ = unroller.unroll((), 0)
        steps = unroll.transitions
        stacked = restack_jit(
            steps.observation,
            unroll.stack,
            steps.step_type,
            environment.spec.stack,
        )
        envs, times = np.moveaxis(steps.logits[..., :2], -1, 0).astype(int)
        expected = [
            [environment.stacks[env][time] for env, time in row]
            for row in np.stack([envs, times], -1).tolist()
        ]
        np.testing.assert_array_equal(stacked, expected)
        # The last row is the first of the next unroll.
        began += (steps.step_type[:-1] == FIRST).sum()
    unroller.close()


@pytest.mark.parametrize("game", ["Pong", "Breakout", "MsPacman"])
def test_restack_is_envpools_stack(game, shorten, counting_agent):
    shorten("impala", 20)
    assert_restack_equals_envpool(
        counting_agent, f"{game}-v5", "impala", batch_size=1, resets=10
    )


def test_restack_is_envpools_stack_in_full_size_colour(shorten, counting_agent):
    shorten("bmg", 6)
    assert_restack_equals_envpool(
        counting_agent, "Breakout-v5", "bmg", batch_size=2, resets=6
    )


@pytest.mark.slow
@pytest.mark.parametrize("game", ["Pong", "Breakout", "MsPacman"])
@pytest.mark.parametrize("batch_size", [1, 2], ids=["async", "lockstep"])
def test_restack_is_envpools_stack_over_full_games(
    game, batch_size, counting_agent
):
    assert_restack_equals_envpool(
        counting_agent, f"{game}-v5", "impala", batch_size=batch_size, resets=7
    )


def restack_by_pushing(frames, older, step_type, stack):
    """One frame at a time, as an emulator would: fill on first, else push."""
    steps, batch, channels = frames.shape[:3]
    stacked = []
    for b in range(batch):
        window = collections.deque(np.split(older[b], stack - 1), maxlen=stack)
        for t in range(steps):
            pushes = stack if step_type[t, b] == FIRST else 1
            window.extend([frames[t, b]] * pushes)
            stacked.append(np.concatenate(window))
    shape = (batch, steps, stack * channels, *frames.shape[3:])
    return np.stack(stacked).reshape(shape).swapaxes(0, 1)


@pytest.mark.parametrize("stack", [2, 3, 4])
@pytest.mark.parametrize("steps", [2, 9])
def test_restack_equals_pushing_frame_by_frame(stack, steps):
    rng = np.random.default_rng(stack + steps)
    frames = rng.integers(256, size=(steps, 40, 2, 3, 5), dtype=np.uint8)
    older = rng.integers(256, size=(40, (stack - 1) * 2, 3, 5), dtype=np.uint8)
    # Often first, so that resets are adjacent in some trajectories.
    step_type = rng.choice(
        [FIRST, MID, LAST], p=[0.3, 0.5, 0.2], size=(steps, 40)
    )
    step_type[:, 0] = MID  # no reset at all
    step_type[:, 1] = FIRST  # nothing but resets
    np.testing.assert_array_equal(
        restack_jit(frames, older, step_type, stack),
        restack_by_pushing(frames, older, step_type, stack),
    )


def test_restack_without_stacking_changes_nothing():
    frames = np.arange(24.0).reshape(4, 2, 3)
    older = np.zeros((2, 0))
    step_type = np.full((4, 2), MID)
    np.testing.assert_array_equal(restack(frames, older, step_type, 1), frames)


def test_newest_frame_and_older_frames_part_the_stack():
    observation = np.arange(2 * 12 * 5).reshape(2, 12, 5)
    newest, older = newest_frame(observation, 4), older_frames(observation, 4)
    assert newest.shape == (2, 3, 5)
    np.testing.assert_array_equal(
        np.concatenate([older, newest], axis=1), observation
    )


def an_unroll(batch):
    """T = 3, S = 3, C = 2, every number different."""
    shapes = Unroll(
        Transition((4, batch, 2, 5), *[(4, batch)] * 4, (4, batch, 6)),
        (batch, 4, 5),
        {"hidden": (batch, 7)},
        (batch,),
    )
    leaves, structure = jax.tree.flatten(
        shapes, is_leaf=lambda x: type(x) is tuple
    )
    arrays = [
        1000.0 * index + np.arange(np.prod(shape)).reshape(shape)
        for index, shape in enumerate(leaves)
    ]
    return jax.tree.unflatten(structure, arrays)


def assert_trees_equal(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    jax.tree.map(np.testing.assert_array_equal, one, other)


@pytest.mark.parametrize("xp", [np, jnp])
def test_concatenate_undoes_take(xp):
    whole = an_unroll(5)
    parts = [take(whole, i) for i in (slice(2), slice(2, 3), slice(3, 5))]
    assert [part.version.shape for part in parts] == [(2,), (1,), (2,)]
    assert_trees_equal(concatenate(parts, xp), whole)


def test_take_undoes_concatenate():
    left, right = an_unroll(2), take(an_unroll(4), slice(1, 4))
    both = concatenate([left, right], np)
    assert_trees_equal(take(both, slice(2)), left)
    assert_trees_equal(take(both, slice(2, None)), right)


def test_take_picks_by_index():
    picked = take(an_unroll(5), np.array([3, 0]))
    assert picked.transitions.logits.shape == (4, 2, 6)
    assert_trees_equal(take(picked, [1, 0]), take(an_unroll(5), [0, 3]))


def test_concatenate_of_one_unroll_copies_nothing():
    unroll = an_unroll(2)
    assert concatenate([unroll], np) is unroll
