"""Imports point one way, few files know Ray, and the driver has no JAX.

The statements are read, not executed; some tests start a process for a second
opinion.
"""

import pathlib
import subprocess
import sys

import pytest

from tests.import_rules import (
    JAX,
    MAY_IMPORT,
    RUNTIME,
    Module,
    _is_within,
    _root,
    chains,
    parse,
    violations,
)

ROOT = pathlib.Path(__file__).parents[1]


# The processes without JAX, and the libraries that import it.
DRIVER = (
    "experiments.command.main",
    "experiments.command.train",
    "experiments.cluster.jobs",
)


# The mathematics, and what it runs without.
MATHEMATICS = (
    "learner.learner",
    "learner.loss",
    "learner.optimisers",
    "learner.vtrace",
)


def _read_packages() -> dict[str, Module]:
    modules = {}
    for path in sorted(
        p for package in MAY_IMPORT for p in (ROOT / package).rglob("*.py")
    ):
        is_package = path.stem == "__init__"
        location = path.parent if is_package else path.with_suffix("")
        name = ".".join(location.relative_to(ROOT).parts)
        modules[name] = parse(name, path.read_text(), is_package)
    return modules


MODULES = _read_packages()


def test_every_package_is_read():
    assert {_root(name) for name in MODULES} == set(MAY_IMPORT)


@pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
def test_imports_point_one_way(module):
    assert not violations(module)


@pytest.mark.parametrize("name", DRIVER)
def test_driver_imports_no_jax(name):
    assert not chains(name, MODULES, JAX)


@pytest.mark.parametrize("name", DRIVER)
def test_driver_starts_without_jax(name):
    code = f"import sys, {name}; sys.exit('jax' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def mathematics():
    return [*MATHEMATICS, *(n for n in MODULES if _is_within(n, "meta"))]


@pytest.mark.parametrize("name", mathematics())
def test_mathematics_imports_no_runtime(name):
    assert not chains(name, MODULES, RUNTIME)


def test_mathematics_starts_without_a_runtime():
    code = (
        f"import sys, {', '.join(mathematics())}\n"
        f"found = {RUNTIME} & set(sys.modules)\n"
        "sys.exit(', '.join(found) or None)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
