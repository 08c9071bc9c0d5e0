"""Environments: protocols, specs, errors, and the ends of episodes.

The oracle is EnvPool's own gymnasium interface in lock-step.
"""

from unittest import mock

import envpool
import numpy as np
import pytest

from actors import environment as environment_lib
from actors.transition import FIRST, MID
from tests.actors.envpool_games import make, play, random_actions

ATARI_57 = """
Alien Amidar Assault Asterix Asteroids Atlantis BankHeist BattleZone BeamRider
Berzerk Bowling Boxing Breakout Centipede ChopperCommand CrazyClimber Defender
DemonAttack DoubleDunk Enduro FishingDerby Freeway Frostbite Gopher Gravitar
Hero IceHockey Jamesbond Kangaroo Krull KungFuMaster MontezumaRevenge MsPacman
NameThisGame Phoenix Pitfall Pong PrivateEye Qbert Riverraid RoadRunner
Robotank Seaquest Skiing Solaris SpaceInvaders StarGunner Surround Tennis
TimePilot Tutankham UpNDown Venture VideoPinball WizardOfWor YarsRevenge Zaxxon
"""


# The protocols as the papers state them, in EnvPool's words.
IMPALA = {
    "img_height": 84,
    "img_width": 84,
    "gray_scale": True,
    "frame_skip": 4,
    "stack_num": 4,
    "noop_max": 30,
    "max_episode_steps": 108_000 // 4,
    "full_action_space": False,
    "repeat_action_probability": 0.0,
    "use_fire_reset": False,
}


BMG = IMPALA | {"img_height": 210, "img_width": 160, "gray_scale": False}


MACHADO = IMPALA | {
    "noop_max": 1,
    "full_action_space": True,
    "repeat_action_probability": 0.25,
}


@pytest.mark.parametrize(
    ("protocol", "options"),
    [("impala", IMPALA), ("bmg", BMG), ("machado", MACHADO)],
)
def test_protocols_reach_envpool(protocol, options):
    with mock.patch.object(
        envpool, "make_gymnasium", wraps=envpool.make_gymnasium
    ) as spy:
        make("Pong-v5", protocol).close()

    counts = {"num_envs", "batch_size", "num_threads", "seed"}
    given = spy.call_args.kwargs
    assert {k: v for k, v in given.items() if k not in counts} == options


@pytest.mark.parametrize(
    ("task", "protocol", "expected"),
    [
        ("Pong-v5", "impala", (6, (4, 84, 84), np.uint8, 4, 4)),
        ("Pong-v5", "bmg", (6, (12, 210, 160), np.uint8, 4, 4)),
        ("Pong-v5", "machado", (18, (4, 84, 84), np.uint8, 4, 4)),
        ("Breakout-v5", "impala", (4, (4, 84, 84), np.uint8, 4, 4)),
        ("Breakout-v5", "machado", (18, (4, 84, 84), np.uint8, 4, 4)),
        ("Catch-v0", "impala", (3, (10, 5), np.float32, 1, 1)),
        ("CartPole-v1", "bmg", (2, (4,), np.float32, 1, 1)),
        ("MiniGrid-Empty-5x5-v0", "impala", (7, (7, 7, 3), np.uint8, 1, 1)),
    ],
)
def test_spec_is_what_the_environment_gives(task, protocol, expected):
    spec = environment_lib.spec(task, protocol)
    assert spec == expected

    environment = make(task, protocol)
    assert environment.spec == spec
    step = play(environment, np.zeros((1, 2), np.int32))
    assert step.observation.shape == (2, 2, *spec.observation_shape)
    assert step.observation.dtype == spec.observation_dtype
    assert step.step_type.tolist() == [[FIRST] * 2, [MID] * 2]
    assert step.discount.tolist() == [[1.0] * 2] * 2
    dtypes = [field.dtype for field in step[2:]]
    assert dtypes == [np.int8, np.float32, np.float32]


def test_spec_of_procgen():
    try:
        envpool.make_spec("CoinrunEasy-v0")
    except ImportError as error:
        pytest.skip(str(error))
    spec = environment_lib.spec("CoinrunEasy-v0", "impala")
    assert spec == (15, (3, 64, 64), np.uint8, 1, 1)


def test_all_atari_games_are_tasks():
    games = ATARI_57.split()
    assert len(games) == 57
    for game in games:
        environment_lib.check_task(f"{game}-v5")


@pytest.mark.slow
@pytest.mark.parametrize("game", ATARI_57.split())
def test_all_atari_games_have_a_spec(game):
    impala, bmg, machado = (
        environment_lib.spec(f"{game}-v5", protocol)
        for protocol in ["impala", "bmg", "machado"]
    )
    assert 3 <= impala.num_actions <= 18
    assert impala[1:] == ((4, 84, 84), np.uint8, 4, 4)
    assert bmg == impala._replace(observation_shape=(12, 210, 160))
    # Skiing has no button at all.
    everything = 9 if game == "Skiing" else 18
    assert machado == impala._replace(num_actions=everything)


@pytest.mark.parametrize(
    ("task", "nearest"),
    [
        ("pong", "Pong-v5"),
        ("Pnog-v5", "Pong-v5"),
        ("ms_pacman", "MsPacman-v5"),
        ("Catch", "Catch-v0"),
    ],
)
def test_unknown_task_names_the_nearest_first(task, nearest):
    with pytest.raises(ValueError, match=rf"'{task}'.*nearest: {nearest}"):
        environment_lib.spec(task, "impala")


def test_hopeless_task_says_so():
    with pytest.raises(ValueError, match="none is near"):
        environment_lib.check_task("qqqqqqqqqq")


def test_unknown_protocol_names_the_allowed_and_the_nearest():
    message = r"'imapla'.*allowed: impala, bmg, machado, .*; nearest: impala"
    with pytest.raises(ValueError, match=message):
        environment_lib.spec("Pong-v5", "imapla")


@pytest.mark.parametrize("name", ["impala", "bmg"])
def test_sticky_protocols_change_the_rules_alone(name):
    plain, sticky = (
        environment_lib.PROTOCOLS[protocol].options
        for protocol in (name, f"{name}-sticky")
    )
    changed = {key for key in plain if plain[key] != sticky[key]}
    assert changed == {"noop_max", "repeat_action_probability"}
    assert not environment_lib.PROTOCOLS[
        f"{name}-sticky"
    ].life_loss_ends_discount
    assert environment_lib.spec("Pong-v5", f"{name}-sticky").num_actions == 6


def test_continuous_actions_are_refused():
    with pytest.raises(ValueError, match="only discrete actions"):
        environment_lib.spec("Pendulum-v1", "impala")


@pytest.mark.parametrize("task", ["FrozenLake-v1", "Game2048-v1"])
def test_observations_that_are_no_arrays_are_refused(task):
    with pytest.raises(ValueError, match=rf"'{task}' has the observations"):
        environment_lib.spec(task, "impala")


def test_missing_library_is_a_plain_error(monkeypatch):
    reason = ImportError("install Qt")
    monkeypatch.setattr(envpool, "make_spec", mock.Mock(side_effect=reason))
    with pytest.raises(ValueError, match="'Pong-v5' cannot run.*install Qt"):
        environment_lib.spec("Pong-v5", "impala")


def test_environments_are_seeded_one_after_the_other():
    actions = random_actions(6, 40, 1)
    second = play(
        make("Pong-v5", num_envs=2, seed=5), actions.repeat(2, axis=1)
    )
    alone = play(make("Pong-v5", num_envs=1, seed=6), actions)
    np.testing.assert_array_equal(
        second.observation[:, 1], alone.observation[:, 0]
    )
    assert (second.observation[:, 0] != second.observation[:, 1]).any()


@pytest.mark.parametrize(
    ("protocol", "sticky"),
    [("impala", 0), ("machado", 1), ("impala-sticky", 1)],
)
def test_only_machados_rules_repeat_actions(protocol, sticky, monkeypatch):
    # Without random no-ops, sticky actions are all that could make
    # environments with different seeds differ.
    options = environment_lib.PROTOCOLS[protocol].options
    monkeypatch.setitem(options, "noop_max", 1)
    actions = random_actions(4, 20, 1).repeat(4, axis=1)
    frames = play(
        make("Breakout-v5", protocol, num_envs=4), actions
    ).observation
    assert (frames[0] == frames[0, :1]).all()
    assert (frames != frames[:, :1]).any() == sticky
