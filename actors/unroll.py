"""Unrolls of experience from asynchronous environments."""

import collections
from typing import Any, NamedTuple

import jax
import numpy as np

from actors.agent import Agent
from actors.environment import Environment
from actors.episode import Episode
from actors.transition import (
    FIRST,
    LAST,
    Step,
    Transition,
    Unroll,
    newest_frame,
    older_frames,
)

PyTree = Any


class _Act(NamedTuple):
    """What the agent did at one step of `M` environments."""

    action: Any  # [M] int32
    logits: Any  # [M, A]
    core_state: PyTree  # [M, …] after the step
    version: Any  # [] int32


class Unroller:
    """Plays with given parameters and cuts the games into unrolls.

    Environments that are done first are stepped first, so that none waits for
    the slowest; each fills a trajectory of its own, in its own order. A
    trajectory may begin under one version of the parameters and end under the
    next: the behaviour logits travel with each step and correct for it.

    Args:
      environment: where to act.
      agent: how to act.
      unroll_length: T.
      trajectories: B, trajectories per unroll.
      seed: of the actions.
      tape: remember all that was done, so that a new process can play it
        again: EnvPool cannot save its emulators. Only for lock-step
        environments.
    """

    def __init__(
        self,
        environment: Environment,
        agent: Agent,
        *,
        unroll_length: int,
        trajectories: int,
        seed: int,
        tape: bool = False,
    ):
        if tape and environment.batch_size != environment.num_envs:
            raise ValueError("a tape needs batch_size = num_envs")
        self._environment = environment
        self._spec = environment.spec
        self._length = unroll_length
        self._trajectories = trajectories
        self._key = jax.random.key(seed)
        self._policy = jax.jit(_act(agent))
        self._tape: list[_Act] | None = [] if tape else None
        self._replayed: collections.deque[_Act] = collections.deque()

        count = environment.num_envs
        shape = self._spec.observation_shape
        frame = (shape[0] // self._spec.stack, *shape[1:])
        rows = (count, unroll_length + 1)
        self._rows = Transition(
            observation=np.zeros(rows + frame, self._spec.observation_dtype),
            step_type=np.zeros(rows, np.int8),
            reward=np.zeros(rows, np.float32),
            discount=np.zeros(rows, np.float32),
            action=np.zeros(rows, np.int32),
            logits=np.zeros((*rows, self._spec.num_actions), np.float32),
        )
        older = (shape[0] - frame[0], *shape[1:])
        self._stack = np.zeros((count, *older), self._spec.observation_dtype)
        # The recurrent state now, and as it was before each trajectory's row 0.
        self._core = jax.tree.map(np.array, agent.initial_state(count))
        self._trajectory_core = jax.tree.map(np.copy, self._core)
        self._version = np.zeros(count, np.int32)
        self._filled = np.zeros(count, np.int64)
        self._returns = np.zeros(count, np.float64)
        self._lengths = np.zeros(count, np.int64)
        self._steps = 0
        environment.reset()

    def unroll(
        self, params: PyTree, version: int
    ) -> tuple[Unroll, list[Episode]]:
        """Acts until B trajectories are full, or more that fill at once.

        Returns:
          The unroll, and the games that ended meanwhile.
        """
        params = jax.device_put(params)
        done: list[Unroll] = []
        episodes: list[Episode] = []
        while len(done) < self._trajectories:
            step = self._environment.recv()
            act = self._act(params, version, step)
            self._environment.send(act.action, step.env_id)
            episodes += self._count(step)
            done += self._record(step, act)
        return _stack_trajectories(done), episodes

    def tape(self) -> dict[str, np.ndarray]:
        """All that was done so far, by name, one row per step."""
        if self._tape is None:
            raise ValueError("this Unroller keeps no tape")
        leaves = jax.tree.leaves(_stack(self._tape)) if self._tape else []
        return {f"{index:03d}": leaf for index, leaf in enumerate(leaves)}

    def replay(self, tape: dict[str, np.ndarray]) -> None:
        """Makes a fresh Unroller play a tape first, then go on by itself.

        `unroll` returns what it returned when the tape was made, whatever the
        parameters, until the tape ends.
        """
        structure = jax.tree.structure(_Act(0, 0, self._core, 0))
        leaves = [tape[name] for name in sorted(tape)]
        for row in zip(*leaves, strict=True):
            self._replayed.append(jax.tree.unflatten(structure, row))

    def close(self) -> None:
        """Ends the environments."""
        self._environment.close()

    def _act(self, params: PyTree, version: int, step: Step) -> _Act:
        """Plays the tape to its end, then the policy; remembers either."""
        if self._replayed:
            act = self._replayed.popleft()
        else:
            act = self._live(params, version, step)
        self._steps += 1
        if self._tape is not None:
            self._tape.append(act)
        return act

    def _live(self, params: PyTree, version: int, step: Step) -> _Act:
        output, core_state = self._policy(
            params,
            self._key,
            self._steps,
            step.observation,
            step.step_type == FIRST,
            _pick(self._core, step.env_id),
        )
        act = _Act(output.action, output.logits, core_state, np.int32(version))
        return jax.tree.map(np.asarray, act)

    def _record(self, step: Step, act: _Act) -> list[Unroll]:
        """Writes a step into its trajectories; returns those that it filled."""
        ids, at = step.env_id, self._filled[step.env_id]
        row = Transition(
            newest_frame(step.observation, self._spec.stack),
            step.step_type,
            step.reward,
            step.discount,
            act.action,
            act.logits,
        )
        for rows, values in zip(self._rows, row, strict=True):
            rows[ids, at] = values
        self._filled[ids] += 1
        full = self._filled[ids] == self._length + 1
        trajectories = [self._trajectory(env) for env in ids[full]]
        # The last step of a full trajectory is the first of the next one.
        for rows in self._rows:
            rows[ids[full], 0] = rows[ids[full], self._length]
        self._filled[ids[full]] = 1
        begins = full | (at == 0)
        older = older_frames(step.observation, self._spec.stack)
        self._stack[ids[begins]] = older[begins]
        self._version[ids[begins]] = act.version
        _put(self._trajectory_core, ids[begins], _pick(self._core, ids[begins]))
        _put(self._core, ids, act.core_state)
        return trajectories

    def _trajectory(self, env: int) -> Unroll:
        return Unroll(
            Transition(*(rows[env].copy() for rows in self._rows)),
            self._stack[env].copy(),
            jax.tree.map(np.copy, _pick(self._trajectory_core, env)),
            self._version[env],
        )

    def _count(self, step: Step) -> list[Episode]:
        """Adds up returns; the reset step has reward 0 and takes no frames."""
        ids = step.env_id
        self._returns[ids] += step.reward
        self._lengths[ids] += step.step_type != FIRST
        ended = ids[step.step_type == LAST]
        episodes = [
            Episode(
                float(self._returns[env]),
                int(self._lengths[env]) * self._spec.frames_per_step,
            )
            for env in ended
        ]
        self._returns[ended] = 0.0
        self._lengths[ended] = 0
        return episodes


def _act(agent: Agent):
    def act(params, key, count, observation, first, core_state):
        key = jax.random.fold_in(key, count)
        return agent.step(params, key, observation, first, core_state)

    return act


def _pick(tree: PyTree, index: Any) -> PyTree:
    return jax.tree.map(lambda x: x[index], tree)


def _put(tree: PyTree, index: Any, values: PyTree) -> None:
    for x, value in zip(
        jax.tree.leaves(tree), jax.tree.leaves(values), strict=True
    ):
        x[index] = value


def _stack(trees: list[Any], axis: int = 0) -> Any:
    return jax.tree.map(lambda *xs: np.stack(xs, axis=axis), *trees)


def _stack_trajectories(done: list[Unroll]) -> Unroll:
    """B trajectories `[T+1, …]` to one unroll `[T+1, B, …]`."""
    transitions = _stack(
        [trajectory.transitions for trajectory in done], axis=1
    )
    return Unroll(transitions, *_stack([trajectory[1:] for trajectory in done]))
