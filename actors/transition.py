"""The record of experience, and how single frames become stacks again.

Shape legend of the whole project: `T` unroll length, `B` batch, `A` actions,
`H` heads (1 + auxiliary), `K` inner updates, `L` bootstrap updates, `D`
devices; here also `S` stacked frames of `C` channels.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

PyTree = Any
FIRST, MID, LAST = 0, 1, 2  # step types, as in dm_env


class Step(NamedTuple):
    """What `M` environments returned, in the order in which they were done."""

    env_id: np.ndarray  # [M]
    observation: np.ndarray  # [M, S * C, H, W]
    step_type: np.ndarray  # [M]
    reward: np.ndarray  # [M] raw
    discount: np.ndarray  # [M] 0 after a game over (or life loss), else 1


class Transition(NamedTuple):
    """One step, an unroll `[T+1, …]` or a batch `[T+1, B, …]`.

    Index t holds what the environment returned on arriving at t (reward and
    discount belong to the action of t - 1) and what the agent did there.
    """

    observation: Any  # [C, H, W] newest frame on the way, [S * C, H, W] stacked
    step_type: Any  # [] int8: FIRST, MID or LAST
    reward: Any  # [] float32, raw
    discount: Any  # [] float32
    action: Any  # [] int32
    logits: Any  # [A] float32 of the behaviour policy


class Unroll(NamedTuple):
    """Trajectories of T + 1 overlapping steps: what crosses the object store.

    The last step of a trajectory is the first of its environment's next one.
    """

    transitions: Transition  # [T+1, B, …], single frames
    stack: Any  # [B, (S-1) * C, H, W] frames before the first step's newest
    core_state: PyTree  # [B, …] recurrent state before the first step
    version: Any  # [B] int32 parameters' version at the first step


def concatenate(unrolls: list[Unroll], xp: Any) -> Unroll:
    """Joins unrolls along B; `xp` is numpy or jax.numpy."""
    first, *rest = unrolls
    if not rest:
        return first
    transitions = jax.tree.map(
        lambda *xs: xp.concatenate(xs, axis=1),
        *[unroll.transitions for unroll in unrolls],
    )
    others = jax.tree.map(
        lambda *xs: xp.concatenate(xs, axis=0),
        *[unroll[1:] for unroll in unrolls],
    )
    return Unroll(transitions, *others)


def take(unroll: Unroll, index: Any) -> Unroll:
    """Picks trajectories by a slice or by indices along B."""
    transitions = jax.tree.map(lambda x: x[:, index], unroll.transitions)
    others = jax.tree.map(lambda x: x[index], unroll[1:])
    return Unroll(transitions, *others)


def newest_frame(observation: Any, stack: int) -> Any:
    """`[M, S * C, …]` to `[M, C, …]`: the frame that a step added."""
    channels = observation.shape[1] // stack
    return observation[:, observation.shape[1] - channels :]


def older_frames(observation: Any, stack: int) -> Any:
    """`[M, S * C, …]` to `[M, (S-1) * C, …]`: what the step before had."""
    channels = observation.shape[1] // stack
    return observation[:, : observation.shape[1] - channels]


def restack(
    frames: jax.Array, older: jax.Array, step_type: jax.Array, stack: int
) -> jax.Array:
    """Rebuilds EnvPool's stacks from single frames, bit for bit.

    Slot s of the stack at t shows frame t - (S - 1 - s), or the first frame of
    the episode if that is younger: EnvPool fills the stack with it on reset.

    Args:
      frames: `[T+1, B, C, …]` newest frames.
      older: `[B, (S-1) * C, …]` the frames before the first.
      step_type: `[T+1, B]`.
      stack: S.

    Returns:
      `[T+1, B, S * C, …]`.
    """
    if stack == 1:
        return frames
    steps, batch, channels, *rest = frames.shape
    before = older.reshape(batch, stack - 1, channels, *rest)
    history = jnp.concatenate([jnp.moveaxis(before, 1, 0), frames])
    time = jnp.arange(steps)[:, None]
    # No reset within reach: every older frame may be used.
    reset = jnp.where(step_type == FIRST, time, -(stack - 1))
    reset = jax.lax.cummax(reset, axis=0)
    slots = [jnp.maximum(time - age, reset) for age in reversed(range(stack))]
    index = jnp.stack(slots, axis=2) + (stack - 1)  # [T+1, B, S]
    trajectory = jnp.arange(batch)[None, :, None]
    stacked = history[index, trajectory]  # [T+1, B, S, C, …]
    return stacked.reshape(steps, batch, stack * channels, *rest)
