"""How episodes end: lives, game over, truncation, the step after the last."""

from unittest import mock

import envpool
import numpy as np
import pytest

from actors.transition import FIRST, LAST, MID
from tests.actors.envpool_games import make, play, random_actions


@pytest.mark.parametrize("protocol", ["impala", "machado"])
def test_life_loss_and_game_over_end_the_discount(protocol, lockstep):
    actions = random_actions(4, 400, 2)
    steps = play(make("Breakout-v5", protocol), actions)
    expected = lockstep("Breakout-v5", protocol, 0, actions)

    ends = {"life loss": 0, "game over": 0}
    for t in range(1, len(actions) + 1):
        for n in range(2):
            lost = expected.lives[t, n] < expected.lives[t - 1, n]
            over = expected.terminated[t, n]
            ends["life loss"] += lost and not over
            ends["game over"] += over
            assert (steps.step_type[t, n] == LAST) == over
            if over:
                assert steps.discount[t, n] == 0.0
            elif lost:
                assert steps.step_type[t, n] == MID
                assert steps.discount[t, n] == (protocol == "machado")
            else:
                assert steps.discount[t, n] == 1.0
    assert ends["life loss"] >= 4
    assert ends["game over"] >= 2
    np.testing.assert_array_equal(steps.observation, expected.observation)
    np.testing.assert_array_equal(steps.reward, expected.reward)


def test_truncation_keeps_the_discount(shorten):
    # EnvPool's own dm_env interface would give 0 here.
    shorten("impala", 7)
    steps = play(make("Pong-v5"), np.zeros((20, 2), np.int32))
    # An episode: its first step, the limit of 7, then the next one's first.
    episode = [FIRST] + [MID] * 6 + [LAST]
    expected = (episode * 3)[:21]
    assert steps.step_type.T.tolist() == [expected] * 2
    assert (steps.discount == 1.0).all()


def test_life_loss_on_the_last_allowed_step_ends_the_discount(
    shorten, lockstep
):
    actions = random_actions(4, 200, 1)
    expected = lockstep("Breakout-v5", "impala", 0, actions)
    lost = int(np.argmax(np.diff(expected.lives[:, 0]) < 0)) + 1
    shorten("impala", lost)
    steps = play(make("Breakout-v5", num_envs=1), actions[:lost])
    assert steps.step_type[-1, 0] == LAST
    assert steps.discount[-1, 0] == 0.0
    assert (steps.discount[:-1] == 1.0).all()


def test_a_new_game_with_fewer_lives_has_lost_none():
    """After a bonus life and a truncation the next game begins with less."""

    def returned(elapsed, truncated, lives):
        info = {"env_id": np.array([0]), "elapsed_step": np.array([elapsed])}
        info["lives"] = np.array([lives])
        nothing = np.zeros(1)
        return nothing, nothing, nothing > 0, np.array([truncated]), info

    steps = [(0, 0, 3), (1, 0, 4), (2, 1, 4), (0, 0, 3)]
    results = [returned(*step) for step in steps]
    pool = mock.Mock(recv=mock.Mock(side_effect=results))
    with mock.patch.object(envpool, "make_gymnasium", return_value=pool):
        environment = make("MsPacman-v5", num_envs=1)
    steps = [environment.recv() for _ in results]
    assert [s.step_type.item() for s in steps] == [FIRST, MID, LAST, FIRST]
    assert [s.discount.item() for s in steps] == [1.0] * 4


@pytest.mark.filterwarnings("ignore:.*precision lowered")  # EnvPool's own
@pytest.mark.parametrize("task", ["Catch-v0", "CartPole-v1"])
def test_small_tasks_end_with_discount_zero(task, lockstep):
    actions = random_actions(2, 80, 2)
    steps = play(make(task), actions)
    expected = lockstep(task, None, 0, actions)
    np.testing.assert_array_equal(steps.step_type == LAST, expected.terminated)
    np.testing.assert_array_equal(
        steps.step_type == FIRST, expected.elapsed == 0
    )
    np.testing.assert_array_equal(steps.discount == 0.0, expected.terminated)
    assert expected.terminated.sum() >= 4


@pytest.mark.parametrize(
    ("task", "limit"), [("Catch-v0", None), ("Breakout-v5", 25)]
)
def test_the_step_after_the_last_is_first_and_ignores_its_action(
    task, limit, shorten
):
    if limit:
        shorten("impala", limit)
    actions = random_actions(3, 90, 2)
    steps = play(make(task), actions)
    # What is sent in answer to a last step differs; nothing else does.
    after_last = steps.step_type[:-1] == LAST
    assert after_last.sum() >= 6
    others = np.where(after_last, (actions + 1) % 3, actions).astype(np.int32)

    for one, other in zip(steps, play(make(task), others), strict=True):
        np.testing.assert_array_equal(one, other)
    assert (steps.step_type[1:][after_last] == FIRST).all()
    assert (steps.reward[1:][after_last] == 0.0).all()
    assert (steps.discount[1:][after_last] == 1.0).all()
    assert (steps.step_type[1:][~after_last] != FIRST).all()
