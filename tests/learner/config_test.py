"""Configurations: the presets, and what follows from the settings."""

import pytest

from experiments.command.command_line import choose
from experiments.command.presets import PRESETS
from learner.config import Config
from learner.config_check import check
from tests.learner.settings import changed, every_preset


@every_preset
@pytest.mark.parametrize("algorithm", ["impala", "stacx", "bmg"])
def test_presets_pass_the_check(name, algorithm):
    check(changed(choose(PRESETS, name), algorithm=algorithm))


def test_only_impala_has_no_auxiliary_heads():
    config = changed(Config(), loss__auxiliary_heads=4)
    heads = {
        algorithm: changed(config, algorithm=algorithm).heads
        for algorithm in ("impala", "stacx", "bmg")
    }
    assert heads == {"impala": 1, "stacx": 5, "bmg": 5}


def test_the_new_trajectories_are_those_that_replay_does_not_give():
    config = changed(Config(), learner__batch=18, replay__trajectories=12)
    assert config.online == 6


def test_the_folder_is_named_after_the_run_unless_it_is_given():
    config = changed(Config(), task="ALE/Pong-v5", algorithm="bmg", seed=3)
    assert config.folder == "runs/ALE-Pong-v5-bmg-3"
    assert changed(config, out="here").folder == "here"
