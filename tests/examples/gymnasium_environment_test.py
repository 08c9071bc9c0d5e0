"""The example of the how-to is a Gymnasium environment that can be won."""

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from examples.gymnasium_environment import LIMIT, MAZE, STEPS, Maze


@pytest.mark.filterwarnings("ignore:.*render")  # no mode is asked for
def test_it_keeps_gymnasiums_rules():
    check_env(Maze(), skip_render_check=True)


def squares(observation):
    """Where mouse and cheese are."""
    return [tuple(np.argwhere(layer)[0]) for layer in observation[1:]]


def distances(cheese):
    """Steps to the cheese from every square that leads to it."""
    rows = MAZE.split()
    found, edge = {cheese: 0}, [cheese]
    while edge:
        y, x = edge.pop(0)
        for dy, dx in STEPS:
            near = y + dy, x + dx
            if min(near) < 0 or max(near) > 4 or near in found:
                continue
            if rows[near[0]][near[1]] == ".":
                found[near] = found[y, x] + 1
                edge.append(near)
    return found


def test_the_shortest_way_finds_the_cheese():
    maze = Maze()
    for seed in range(20):
        observation, _ = maze.reset(seed=seed)
        mouse, cheese = squares(observation)
        far = distances(cheese)
        rewards = []
        while not sum(rewards):
            mouse, _ = squares(observation)
            ways = [far.get((mouse[0] + y, mouse[1] + x), 99) for y, x in STEPS]
            observation, reward, over, cut, _ = maze.step(np.argmin(ways))
            rewards.append(reward)
            assert over == (reward == 1.0)
            assert not cut
        assert len(rewards) == far[tuple(squares(maze.reset(seed=seed)[0])[0])]


def test_walls_hold():
    maze, rng = Maze(), np.random.default_rng(0)
    for seed in range(5):
        observation, _ = maze.reset(seed=seed)
        for action in rng.integers(4, size=LIMIT):
            mouse, _ = squares(observation)
            assert MAZE.split()[mouse[0]][mouse[1]] == "."
            observation, *_ = maze.step(action)


def test_time_runs_out():
    maze = Maze()
    mouse, cheese = squares(maze.reset(seed=1)[0])
    assert mouse[1] != cheese[1]  # going up does not find it
    ended = [maze.step(0)[2:4] for _ in range(LIMIT)]
    assert ended == [(False, False)] * (LIMIT - 1) + [(False, True)]
