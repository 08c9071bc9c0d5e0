"""One seed of one variant, from a compiled program to curve and test."""

import functools
import math
import shutil
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.few_shot import curves
from experiments.few_shot.build import (
    Splits,
    build_learner,
    build_problem,
    build_test,
    over_devices,
)
from experiments.few_shot.config import FewShotConfig
from experiments.few_shot.curves import Curve
from experiments.few_shot.episode import Tasks
from experiments.few_shot.variants import Variant
from experiments.study import files, resume, sharding
from experiments.study.ledger import Run
from experiments.study.progress_bar import ReportProgress
from meta.bootstrap import MetaState

PyTree = Any
# Tasks that all variants and seeds are validated and tested on.
_VALIDATION_SEED, _TEST_SEED = 1_000_001, 1_000_002


class State(NamedTuple):
    """All that a run reads and writes, and a checkpoint holds."""

    meta: MetaState
    key: jax.Array  # its data
    curve: Curve  # [rows], 0 in those to come


class Program(NamedTuple):
    """What one variant's runs call, compiled.

    init: `seed -> (meta_state, key_data)`.
    advance: `(meta_state, key_data) -> (meta_state, key_data, loss)`, a row.
    validate, test: `w -> scores [tasks, 1 + updates]`, shared by all variants.
    """

    init: Callable[[jax.Array], tuple[MetaState, jax.Array]]
    advance: Callable[
        [MetaState, jax.Array], tuple[MetaState, jax.Array, jax.Array]
    ]
    validate: Callable[[PyTree], jax.Array]
    test: Callable[[PyTree], jax.Array]


def num_rows(config: FewShotConfig) -> int:
    """Rows of a curve."""
    return math.ceil(config.steps / config.resolution)


class Compiler:
    """Makes the programs of a study's variants.

    Args:
      config: the study.
      splits: its tasks.
      devices: that share the tasks of a meta-batch.
    """

    def __init__(
        self,
        config: FewShotConfig,
        splits: Splits,
        devices: Sequence[jax.Device],
    ):
        self._config = config
        self._problem = build_problem(config)
        self._train = splits.train
        self._over_tasks = over_devices(devices, config.at_once)
        self._jit = functools.partial(
            jax.jit, out_shardings=sharding.replicated(devices)
        )
        self._validate = self._scores(
            splits.validation, config.validation_tasks, _VALIDATION_SEED
        )
        self._test = self._scores(splits.test, config.test_tasks, _TEST_SEED)

    def program(self, variant: Variant) -> Program:
        """The program of all seeds of a variant."""
        learner = build_learner(
            self._config, variant, self._problem, over_tasks=self._over_tasks
        )
        data, sample = self._train

        def init(data: PyTree, seed: jax.Array) -> tuple[MetaState, jax.Array]:
            first, key, rest = jax.random.split(jax.random.key(seed), 3)
            w = self._problem.init(first, sample(data, key).support.inputs)
            return learner.init((), w), jax.random.key_data(rest)

        def advance(data: PyTree, meta: MetaState, key: jax.Array):
            def step(carry, _):
                meta, key = carry
                key, fresh = jax.random.split(key)
                keys = jax.random.split(fresh, self._config.tasks)
                episodes = self._over_tasks(sample)(data, keys)
                meta, metrics = learner.step(meta, episodes)
                return (meta, key), metrics["meta"]["loss"]

            start = meta, jax.random.wrap_key_data(key)
            (meta, key), losses = jax.lax.scan(
                step, start, length=self._config.resolution
            )
            return meta, jax.random.key_data(key), jnp.mean(losses)

        begin = functools.partial(self._jit(init), data)
        # Compiled before it is timed.
        lowered = self._jit(advance).lower(data, *begin(jnp.uint32(0)))
        rows = functools.partial(lowered.compile(), data)
        return Program(begin, rows, self._validate, self._test)

    def _scores(
        self, tasks: Tasks, count: int, seed: int
    ) -> Callable[[PyTree], jax.Array]:
        """`w -> scores` on tasks that are the same each time."""
        test = build_test(self._config, self._problem)

        def one(shared: tuple[PyTree, PyTree], key: jax.Array) -> jax.Array:
            data, w = shared
            return test(w, tasks.sample(data, key))

        def of(data: PyTree, w: PyTree) -> jax.Array:
            keys = jax.random.split(jax.random.key(seed), count)
            return self._over_tasks(one)((data, w), keys)

        return functools.partial(self._jit(of), tasks.data)


def run_seed(
    config: FewShotConfig,
    program: Program,
    run: Run[Variant],
    report: ReportProgress,
) -> None:
    """One seed from its start or last checkpoint to its test.

    Args:
      config: the study.
      program: of the variant.
      run: which.
      report: takes progress in meta-batches.
    """
    folder, name, seed = config.study_folder, run.variant.name, run.seed
    unfinished = files.unfinished(folder, f"{name}-{seed}")
    state = resume.advance(
        unfinished,
        functools.partial(_begin, config, program, seed),
        functools.partial(_advance, config, program),
        num_rows(config),
        lambda rows: report(rows * config.resolution, name),
    )
    curves.write(curves.path(folder, name, seed), state.curve)
    curves.write_test(
        curves.test_path(folder, name, seed),
        np.asarray(program.test(state.meta.meta_params)),
    )
    shutil.rmtree(unfinished)


def _begin(config: FewShotConfig, program: Program, seed: int) -> State:
    curve = Curve(*(np.zeros(num_rows(config)) for _ in Curve._fields))
    return State(*program.init(jnp.uint32(seed)), curve)


def _advance(
    config: FewShotConfig, program: Program, state: State, row: int
) -> State:
    """One row of the curve: meta-batches, which are timed, and a look."""
    wall, cpu = time.perf_counter(), time.process_time()
    meta, key, loss = jax.block_until_ready(
        program.advance(state.meta, state.key)
    )
    spent = time.perf_counter() - wall, time.process_time() - cpu
    before = [0.0, 0.0] if not row else [x[row - 1] for x in state.curve[1:3]]
    after = np.add(before, spent)
    score = np.mean(np.asarray(program.validate(meta.meta_params))[:, -1])
    values = (row + 1) * config.resolution, *after, loss, score
    for column, value in zip(state.curve, values, strict=True):
        column[row] = value
    return State(meta, key, state.curve)
