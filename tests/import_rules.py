"""Who may import whom, read off the import statements."""

import ast
import importlib.util
from collections.abc import Iterator, Mapping, Set
from typing import NamedTuple

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


JAX = {
    "chex", "distrax", "envpool", "haiku", "jax", "jaxlib", "optax", "orbax",
    "rlax",
}  # fmt: skip


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
