"""Runs side by side, a chunk of lanes after another, to rows on disk."""

import functools
import math
import pathlib
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from experiments.study import files, resume
from experiments.study.lanes import Program
from experiments.study.ledger import Ledger, Named, Run
from experiments.study.progress_bar import ReportProgress

PyTree = Any
V = TypeVar("V", bound=Named)


class Runner(NamedTuple, Generic[V]):
    """What is a study's own.

    compile: `(structure, devices) -> program`.
    settings: `runs -> setting`, leaves `[lanes]`.
    write: takes a run, the steps at the end of each row, `[rows]`, and its
      record, leaves `[rows]`.
    """

    compile: Callable[[V, Sequence[jax.Device]], Program]
    settings: Callable[[Sequence[Run[V]]], PyTree]
    write: Callable[[Run[V], np.ndarray, PyTree], None]


def run_lanes(
    runner: Runner[V],
    ledger: Ledger,
    groups: Mapping[V, Sequence[Run[V]]],
    *,
    per_device: int,
    report: ReportProgress,
) -> None:
    """Runs every lane that is not done, on all devices.

    Args:
      runner: how.
      ledger: what is done.
      groups: runs that share a program, by what they share.
      per_device: lanes that a device carries at a time.
      report: takes progress in environment steps.
    """
    devices = jax.devices()
    for structure, runs in groups.items():
        todo = ledger.todo(runs)
        if not todo:
            continue
        program = runner.compile(structure, devices)
        size = _chunk_size(len(runs), per_device, len(devices))
        for chunk in _chunks(todo, size):
            _run_chunk(runner, program, ledger.folder, chunk, report)
    files.remove_unfinished(ledger.folder)


def _chunk_size(lanes: int, per_device: int, devices: int) -> int:
    """Divisible by the devices; the same however much of a study is done, so
    that one which goes on cuts the same chunks and finds their checkpoints."""
    return devices * min(per_device, math.ceil(lanes / devices))


def _chunks(runs: Sequence[Run[V]], size: int) -> Iterator[list[Run[V]]]:
    """Chunks of one size; repeats fill the last."""
    for start in range(0, len(runs), size):
        chunk = list(runs[start : start + size])
        yield chunk + [chunk[-1]] * (size - len(chunk))


def chunk_name(chunk: Sequence[Run[V]]) -> str:
    """Of its checkpoints: no other chunk has it, however a study grows."""
    lanes = ",".join(f"{run.variant.name}-{run.seed}" for run in chunk)
    return f"{chunk[0].variant.name}-{zlib.crc32(lanes.encode()):08x}"


def _run_chunk(
    runner: Runner[V],
    program: Program,
    folder: pathlib.Path,
    chunk: Sequence[Run[V]],
    report: ReportProgress,
) -> None:
    """Some lanes from their first step or last checkpoint to the end."""
    plan, setting = program.plan, runner.settings(chunk)
    unfinished = files.unfinished(folder, chunk_name(chunk))
    call_steps = plan.call_steps * len(set(chunk))
    _, records = resume.advance(
        unfinished,
        functools.partial(_begin, program, chunk, setting),
        functools.partial(_call, program, setting),
        plan.calls,
        lambda calls: report(calls * call_steps, chunk[0].variant.name),
    )
    step = plan.row_steps * np.arange(1, plan.rows + 1)
    for lane, run in enumerate(chunk):
        rows = jax.tree.map(lambda x, i=lane: x[i, : plan.rows], records)
        runner.write(run, step, rows)
    shutil.rmtree(unfinished)


def _begin(
    program: Program, chunk: Sequence[Run[V]], setting: PyTree
) -> tuple[PyTree, PyTree]:
    """Where the lanes begin, and their records, `[lanes, rows]`, all 0."""
    seeds = jnp.array([run.seed for run in chunk], jnp.uint32)
    state = program.init(jax.vmap(jax.random.key)(seeds), setting)
    _, record = jax.eval_shape(program.advance, state, setting)
    rows = program.plan.calls * program.plan.per_call
    return state, jax.tree.map(
        lambda x: np.zeros((len(chunk), rows), x.dtype), record
    )


def _call(
    program: Program, setting: PyTree, carry: tuple[PyTree, PyTree], call: int
) -> tuple[PyTree, PyTree]:
    state, records = carry
    state, record = program.advance(state, setting)
    first = call * program.plan.per_call

    def fill(rows: np.ndarray, new: jax.Array) -> None:
        rows[:, first : first + program.plan.per_call] = new

    jax.tree.map(fill, records, record)
    return state, records
