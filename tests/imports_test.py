"""Imports point one way, few files know Ray, and the driver has no JAX.

The statements are read, not executed; some tests start a process for a second
opinion.
"""

import ast
import importlib.util
import pathlib
import subprocess
import sys
from collections.abc import Iterator, Mapping, Set
from typing import NamedTuple

import pytest

ROOT = pathlib.Path(__file__).parents[1]

# What each package may import of this project.
MAY_IMPORT = {
    "actors": {"actors"},
    "meta": {"meta"},
    "learner": {"learner", "actors", "meta"},
    "experiments": {"experiments", "learner", "actors", "meta"},
    "benchmarks": {"benchmarks", "experiments", "learner", "actors", "meta"},
}
PROJECT = {*MAY_IMPORT, "deploy", "tests"}
# A run's record knows neither losses nor agents, nor how a run is learned.
RECORD = "learner.record"
RECORD_MAY_IMPORT = (RECORD, "learner.config", "actors", "meta.geometry")
# `bmg bench` is a command like the others.
COMMAND_LINE = "experiments.command.main"
# The mathematics knows nothing of Atari, Ray or one network library.
FOREIGN_TO_META = {"envpool", "haiku", "ray"}
RAY = {
    "actors.ray_pool",
    "experiments.command.train",
    "experiments.cluster.connection",
    "experiments.cluster.learner_hosts",
    "experiments.cluster.job_client",
    "experiments.cluster.learner_actor",
    "experiments.cluster.prometheus",
    "experiments.cluster.capacity",
    "experiments.atari57.run",
    "experiments.atari57.scheduler",
    "experiments.atari57.study",
    "benchmarks.autoscaling",
    "benchmarks.scaling",
    "benchmarks.scheduling",
    "benchmarks.transport",
    "benchmarks.rllib_impala",
}
# The processes without JAX, and the libraries that import it.
DRIVER = (
    "experiments.command.main",
    "experiments.command.train",
    "experiments.cluster.jobs",
)
JAX = {
    "chex", "distrax", "envpool", "haiku", "jax", "jaxlib", "optax", "orbax",
    "rlax",
}  # fmt: skip
# The mathematics, and what it runs without.
MATHEMATICS = (
    "learner.learner",
    "learner.loss",
    "learner.optimisers",
    "learner.vtrace",
)
RUNTIME = {"envpool", "gymnasium", "orbax", "ray"}


class Import(NamedTuple):
    """One imported name; `from a import b` gives `a` and `a.b`."""

    name: str
    line: int
    immediate: bool  # runs when the module is imported, not later or never


class Module(NamedTuple):
    """One file of the project."""

    name: str
    imports: list[Import]


def parse(name: str, source: str, is_package: bool = False) -> Module:
    """Reads the import statements of a module, nested ones included."""
    package = name if is_package else name.rpartition(".")[0]
    return Module(name, list(_imports(ast.parse(source), package, True)))


def _imports(node: ast.AST, package: str, immediate: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            for name in _names(child, package):
                yield Import(name, child.lineno, immediate)
        deferred = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        if isinstance(child, ast.If):
            deferred = ast.unparse(child.test).endswith("TYPE_CHECKING")
        yield from _imports(child, package, immediate and not deferred)


def _names(node: ast.Import | ast.ImportFrom, package: str) -> list[str]:
    names = [alias.name for alias in node.names]
    if isinstance(node, ast.Import):
        return names
    relative = "." * node.level + (node.module or "")
    base = importlib.util.resolve_name(relative, package)
    return [base, *(f"{base}.{name}" for name in names)]


def _root(name: str) -> str:
    return name.partition(".")[0]


def violations(module: Module) -> list[str]:
    """Names each import that the module's package does not allow."""
    package = _root(module.name)
    forbidden = PROJECT - MAY_IMPORT[package]
    if module.name == COMMAND_LINE:
        forbidden = forbidden - {"benchmarks"}
    if package == "meta":
        forbidden = forbidden | FOREIGN_TO_META
    if module.name not in RAY:
        forbidden = forbidden | {"ray"}
    return [
        f"{module.name}, line {line}: imports {name}"
        for name, line, _ in module.imports
        if _root(name) in forbidden or _too_much(module.name, name)
    ]


def _too_much(importer: str, name: str) -> bool:
    """Whether a run's record would import what it must not know."""
    if not _is_within(importer, RECORD) or _root(name) not in PROJECT:
        return False
    return not any(_is_within(name, allowed) for allowed in RECORD_MAY_IMPORT)


def _is_within(name: str, package: str) -> bool:
    return f"{name}.".startswith(f"{package}.")


def chains(
    name: str, modules: Mapping[str, Module], libraries: Set[str]
) -> list[str]:
    """Names each way in which importing `name` would import a library."""
    paths, found, todo = {name: name}, [], [name]
    while todo:
        importer = todo.pop()
        loaded = [x.name for x in modules[importer].imports if x.immediate]
        # Importing a.b runs a first.
        loaded += [x.rpartition(".")[0] for x in (importer, *loaded)]
        for other in loaded:
            if _root(other) in libraries:
                found.append(f"{paths[importer]} > {other}")
            if other in modules and other not in paths:
                paths[other] = f"{paths[importer]} > {other}"
                todo.append(other)
    return found


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


# The rules themselves, on sources made up for it.


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("meta.bootstrap", "import envpool"),
        ("meta.bootstrap", "import haiku as hk"),
        ("meta.bootstrap", "from actors.agent import Agent"),
        ("actors.unroll", "def unroll():\n  from learner import loss"),
        ("actors.unroll", "if TYPE_CHECKING:\n  import learner.config"),
        ("actors.agent", "import ray"),
        ("learner.feed", "from ray.util import queue"),
        ("learner.train", "try:\n  import experiments\nfinally:\n  pass"),
        ("learner.loss", "from tests import conftest"),
        ("experiments.atari57.report", "import ray"),
        ("experiments.atari57.variants", "import ray"),
        ("experiments.gridworld.study", "import ray"),
        ("experiments.command.train", "import benchmarks.bench"),
        ("learner.record.monitor", "from learner.evaluator import Evaluation"),
        ("learner.record.monitor", "from learner import loss"),
        ("learner.record.remote", "import learner.config_check"),
        ("learner.record.writers.queued", "from meta import bootstrap"),
        ("learner.record", "def later():\n  import learner.train"),
    ],
)
def test_violation_is_found(name, source):
    assert len(violations(parse(name, source))) >= 1


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("meta.bootstrap", "import jax\nfrom meta import matching"),
        ("meta.bootstrap", "from . import matching"),
        ("actors.ray_pool", "import ray"),
        ("actors.agent", "import haiku\nfrom actors import networks"),
        ("learner.learner", "import actors.agent, meta.bootstrap"),
        ("learner.feed", "import raylib"),
        ("experiments.command.train", "import ray\nfrom learner import train"),
        ("experiments.atari57.study", "import ray"),
        ("experiments.command.main", "import benchmarks.bench"),
        ("benchmarks.transport", "import ray\nfrom learner import build"),
        ("learner.record.monitor", "from learner.config import Config"),
        ("learner.record.monitor", "from learner.record import metrics"),
        ("learner.record.film", "import numpy, actors.agent"),
        ("learner.record.line", "from meta.geometry import cosine"),
        ("learner.recorder", "from learner import loss"),
    ],
)
def test_allowed_import_is_no_violation(name, source):
    assert not violations(parse(name, source))


def chains_of_a(libraries: Set[str], **sources: str) -> list[str]:
    """Chains from `a` among made-up modules; `a__b` stands for `a.b`."""
    names = {name.replace("__", "."): name for name in sources}
    modules = {n: parse(n, sources[key]) for n, key in names.items()}
    return chains("a", modules, libraries)


@pytest.mark.parametrize(
    ("sources", "chain"),
    [
        ({"a": "import jax.numpy as jnp"}, "a > jax.numpy"),
        ({"a": "class A:\n  import optax"}, "a > optax"),
        ({"a": "import b", "b": "import haiku"}, "a > b > haiku"),
        ({"a": "from b import c", "b": "", "b__c": "import jax"},
         "a > b.c > jax"),
        ({"a": "import b.c", "b": "import jax", "b__c": ""}, "a > b > jax"),
        ({"a": "import b", "b": "import a, jax"}, "a > b > jax"),
    ],
)  # fmt: skip
def test_chain_to_jax_is_found(sources, chain):
    assert chain in chains_of_a(JAX, **sources)


@pytest.mark.parametrize(
    "sources",
    [
        {"a": "def later():\n  import jax"},
        {"a": "import typing\nif typing.TYPE_CHECKING:\n  import jax"},
        {
            "a": "from b import f",
            "b": "def f():\n  import jax",
            "c": "import jax",
        },
        {"a": "import jaxtyping, numpy"},
    ],
)
def test_no_chain_without_an_immediate_import(sources):
    assert not chains_of_a(JAX, **sources)


@pytest.mark.parametrize(
    ("sources", "chain"),
    [
        ({"a": "import ray"}, "a > ray"),
        ({"a": "import b", "b": "from orbax import checkpoint"},
         "a > b > orbax"),
        ({"a": "from b import c", "b": "import envpool", "b__c": ""},
         "a > b > envpool"),
    ],
)  # fmt: skip
def test_chain_to_a_runtime_is_found(sources, chain):
    assert chain in chains_of_a(RUNTIME, **sources)


@pytest.mark.parametrize(
    "sources",
    [
        {"a": "import jax, haiku, optax"},
        {"a": "def later():\n  import ray"},
        {"a": "import raylib, b", "b": "import jax", "c": "import orbax"},
    ],
)
def test_no_chain_to_a_runtime_without_one(sources):
    assert not chains_of_a(RUNTIME, **sources)
