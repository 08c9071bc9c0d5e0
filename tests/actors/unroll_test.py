"""Unrolls of a scripted environment, and of EnvPool's games: shapes, scores."""

import numpy as np
import pytest

from actors.episode import Episode
from actors.transition import FIRST, LAST, MID
from actors.unroll import Unroller
from tests.actors.scripted_environment import (
    Scripted,
    assert_equal,
    make_environment,
)

SCRIPT = (
    {2: (FIRST, 0.0), 0: (FIRST, 0.0)},
    {1: (FIRST, 0.0), 2: (MID, 1.0)},
    {2: (LAST, 200.0), 1: (MID, 5.0)},  # environment 2 has steps 0, 1, 2
    {2: (FIRST, 0.0), 1: (LAST, -7.0)},  # environment 1 has steps 0, 1, 2
    {1: (FIRST, 0.0), 0: (MID, 3.0)},
    {2: (LAST, 0.5), 0: (MID, 0.0)},  # environments 2 and 0, both at once
    {0: (LAST, 2.0), 1: (MID, 4.0)},  # environment 1 again
    {1: (MID, 0.0), 2: (FIRST, 0.0)},
)


def play_script(counting_agent, versions):
    """Unrolls of T = 2 and B = 1 from the script."""
    environment = Scripted(*SCRIPT)
    agent = counting_agent(environment.spec)
    unroller = Unroller(
        environment, agent, unroll_length=2, trajectories=1, seed=0
    )
    unrolls, episodes = zip(
        *[unroller.unroll((), version) for version in versions], strict=True
    )
    unroller.close()
    return environment.calls, unrolls, episodes


def test_order_of_calls(counting_agent):
    """Steps environments as they come, and stops when a trajectory is full."""
    environment = Scripted(*SCRIPT)
    agent = counting_agent(environment.spec)
    unroller = Unroller(
        environment, agent, unroll_length=2, trajectories=1, seed=0
    )
    assert environment.calls == ["reset"]
    unroller.unroll((), 0)
    # The counting agent's action is time + 3 env at first.
    first = [
        "recv [2 0]",
        "send [6 0] to [2 0]",
        "recv [1 2]",
        "send [3 7] to [1 2]",
        "recv [2 1]",
        "send [8 4] to [2 1]",
    ]
    assert environment.calls[1:] == first
    unroller.unroll((), 0)
    second = ["recv [2 1]", "send [9 5] to [2 1]"]
    assert environment.calls[7:] == second
    unroller.close()
    assert environment.calls[9:] == ["close"]


def test_trajectories_of_the_script(counting_agent):
    """Written out by hand: one row per step, one trajectory per environment."""
    _, unrolls, _ = play_script(counting_agent, versions=range(4))
    frames = [u.transitions.observation[..., 0, 0].T for u in unrolls]
    rewards = [u.transitions.reward.T for u in unrolls]
    types = [u.transitions.step_type.T for u in unrolls]
    actions = [u.transitions.action.T for u in unrolls]
    discounts = [u.transitions.discount.T for u in unrolls]

    assert_equal(
        frames,
        [
            np.array([[20, 21, 22]]),
            np.array([[10, 11, 12]]),
            # A trajectory's last step is the first of its next.
            np.array([[22, 23, 24], [0, 1, 2]]),
            np.array([[12, 13, 14]]),
        ],
    )
    assert_equal(
        rewards,
        [
            np.array([[0.0, 1.0, 200.0]]),
            np.array([[0.0, 5.0, -7.0]]),
            np.array([[200.0, 0.0, 0.5], [0.0, 3.0, 0.0]]),
            np.array([[-7.0, 0.0, 4.0]]),
        ],
    )
    assert_equal(
        types,
        [
            np.array([[FIRST, MID, LAST]]),
            np.array([[FIRST, MID, LAST]]),
            np.array([[LAST, FIRST, LAST], [FIRST, MID, MID]]),
            np.array([[LAST, FIRST, MID]]),
        ],
    )
    assert_equal(
        actions,
        [
            np.array([[6, 7, 8]]),
            np.array([[3, 4, 5]]),
            np.array([[8, 9, 10], [0, 1, 2]]),
            np.array([[5, 6, 7]]),
        ],
    )
    assert_equal(discounts, [np.where(t == LAST, 0.0, 1.0) for t in types])


def test_trajectories_begin_with_the_stack_and_the_state_of_their_first_step(
    counting_agent,
):
    _, unrolls, _ = play_script(counting_agent, versions=range(4))
    # Before the newest frame of a trajectory's first step: itself where the
    # game began, else the frame of the step before.
    stacks = [unroll.stack[:, 0, 0].tolist() for unroll in unrolls]
    assert stacks == [[20], [10], [21, 0], [11]]
    states = [unroll.core_state for unroll in unrolls]
    assert [s["env"].tolist() for s in states] == [[2], [1], [2, 0], [1]]
    assert [s["time"].tolist() for s in states] == [[0], [0], [2, 0], [2]]


def test_version_is_that_of_a_trajectorys_first_step(counting_agent):
    _, unrolls, _ = play_script(counting_agent, versions=[7, 8, 9, 10])
    versions = [unroll.version.tolist() for unroll in unrolls]
    # Environment 2 began its second trajectory in the unroll of version 7,
    # environment 1 its own in that of version 8.
    assert versions == [[7], [7], [7, 7], [8]]


def test_scores_are_unclipped_and_over_whole_games(counting_agent):
    _, _, episodes = play_script(counting_agent, versions=range(4))
    # A game's frames are those of its steps; the reset takes none.
    assert episodes == (
        [Episode(201.0, 8)],
        [Episode(-2.0, 8)],
        [Episode(0.5, 4)],
        [Episode(5.0, 12)],
    )


@pytest.mark.parametrize(
    ("task", "frame", "older"),
    [
        ("Catch-v0", (10, 5), (0, 5)),
        ("CartPole-v1", (4,), (0,)),
        ("Pong-v5", (1, 84, 84), (3, 84, 84)),
    ],
)
def test_unrolls_have_the_shapes_of_their_task(
    task, frame, older, counting_agent
):
    environment = make_environment(task)
    spec = environment.spec
    unroller = Unroller(
        environment,
        counting_agent(spec),
        unroll_length=5,
        trajectories=4,
        seed=0,
    )
    (steps, stack, core_state, version), episodes = unroller.unroll((), 2)
    unroller.close()
    assert [(x.shape, x.dtype) for x in steps] == [
        ((6, 4, *frame), spec.observation_dtype),
        ((6, 4), np.int8),
        ((6, 4), np.float32),
        ((6, 4), np.float32),
        ((6, 4), np.int32),
        ((6, 4, spec.num_actions), np.float32),
    ]
    assert (stack.shape, stack.dtype) == ((4, *older), spec.observation_dtype)
    assert core_state["time"].tolist() == [0, 0, 5, 5]
    assert version.tolist() == [2, 2, 2, 2]
    assert version.dtype == np.int32
    assert isinstance(episodes, list)
