"""Which combinations there are, and which are refused."""

import dataclasses

import jax
import pytest

from experiments.few_shot import build, study
from experiments.few_shot.config import FewShotConfig
from experiments.few_shot.presets import PRESETS
from experiments.few_shot.variants import Variant, check, expand
from learner.config import ConfigError
from tests.experiments.few_shot.tiny_study import tiny


def test_variants():
    config = FewShotConfig(
        method=("joint", "maml", "bmg"),
        K=(1, 5),
        L=(1, 3),
        ahead=("query", "support"),
    )
    # joint, two of maml, and of each K: L = 1, and L = 3 with two aheads.
    variants = expand(config)
    assert len(variants) == 1 + 2 + 2 * 3
    assert len({variant.name for variant in variants}) == len(variants)
    assert Variant("bmg", 5, 3, "l2", "support", 0.1, 0.001).name == (
        "bmg-K5-L3-l2-support-boot0.1-rate0.001"
    )


@pytest.mark.parametrize("name", PRESETS)
def test_presets_can_run(name):
    config = PRESETS[name]()
    if name in ("omniglot", "miniimagenet"):
        config = dataclasses.replace(config, folder="somewhere")
    check(config)


def test_data_names_its_preset():
    assert study.parse(["--data", "digits"]) == PRESETS["digits"]()
    assert study.parse([]).data == "sinusoid"
    assert study.parse(["--data", "digits", "--ways", "3"]).ways == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shots": 0}, "shots = 0"),
        ({"ways": 1}, "ways = 1"),
        ({"K": ()}, "K: name at least one"),
        ({"L": (0,)}, "L = 0: must lie between 1"),
        ({"meta_rate": (0.0,)}, "meta-rate = 0"),
        ({"inner_rate": float("nan")}, "inner-rate = nan"),
        ({"at_once": -1}, "at-once = -1"),
        ({"data": "omniglot"}, "--folder"),
        ({"folder": "x"}, "reads no folder"),
        ({"data": "digits", "method": ("joint",)}, "sinusoids only"),
        ({"tasks": 3, "devices": 2}, "tasks = 3: must be a multiple"),
    ],
)
def test_bad_input_is_named(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        check(tiny(tmp_path, **changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ways": 9}, "ways = 9: digits has 8 classes for validation"),
        ({"queries": 200}, "digits has 174 images of each class"),
    ],
)
def test_tasks_that_digits_cannot_make(tmp_path, changes, message):
    pytest.importorskip("sklearn")
    config = tiny(tmp_path, data="digits", method=("maml",), **changes)
    with pytest.raises(ConfigError, match=message):
        build.build_splits(config, jax.devices())
