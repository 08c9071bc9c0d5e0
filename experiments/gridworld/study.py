"""Many lifetimes at once: swept settings and seeds are lanes of one program."""

import dataclasses
import functools
import math
import pathlib
import shutil
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from experiments.gridworld import curves
from experiments.gridworld.build import Setting, build_lifetime
from experiments.gridworld.config import GridworldConfig
from experiments.gridworld.lifetime import LifetimeState, Record
from experiments.gridworld.variants import Variant, expand
from learner.record.checkpoint import Checkpoints

PyTree = Any
_UNFINISHED = "unfinished"
_SAVE_SECONDS = 60.0
_CALLS = 100  # at most, of the program, so that progress moves

# (steps done since the last call, what is running)
Tell = Callable[[int, str], None]


class Lane(NamedTuple):
    """One seed of one variant."""

    variant: Variant
    seed: int


class Plan(NamedTuple):
    """How a lifetime is cut: rows of curves, calls of the program.

    The last call may make more rows than the curve keeps.
    """

    rows: int
    per_row: int  # meta-steps
    per_call: int  # rows
    row_steps: int  # environment steps

    @property
    def calls(self) -> int:
        return math.ceil(self.rows / self.per_call)

    @property
    def call_steps(self) -> int:
        return self.per_call * self.row_steps


class Program(NamedTuple):
    """Compiled lifetimes of lanes that differ in their settings alone."""

    init: Callable[[jax.Array, Setting], LifetimeState]
    advance: Callable[[LifetimeState, Setting], tuple[LifetimeState, Record]]
    plan: Plan


def run(config: GridworldConfig, tell: Tell) -> None:
    """Runs every lane that has no curve yet.

    Args:
      config: the study.
      tell: takes progress.
    """
    folder = pathlib.Path(config.folder)
    devices = jax.devices()
    for structure, lanes in _groups(config).items():
        todo = [lane for lane in lanes if not _done(folder, lane)]
        if todo:
            program = compile_lanes(config, structure, devices)
        size = _chunk_size(len(lanes), config.lanes, len(devices))
        for chunk in _chunks(todo, size):
            _run_chunk(folder, program, chunk, tell)
    shutil.rmtree(folder / _UNFINISHED, ignore_errors=True)


def planned_steps(config: GridworldConfig) -> tuple[int, int]:
    """Environment steps of the whole study, and those that are done."""
    folder = pathlib.Path(config.folder)
    todo = done = 0
    for variant in expand(config):
        plan = _plan(config, variant)
        steps = plan.calls * plan.call_steps
        for seed in _seeds(config):
            todo += steps
            done += steps * curves.path(folder, variant.name, seed).exists()
    return todo, done


def _seeds(config: GridworldConfig) -> range:
    return range(1, config.seeds + 1)


def _groups(config: GridworldConfig) -> dict[Variant, list[Lane]]:
    """The lanes that can share a program, by what they share."""
    groups: dict[Variant, list[Lane]] = {}
    for variant in expand(config):
        structure = dataclasses.replace(variant, weight=0.0, meta_rate=0.0)
        lanes = groups.setdefault(structure, [])
        lanes += [Lane(variant, seed) for seed in _seeds(config)]
    return groups


def _chunk_size(lanes: int, per_device: int, devices: int) -> int:
    """Divisible by the devices; the same however much of a study is done, so
    that one which goes on cuts the same chunks and finds their checkpoints."""
    return devices * min(per_device, math.ceil(lanes / devices))


def _chunks(lanes: Sequence[Lane], size: int) -> Iterator[list[Lane]]:
    """Chunks of one size; repeats fill the last."""
    for start in range(0, len(lanes), size):
        chunk = list(lanes[start : start + size])
        yield chunk + [chunk[-1]] * (size - len(chunk))


def _done(folder: pathlib.Path, lane: Lane) -> bool:
    return curves.path(folder, lane.variant.name, lane.seed).exists()


def _plan(config: GridworldConfig, variant: Variant) -> Plan:
    nothing = Setting(jnp.zeros(()), jnp.zeros(()))
    steps = build_lifetime(config, variant, nothing).steps
    per_row = max(round(config.resolution / steps), 1)
    rows = max(round(config.steps / (per_row * steps)), 1)
    per_call = math.ceil(rows / _CALLS)
    return Plan(rows, per_row, per_call, per_row * steps)


def lane_sharding(devices: Sequence[jax.Device]) -> NamedSharding:
    """Shares the first axis of arrays out among these devices."""
    mesh = Mesh(np.array(devices), ("lanes",))
    return NamedSharding(mesh, PartitionSpec("lanes"))


def compile_lanes(
    config: GridworldConfig, structure: Variant, devices: Sequence[jax.Device]
) -> Program:
    """The program of all lanes that share a structure, over these devices."""
    plan = _plan(config, structure)
    lanes = lane_sharding(devices)

    def init(key: jax.Array, setting: Setting) -> LifetimeState:
        return build_lifetime(config, structure, setting).init(key)

    def advance(
        state: LifetimeState, setting: Setting
    ) -> tuple[LifetimeState, Record]:
        lifetime = build_lifetime(config, structure, setting)

        def row(state: LifetimeState, _) -> tuple[LifetimeState, Record]:
            state, records = jax.lax.scan(
                lambda state, _: lifetime.step(state),
                state,
                length=plan.per_row,
            )
            return state, jax.tree.map(jnp.mean, records)

        return jax.lax.scan(row, state, length=plan.per_call)

    jit = functools.partial(jax.jit, in_shardings=lanes, out_shardings=lanes)
    return Program(
        jit(jax.vmap(init)), jit(jax.vmap(advance), donate_argnums=0), plan
    )


def _run_chunk(
    folder: pathlib.Path, program: Program, chunk: list[Lane], tell: Tell
) -> None:
    """Some lanes from their first step or last checkpoint to the end."""
    plan = program.plan
    unfinished = folder / _UNFINISHED / _name(chunk)
    checkpoints = Checkpoints(unfinished, keep=1, report=print)

    def told(calls: int) -> None:
        tell(calls * plan.call_steps * len(set(chunk)), chunk[0].variant.name)

    try:
        start, state, records = _restored(checkpoints, program, chunk)
        told(start)
        saved = time.monotonic()
        for call in range(start, plan.calls):
            state, record = program.advance(state, _settings(chunk))
            rows = slice(call * plan.per_call, (call + 1) * plan.per_call)
            for ours, new in zip(records, record, strict=True):
                ours[:, rows] = new
            told(1)
            if time.monotonic() - saved >= _SAVE_SECONDS:
                facts = {"call": call + 1}
                checkpoints.save(call + 1, (state, records), facts, {})
                saved = time.monotonic()
    finally:
        checkpoints.close()
    _write_curves(folder, plan, chunk, records)
    shutil.rmtree(unfinished)


def _settings(chunk: list[Lane]) -> Setting:
    weights = [lane.variant.weight for lane in chunk]
    rates = [lane.variant.meta_rate for lane in chunk]
    return Setting(
        jnp.array(weights, jnp.float32), jnp.array(rates, jnp.float32)
    )


def _restored(
    checkpoints: Checkpoints, program: Program, chunk: list[Lane]
) -> tuple[int, LifetimeState, Record]:
    """Calls that are done, where the lanes are, and their curves so far."""
    seeds = jnp.array([lane.seed for lane in chunk], jnp.uint32)
    state = program.init(jax.vmap(jax.random.key)(seeds), _settings(chunk))
    shape = len(chunk), program.plan.calls * program.plan.per_call
    records = Record(np.zeros(shape, np.float32), np.zeros(shape, np.float32))
    found = checkpoints.restore((state, records))
    if found is None:
        return 0, state, records
    state, records = found.state
    # Copies: what comes from a checkpoint cannot be written.
    return found.facts["call"], state, jax.tree.map(np.array, records)


def _write_curves(
    folder: pathlib.Path, plan: Plan, chunk: list[Lane], records: Record
) -> None:
    step = plan.row_steps * np.arange(1, plan.rows + 1)
    for lane, reward, hyperparam in zip(chunk, *records, strict=True):
        curve = curves.Curve(step, reward[: plan.rows], hyperparam[: plan.rows])
        curves.write(curves.path(folder, lane.variant.name, lane.seed), curve)


def _name(chunk: list[Lane]) -> str:
    """Of its checkpoints: no other chunk has it, however a study grows."""
    lanes = ",".join(f"{lane.variant.name}-{lane.seed}" for lane in chunk)
    return f"{chunk[0].variant.name}-{zlib.crc32(lanes.encode()):08x}"
