"""Unrolls of experience from asynchronous environments."""

from typing import Any, NamedTuple

import jax
import numpy as np

from actors.agent import Agent
from actors.environment import FIRST, LAST, Environment, Step
from actors.transition import (
    Transition,
    Unroll,
    newest_frame,
    older_frames,
)

PyTree = Any


class Episode(NamedTuple):
    """A whole game, as its score counts: unclipped and over all lives."""

    episode_return: float
    frames: int  # environment frames


class Unroller:
    """Plays with given parameters and cuts the games into unrolls.

    Copies that are done first are stepped first, so that none waits for the
    slowest; every copy fills a column of its own, in its own order. A column
    may begin under one version of the parameters and end under the next: the
    behaviour logits travel with each step and correct for it.

    Args:
      environment: where to act.
      agent: how to act.
      unroll_length: T.
      columns: B, columns per unroll.
      seed: of the actions.
      tape: remember all actions, so that `snapshot` can tell a new process how
        to bring its emulators to the same state (EnvPool cannot save them).
        Only for lock-step environments.
    """

    def __init__(
        self,
        environment: Environment,
        agent: Agent,
        *,
        unroll_length: int,
        columns: int,
        seed: int,
        tape: bool = False,
    ):
        if tape and environment.batch_size != environment.num_envs:
            raise ValueError("a tape needs batch_size = num_envs")
        self._environment = environment
        self._spec = environment.spec
        self._length = unroll_length
        self._columns = columns
        self._key = jax.random.key(seed)
        self._policy = jax.jit(_act(agent))
        self._tape: list[np.ndarray] | None = [] if tape else None

        count = environment.num_envs
        shape = self._spec.observation_shape
        frame = (shape[0] // self._spec.stack, *shape[1:])
        rows = (count, unroll_length + 1)
        self._rows = Transition(
            observation=np.zeros(
                rows + frame, self._spec.observation_dtype
            ),
            step_type=np.zeros(rows, np.int8),
            reward=np.zeros(rows, np.float32),
            discount=np.zeros(rows, np.float32),
            action=np.zeros(rows, np.int32),
            logits=np.zeros((*rows, self._spec.num_actions), np.float32),
        )
        older = (shape[0] - frame[0], *shape[1:])
        self._stack = np.zeros(
            (count, *older), self._spec.observation_dtype
        )
        # The recurrent state now, and as it was before each column's row 0.
        self._core = jax.tree.map(np.array, agent.initial_state(count))
        self._column_core = jax.tree.map(np.copy, self._core)
        self._version = np.zeros(count, np.int32)
        self._filled = np.zeros(count, np.int64)
        self._returns = np.zeros(count, np.float64)
        self._lengths = np.zeros(count, np.int64)
        self._steps = 0
        environment.reset()

    def unroll(
        self, params: PyTree, version: int
    ) -> tuple[Unroll, list[Episode]]:
        """Acts until at least B columns are full; also returns the games that ended."""
        params = jax.device_put(params)
        done: list[Unroll] = []
        episodes: list[Episode] = []
        while len(done) < self._columns:
            step = self._environment.recv()
            action, logits, core_before = self._act(params, step)
            self._environment.send(action, step.env_id)
            episodes += self._count(step)
            done += self._record(step, action, logits, core_before, version)
        return _stack_columns(done), episodes

    def snapshot(self) -> dict[str, Any]:
        """Everything that a new process needs to go on bit for bit."""
        if self._tape is None:
            raise ValueError("only an Unroller with a tape has snapshots")
        return {
            "tape": np.array(self._tape, np.int32),
            "state": [np.copy(x) for x in jax.tree.leaves(self._state())],
        }

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Plays the tape to bring fresh emulators where they were."""
        for action in snapshot["tape"]:
            step = self._environment.recv()
            self._environment.send(action[step.env_id], step.env_id)
        self._tape = list(snapshot["tape"])
        self._steps = len(self._tape)
        for ours, saved in zip(
            jax.tree.leaves(self._state()), snapshot["state"], strict=True
        ):
            ours[...] = saved

    def close(self) -> None:
        """Ends the environments."""
        self._environment.close()

    def _state(self) -> PyTree:
        return (
            self._rows,
            self._stack,
            self._core,
            self._column_core,
            self._version,
            self._filled,
            self._returns,
            self._lengths,
            self._environment.lives,
        )

    def _act(self, params: PyTree, step: Step):
        before = jax.tree.map(lambda x: x[step.env_id], self._core)
        output, after = self._policy(
            params,
            self._key,
            self._steps,
            step.observation,
            step.step_type == FIRST,
            before,
        )
        self._steps += 1
        action = np.asarray(output.action)
        jax.tree.map(
            lambda core, x: core.__setitem__(step.env_id, np.asarray(x)),
            self._core,
            after,
        )
        if self._tape is not None:
            row = np.zeros(self._environment.num_envs, np.int32)
            row[step.env_id] = action
            self._tape.append(row)
        return action, np.asarray(output.logits), before

    def _record(
        self, step: Step, action, logits, core_before, version: int
    ) -> list[Unroll]:
        """Writes a step into its columns; returns the columns it filled."""
        ids, at = step.env_id, self._filled[step.env_id]
        row = Transition(
            newest_frame(step.observation, self._spec.stack),
            step.step_type,
            step.reward,
            step.discount,
            action,
            logits,
        )
        for rows, values in zip(self._rows, row, strict=True):
            rows[ids, at] = values
        self._filled[ids] += 1
        full = self._filled[ids] == self._length + 1
        columns = [self._column(env) for env in ids[full]]
        # The last step of a full column is the first of the next one.
        for rows in self._rows:
            rows[ids[full], 0] = rows[ids[full], self._length]
        self._filled[ids[full]] = 1
        begins = full | (at == 0)
        older = older_frames(step.observation, self._spec.stack)
        self._stack[ids[begins]] = older[begins]
        self._version[ids[begins]] = version
        jax.tree.map(
            lambda core, x: core.__setitem__(ids[begins], x[begins]),
            self._column_core,
            core_before,
        )
        return columns

    def _column(self, env: int) -> Unroll:
        return Unroll(
            Transition(*(rows[env].copy() for rows in self._rows)),
            self._stack[env].copy(),
            jax.tree.map(lambda x: x[env].copy(), self._column_core),
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


def _stack_columns(done: list[Unroll]) -> Unroll:
    """B columns `[T+1, …]` to one unroll `[T+1, B, …]`."""
    transitions = jax.tree.map(
        lambda *xs: np.stack(xs, axis=1), *[c.transitions for c in done]
    )
    others = jax.tree.map(lambda *xs: np.stack(xs), *[c[1:] for c in done])
    return Unroll(transitions, *others)
