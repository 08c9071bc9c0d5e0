"""Lanes of one structure, from a compiled program to curves on disk."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from experiments.gridworld import curves
from experiments.gridworld.build import Setting, build_lifetime
from experiments.gridworld.config import GridworldConfig
from experiments.gridworld.curves import Curve
from experiments.gridworld.lifetime import Record
from experiments.gridworld.variants import Variant
from experiments.study import lanes
from experiments.study.chunks import Runner
from experiments.study.lanes import Plan, Program
from experiments.study.ledger import Run


def make_runner(config: GridworldConfig) -> Runner[Variant]:
    """How this study's lanes are compiled, set and written."""

    def write(run: Run[Variant], step: np.ndarray, record: Record) -> None:
        at = curves.path(config.study_folder, run.variant.name, run.seed)
        curves.write(at, Curve(step, *record))

    return Runner(functools.partial(compile_lanes, config), _settings, write)


def make_plan(config: GridworldConfig, structure: Variant) -> Plan:
    """How a run is cut: rows of its curve, calls of its program."""
    nothing = Setting(jnp.zeros(()), jnp.zeros(()))
    return lanes.make_plan(
        build_lifetime(config, structure, nothing).steps,
        steps=config.steps,
        resolution=config.resolution,
    )


def compile_lanes(
    config: GridworldConfig, structure: Variant, devices: Sequence[jax.Device]
) -> Program:
    """The program of all lanes that share a structure, over these devices."""
    return lanes.compile_lanes(
        functools.partial(build_lifetime, config, structure),
        make_plan(config, structure),
        devices,
    )


def _settings(runs: Sequence[Run[Variant]]) -> Setting:
    weights = [run.variant.weight for run in runs]
    rates = [run.variant.meta_rate for run in runs]
    return Setting(
        jnp.array(weights, jnp.float32), jnp.array(rates, jnp.float32)
    )
