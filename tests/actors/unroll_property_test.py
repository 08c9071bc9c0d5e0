"""Unrolls of any script: every order of environments, any length and resets."""

import collections
from typing import NamedTuple

import jax
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.episode import Episode
from actors.transition import FIRST, LAST, MID, Step
from actors.unroll import Unroller
from tests.actors.scripted_environment import Scripted


class EnvStep(NamedTuple):
    """One step of one environment, as it was returned."""

    frame: int
    older: int
    step_type: int
    reward: float
    discount: float
    version: int


class RandomScript:
    """Environments that return in a random order; games end at random.

    Every frame and every reward has a number of its own.
    """

    spec = Scripted.spec

    def __init__(self, num_envs, script):
        self.num_envs, self.batch_size = num_envs, len(script[0])
        self._script = iter(script)
        self.steps = collections.defaultdict(list)
        self.version = 0
        self._count = 0

    def reset(self):
        pass

    def recv(self):
        line = next(self._script)
        steps = [self._step(env, ends, lost) for env, ends, lost in line]
        return Step(
            np.array([env for env, _, _ in line], np.int32),
            np.array([[[s.older], [s.frame]] for s in steps], np.int32),
            np.array([s.step_type for s in steps], np.int8),
            np.array([s.reward for s in steps], np.float32),
            np.array([s.discount for s in steps], np.float32),
        )

    def send(self, action, env_id):
        for env in env_id:
            assert len(self.steps[env]) > 0

    def _step(self, env, ends, lost):
        before = self.steps[env]
        first = not before or before[-1].step_type == LAST
        self._count += 1
        step = EnvStep(
            frame=self._count,
            older=self._count if first else before[-1].frame,
            step_type=FIRST if first else LAST if ends else MID,
            reward=0.0 if first else float(self._count),
            discount=0.0 if lost else 1.0,
            version=self.version,
        )
        before.append(step)
        return step


@st.composite
def scripts(draw):
    """`(num_envs, lines)`; a line is one batch, its environments in order."""
    num_envs = draw(st.integers(1, 4))
    batch = draw(st.integers(1, num_envs))
    line = st.permutations(range(num_envs)).map(lambda order: order[:batch])
    orders = draw(st.lists(line, min_size=1, max_size=30))
    flags = st.tuples(st.booleans(), st.booleans())
    return num_envs, [
        [(env, *draw(flags)) for env in order] for order in orders
    ]


# The fixture gives a function without state.
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(scripts(), st.integers(1, 5), st.integers(1, 3))
def test_trajectories_are_what_was_returned(
    counting_agent, script, length, trajectories
):
    num_envs, lines = script
    environment = RandomScript(num_envs, lines)
    with jax.disable_jit():
        unrolls, episodes = play(
            environment, counting_agent, length, trajectories
        )
    seen = collections.Counter()
    for unroll in unrolls:
        assert unroll.version.shape[0] >= trajectories
        for b in range(unroll.version.shape[0]):
            env = int(unroll.transitions.logits[0, b, 0])
            begin = length * seen[env]
            trajectory = environment.steps[env][begin : begin + length + 1]
            assert_trajectory(unroll, b, trajectory, begin)
            seen[env] += 1
    assert episodes == games(environment.steps)[: len(episodes)]


def play(environment, counting_agent, length, trajectories):
    """Unrolls until the script is over, each with a version of its own."""
    unroller = Unroller(
        environment,
        counting_agent(environment.spec),
        unroll_length=length,
        trajectories=trajectories,
        seed=0,
    )
    unrolls, episodes = [], []
    while True:
        environment.version = len(unrolls)
        try:
            unroll, ended = unroller.unroll((), environment.version)
        except StopIteration:
            return unrolls, episodes
        unrolls.append(unroll)
        episodes += ended


def assert_trajectory(unroll, b, trajectory, begin):
    steps = unroll.transitions
    assert steps.observation[:, b, 0, 0].tolist() == [
        s.frame for s in trajectory
    ]
    assert steps.step_type[:, b].tolist() == [s.step_type for s in trajectory]
    assert steps.reward[:, b].tolist() == [s.reward for s in trajectory]
    assert steps.discount[:, b].tolist() == [s.discount for s in trajectory]
    times = list(range(begin, begin + len(trajectory)))
    assert steps.logits[:, b, 1].tolist() == times
    assert unroll.stack[b, 0, 0] == trajectory[0].older
    assert unroll.core_state["time"][b] == begin
    assert unroll.version[b] == trajectory[0].version


def games(steps_by_env):
    """Whole games in the order of their ends, from the steps of each."""
    ended = []
    for steps in steps_by_env.values():
        total, frames = 0.0, 0
        for step in steps:
            total, frames = total + step.reward, frames + 4
            if step.step_type == FIRST:
                total, frames = 0.0, 0
            if step.step_type == LAST:
                ended.append((step.frame, Episode(total, frames)))
    return [episode for _, episode in sorted(ended)]
