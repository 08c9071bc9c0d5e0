"""The rules of imports themselves, on sources made up for it."""

from collections.abc import Set

import pytest

from tests.import_rules import JAX, RUNTIME, chains, parse, violations


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
