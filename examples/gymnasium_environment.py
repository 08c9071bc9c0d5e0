"""An environment of one's own: a mouse that looks for cheese in a maze.

bmg train --preset catch --task examples.gymnasium_environment:Maze
bmg play runs/RUN --random --task examples.gymnasium_environment:Maze

A game ends with the cheese, or is cut short after 40 steps.
"""

import gymnasium
import numpy as np

MAZE = """
.....
.###.
...#.
.#.#.
.#...
"""
STEPS = ((-1, 0), (0, 1), (1, 0), (0, -1))  # up, right, down, left
COLOURS = np.array([[70, 70, 80], [90, 160, 250], [250, 200, 60]])
LIMIT = 40


class Maze(gymnasium.Env):
    """Observations are walls, mouse and cheese, a layer each, as bytes."""

    def __init__(self, render_mode=None):
        self.render_mode = render_mode
        self._walls = np.array(
            [[c == "#" for c in row] for row in MAZE.split()]
        )
        shape = (3, *self._walls.shape)
        self.observation_space = gymnasium.spaces.Box(0, 255, shape, np.uint8)
        self.action_space = gymnasium.spaces.Discrete(len(STEPS))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        free = np.argwhere(~self._walls)
        self._mouse, self._cheese = self.np_random.choice(
            free, 2, replace=False
        )
        self._time = 0
        return self._layers(), {}

    def step(self, action):
        target = self._mouse + STEPS[action]
        inside = (target >= 0).all() and (target < self._walls.shape).all()
        if inside and not self._walls[tuple(target)]:
            self._mouse = target
        self._time += 1
        found = bool((self._mouse == self._cheese).all())
        return self._layers(), float(found), found, self._time >= LIMIT, {}

    def render(self):
        """A picture for `bmg play`: 40 pixels for every square."""
        small = np.tensordot(self._layers() // 255, COLOURS, axes=(0, 0))
        return small.astype(np.uint8).repeat(40, axis=0).repeat(40, axis=1)

    def _layers(self):
        layers = np.zeros(self.observation_space.shape, np.uint8)
        layers[0] = self._walls
        layers[1][tuple(self._mouse)] = 1
        layers[2][tuple(self._cheese)] = 1
        return 255 * layers
