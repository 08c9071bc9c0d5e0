"""Imports point one way, few files know Ray, and the driver has no JAX.

The statements are read, not executed; one test starts the driver for a second
opinion.
"""

import ast
import importlib.util
import pathlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import pytest

ROOT = pathlib.Path(__file__).parents[1]

# What each package may import of ours.
ROOMS = {
    "actors": {"actors"},
    "meta": {"meta"},
    "learner": {"learner", "actors", "meta"},
    "experiments": {"experiments", "learner", "actors", "meta"},
    "benchmarks": {"benchmarks", "experiments", "learner", "actors", "meta"},
}
OURS = {*ROOMS, "deploy", "tests"}
# `bmg bench` is a command like the others.
COMMAND_LINE = "experiments.command.main"
# The mathematics knows nothing of Atari, Ray or one network library.
FOREIGN_TO_META = {"envpool", "haiku", "ray"}
RAY = {
    "actors.ray_pool",
    "experiments.command.train",
    "experiments.cluster.connection",
    "experiments.cluster.learner_hosts",
    "experiments.cluster.jobs",
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


class Import(NamedTuple):
    """One imported name; `from a import b` gives `a` and `a.b`."""

    name: str
    line: int
    immediate: bool  # runs when the module is imported, not later or never


class Module(NamedTuple):
    """One of our files."""

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
    """Names each import that the module's place does not allow."""
    room = _root(module.name)
    forbidden = OURS - ROOMS[room]
    if module.name == COMMAND_LINE:
        forbidden = forbidden - {"benchmarks"}
    if room == "meta":
        forbidden = forbidden | FOREIGN_TO_META
    if module.name not in RAY:
        forbidden = forbidden | {"ray"}
    return [
        f"{module.name}, line {line}: imports {name}"
        for name, line, _ in module.imports
        if _root(name) in forbidden
    ]


def jax_chains(name: str, modules: Mapping[str, Module]) -> list[str]:
    """Names each way in which importing `name` would import JAX."""
    chains, found, todo = {name: name}, [], [name]
    while todo:
        importer = todo.pop()
        loaded = [x.name for x in modules[importer].imports if x.immediate]
        # Importing a.b runs a first.
        loaded += [x.rpartition(".")[0] for x in (importer, *loaded)]
        for other in loaded:
            if _root(other) in JAX:
                found.append(f"{chains[importer]} > {other}")
            if other in modules and other not in chains:
                chains[other] = f"{chains[importer]} > {other}"
                todo.append(other)
    return found


def _read_packages() -> dict[str, Module]:
    modules = {}
    for path in sorted(
        p for room in ROOMS for p in (ROOT / room).rglob("*.py")
    ):
        is_package = path.stem == "__init__"
        place = path.parent if is_package else path.with_suffix("")
        name = ".".join(place.relative_to(ROOT).parts)
        modules[name] = parse(name, path.read_text(), is_package)
    return modules


MODULES = _read_packages()


def test_every_package_is_read():
    assert {_root(name) for name in MODULES} == set(ROOMS)


@pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
def test_imports_point_one_way(module):
    assert not violations(module)


@pytest.mark.parametrize("name", DRIVER)
def test_driver_imports_no_jax(name):
    assert not jax_chains(name, MODULES)


@pytest.mark.parametrize("name", DRIVER)
def test_driver_starts_without_jax(name):
    code = f"import sys, {name}; sys.exit('jax' in sys.modules)"
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
    ],
)
def test_allowed_import_is_no_violation(name, source):
    assert not violations(parse(name, source))


def chains_of_a(**sources: str) -> list[str]:
    """Chains from `a` among made-up modules; `a__b` stands for `a.b`."""
    names = {name.replace("__", "."): name for name in sources}
    return jax_chains("a", {n: parse(n, sources[k]) for n, k in names.items()})


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
    assert chain in chains_of_a(**sources)


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
    assert not chains_of_a(**sources)
