"""One program of many runs: those of one structure are its lanes."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from experiments.study import sharding

PyTree = Any
_CALLS = 100  # at most, of the program, so that progress moves


class Lane(Protocol):
    """Pure functions of one run."""

    @property
    def init(self) -> Callable[[jax.Array], PyTree]:
        """`key -> state`."""

    @property
    def step(self) -> Callable[[PyTree], tuple[PyTree, PyTree]]:
        """`state -> (state, record)`, one meta-step; a record's leaves `[]`."""


class Plan(NamedTuple):
    """How a run is cut: rows of curves, calls of the program.

    The last call may make more rows than the curve has.
    """

    rows: int
    per_row: int  # meta-steps
    per_call: int  # rows
    row_steps: int  # environment steps

    @property
    def calls(self) -> int:
        """Of the program, in a whole run."""
        return math.ceil(self.rows / self.per_call)

    @property
    def call_steps(self) -> int:
        """Environment steps of a call, in each lane."""
        return self.per_call * self.row_steps

    @property
    def steps(self) -> int:
        """Environment steps of all calls, in each lane."""
        return self.calls * self.call_steps


def make_plan(meta_step: int, *, steps: int, resolution: int) -> Plan:
    """Rows of as many meta-steps as come nearest to what is asked for.

    Args:
      meta_step: environment steps of a meta-step.
      steps: environment steps of a run.
      resolution: environment steps of a row.
    """
    per_row = max(round(resolution / meta_step), 1)
    rows = max(round(steps / (per_row * meta_step)), 1)
    return Plan(rows, per_row, math.ceil(rows / _CALLS), per_row * meta_step)


class Program(NamedTuple):
    """Compiled runs of lanes that differ in their settings alone.

    init: `(keys [lanes], setting) -> state`.
    advance: `(state, setting) -> (state, record)`, a call; each leaf of the
      record is `[lanes, plan.per_call]`.
    """

    init: Callable[[jax.Array, PyTree], PyTree]
    advance: Callable[[PyTree, PyTree], tuple[PyTree, PyTree]]
    plan: Plan


def compile_lanes(
    build: Callable[[PyTree], Lane], plan: Plan, devices: Sequence[jax.Device]
) -> Program:
    """The program of all lanes that share a structure, over these devices.

    Args:
      build: makes one lane of its setting, whose leaves are `[]`.
      plan: how a run is cut.
      devices: that share the lanes, as many each.
    """
    shared = sharding.split(devices)

    def init(key: jax.Array, setting: PyTree) -> PyTree:
        return build(setting).init(key)

    def advance(state: PyTree, setting: PyTree) -> tuple[PyTree, PyTree]:
        lane = build(setting)

        def row(state: PyTree, _) -> tuple[PyTree, PyTree]:
            state, records = jax.lax.scan(
                lambda state, _: lane.step(state), state, length=plan.per_row
            )
            return state, jax.tree.map(jnp.mean, records)

        return jax.lax.scan(row, state, length=plan.per_call)

    jit = functools.partial(jax.jit, in_shardings=shared, out_shardings=shared)
    return Program(
        jit(jax.vmap(init)), jit(jax.vmap(advance), donate_argnums=0), plan
    )
