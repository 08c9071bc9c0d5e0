"""Environments of one's own, against a literal loop over each of them."""

import functools
import sys
import types

import gymnasium
import numpy as np
import pytest

from actors import custom
from actors.environment import Environment, spec
from actors.transition import FIRST, LAST, MID


class Space:
    """All that is asked of a space, without gymnasium."""

    def __init__(self, **attributes):
        vars(self).update(attributes)


class Walk:
    """A walk on a line from a random place; off its ends a game is over.

    Cut short after 12 steps. The observation is one array, changed in place.
    """

    action_space = Space(n=3, start=-1)
    observation_space = Space(shape=(2,), dtype=np.float64)
    closed = 0

    def reset(self, *, seed=None):
        if seed is not None:
            self._random = np.random.default_rng(seed)
        self._at = np.array([self._random.integers(-2, 3), 0])
        return self._at, {}

    def step(self, action):
        assert action in (-1, 0, 1)
        self._at += action, 1
        over = bool(abs(self._at[0]) > 3)
        return self._at, float(self._at[0]), over, self._at[1] >= 12, {}

    def close(self):
        Walk.closed += 1


class Pixels(Walk):
    """The same, seen as bytes."""

    observation_space = Space(shape=(1, 9, 2), dtype=np.uint8)

    def reset(self, *, seed=None):
        super().reset(seed=seed)
        return self._seen(), {}

    def step(self, action):
        _, *others = super().step(action)
        return self._seen(), *others

    def _seen(self):
        seen = np.zeros((1, 9, 2), np.uint8)
        seen[0, self._at[0] + 4] = 255
        return seen


def cart_pole(limit):
    return gymnasium.make("CartPole-v1", max_episode_steps=limit)


@pytest.fixture
def as_task(monkeypatch):
    """Makes the task of something to call, in a module of its own."""
    custom.read_spaces.cache_clear()
    module = types.ModuleType("own")
    monkeypatch.setitem(sys.modules, "own", module)

    def task(make):
        module.make = make
        return "own:make"

    return task


def make(task, *, num_envs=3, batch=3, seed=7, pictures=False):
    return Environment(
        task,
        "impala",
        num_envs=num_envs,
        batch_size=batch,
        num_threads=1,
        seed=seed,
        pictures=pictures,
    )


def play_by_hand(env, actions, seed):
    """The steps of one environment, by a plain loop over games."""
    rows, observation = [], None
    for action in [None, *actions]:
        if observation is None:
            observation, _ = env.reset(seed=seed)
            rows.append((np.array(observation), FIRST, 0.0, 1.0))
            seed = None
            continue
        observation, reward, terminated, truncated, _ = env.step(action)
        end = terminated or truncated
        kind = LAST if end else MID
        rows.append((np.array(observation), kind, reward, 1.0 - terminated))
        observation = None if end else observation
    return rows


@pytest.mark.parametrize("batch", [1, 2, 3])
@pytest.mark.parametrize(
    ("maker", "first"),
    [
        pytest.param(Walk, -1, id="walk"),
        pytest.param(Pixels, -1, id="pixels"),
        pytest.param(functools.partial(cart_pole, 15), 0, id="gymnasium"),
    ],
)
def test_each_environment_is_played_as_if_alone(as_task, maker, first, batch):
    rng = np.random.default_rng(0)
    actions = rng.integers(2, size=(3, 80)).astype(np.int32)
    environment = make(as_task(maker), batch=batch)
    environment.reset()
    done = [[] for _ in range(3)]
    while min(map(len, done)) < 81:
        step = environment.recv()
        assert len(step.env_id) == batch
        for at, index in enumerate(step.env_id):
            done[index].append([field[at] for field in step[1:]])
        given = [actions[c, min(len(done[c]) - 1, 79)] for c in step.env_id]
        environment.send(np.array(given), step.env_id)
    kinds = []
    for index in range(3):
        expected = play_by_hand(maker(), actions[index] + first, seed=7 + index)
        for (seen, *row), (wanted, *rest) in zip(
            done[index][:81], expected, strict=True
        ):
            np.testing.assert_array_equal(seen, wanted.astype(seen.dtype))
            np.testing.assert_array_equal(row, np.array(rest, np.float32))
        kinds += [(kind, discount) for _, kind, _, discount in expected]
    # Games that were over and games that were cut short.
    assert {(LAST, 0.0), (LAST, 1.0), (FIRST, 1.0)} <= set(kinds)


def test_what_is_no_byte_is_float32(as_task):
    assert spec(as_task(Walk), "impala") == (3, (2,), np.float32, 1, 1)
    custom.read_spaces.cache_clear()
    environment = make(as_task(Pixels))
    assert environment.spec == (3, (1, 9, 2), np.uint8, 1, 1)
    environment.reset()
    assert environment.recv().observation.dtype == np.uint8


def test_environments_differ_by_their_seed_alone(as_task):
    def starts(seed):
        environment = make(as_task(Walk), num_envs=8, batch=8, seed=seed)
        environment.reset()
        return environment.recv().observation[:, 0]

    assert (starts(5)[1:] == starts(6)[:-1]).all()
    assert len(set(starts(5))) > 1


def test_every_environment_is_closed(as_task):
    environment = make(as_task(Walk))
    Walk.closed = 0
    environment.close()
    assert Walk.closed == 3


def test_pictures_are_the_environments_own_or_none(as_task):
    class Painter(Walk):
        def __init__(self, render_mode=None):
            self._mode = render_mode

        def render(self):
            return np.zeros((4, 5, 3)) if self._mode == "rgb_array" else None

    assert make(as_task(Walk), pictures=True).pictures() is None
    assert make(as_task(Painter), pictures=True).pictures().shape == (
        3,
        4,
        5,
        3,
    )
    assert make(as_task(Painter)).pictures() is None


class ManyActions(Walk):
    action_space = gymnasium.spaces.MultiBinary(3)


class Continuous(Walk):
    action_space = gymnasium.spaces.Box(0, 1)


class Number(Walk):
    observation_space = gymnasium.spaces.Discrete(4)


class Growing(Walk):
    def step(self, action):
        observation, *others = super().step(action)
        return np.append(observation, 0), *others


class OldGym(Walk):
    def step(self, action):
        observation, reward, over, _, info = super().step(action)
        return observation, reward, over, info


class Broken(Walk):
    def reset(self, *, seed=None):
        raise OSError("no simulator\nhere")


@pytest.mark.parametrize(
    ("maker", "message"),
    [
        (Continuous, r"actions Box\(.*only discrete"),
        (ManyActions, r"actions MultiBinary\(3\): only discrete"),
        (Number, r"observations Discrete\(4\): only arrays"),
        (Growing, r"the shape \(3,\); its space says \(2,\)"),
        (OldGym, r"cannot be played \(ValueError: not enough values"),
        (Broken, r"cannot be played \(OSError: no simulator\):"),
        (object, r"cannot be played \(AttributeError: .*action_space"),
        (lambda size: Walk(), r"cannot be played \(TypeError: .*'size'"),
    ],
)
def test_what_cannot_be_played_is_refused_before_the_run(
    as_task, maker, message
):
    with pytest.raises(ValueError, match=rf"'own:make'.*{message}") as refused:
        spec(as_task(maker), "impala")
    assert "\n" not in str(refused.value)
