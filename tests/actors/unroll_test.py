"""Unrolls: order, overlap, versions, scores, and a tape that plays again.

The oracles are a scripted environment and EnvPool's own lock-step interface.
"""

import collections
import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from actors import networks
from actors.agent import Agent, AgentOutput, make_agent
from actors.environment import Environment
from actors.episode import Episode
from actors.spaces import Spec
from actors.transition import FIRST, LAST, MID, Step
from actors.unroll import Unroller


def make_environment(task, *, num_envs=2, batch_size=None):
    return Environment(
        task,
        "impala",
        num_envs=num_envs,
        batch_size=batch_size or num_envs,
        num_threads=2,
        seed=3,
    )


def assert_equal(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    jax.tree.map(np.testing.assert_array_equal, one, other)


class Scripted:
    """Three environments that return as the script has it.

    A line of the script is a step type and a reward for some of them; frames
    are 10 * env + time, shown in stacks of two.
    """

    spec = Spec(
        num_actions=100,
        observation_shape=(2, 1),
        observation_dtype=np.int32,
        stack=2,
        frames_per_step=4,
    )
    num_envs, batch_size = 3, 2

    def __init__(self, *script):
        self._script = iter(script)
        self._frames = collections.defaultdict(list)
        self.calls = []

    def reset(self):
        self.calls.append("reset")

    def recv(self):
        line = next(self._script)
        ids = np.array(list(line), np.int32)
        self.calls.append(f"recv {ids}")
        types, rewards = zip(*line.values(), strict=True)
        return Step(
            ids,
            np.array([self._stack(*pair) for pair in line.items()], np.int32),
            np.array(types, np.int8),
            np.array(rewards, np.float32),
            np.where(np.array(types) == LAST, 0.0, 1.0),
        )

    def send(self, action, env_id):
        self.calls.append(f"send {action} to {env_id}")

    def close(self):
        self.calls.append("close")

    def _stack(self, env, step):
        frames = self._frames[env]
        frames.append(10 * env + len(frames))
        older = frames[-1] if step[0] == FIRST else frames[-2]
        return [[older], [frames[-1]]]


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


def streams(unrolls, length):
    """Joins each environment's trajectories, which overlap by one step."""
    pieces = collections.defaultdict(list)
    for unroll in unrolls:
        envs, times = np.moveaxis(unroll.transitions.logits[..., :2], -1, 0)
        for b, env in enumerate(envs[0]):
            begins = length * len(pieces[env])
            assert (envs[:, b] == env).all()
            np.testing.assert_array_equal(
                times[:, b], begins + np.arange(length + 1)
            )
            trajectory = jax.tree.map(
                lambda x, b=b: x[:, b], unroll.transitions
            )
            if pieces[env]:
                last = jax.tree.map(lambda x: x[-1], pieces[env][-1])
                assert_equal(jax.tree.map(lambda x: x[0], trajectory), last)
            pieces[env].append(trajectory)
    joined = {}
    for env, trajectories in pieces.items():
        new = [
            jax.tree.map(lambda x: x[:-1], trajectory)
            for trajectory in trajectories
        ]
        joined[int(env)] = jax.tree.map(lambda *xs: np.concatenate(xs), *new)
    return joined


@pytest.mark.parametrize(("num_envs", "batch_size"), [(5, 2), (3, 1)])
def test_asynchronous_games_are_those_played_in_lockstep(
    num_envs, batch_size, counting_agent, lockstep, shorten
):
    shorten("impala", 60)
    environment = make_environment(
        "Breakout-v5", num_envs=num_envs, batch_size=batch_size
    )
    unroller = Unroller(
        environment,
        counting_agent(environment.spec),
        unroll_length=7,
        trajectories=3,
        seed=0,
    )
    unrolls = [unroller.unroll((), 0)[0] for _ in range(35)]
    unroller.close()
    played = streams(unrolls, length=7)
    steps = min(len(stream.action) for stream in played.values())
    assert sorted(played) == list(range(num_envs))
    assert steps > 62  # a game and more of every environment

    actions = np.stack([played[n].action[:steps] for n in range(num_envs)], 1)
    expected = lockstep("Breakout-v5", "impala", 3, actions[:-1])
    for n in range(num_envs):
        stream = jax.tree.map(lambda x, n=n: x[:steps], played[n])
        lost = np.diff(expected.lives[:, n], prepend=np.inf) < 0
        first = expected.elapsed[:, n] == 0
        over = expected.terminated[:, n] | (lost & ~first)
        last = expected.terminated[:, n] | expected.truncated[:, n]
        types = np.where(first, FIRST, np.where(last, LAST, MID))
        np.testing.assert_array_equal(
            stream.observation, expected.observation[:, n, -1:]
        )
        np.testing.assert_array_equal(stream.reward, expected.reward[:, n])
        np.testing.assert_array_equal(stream.discount, 1.0 - over)
        np.testing.assert_array_equal(stream.step_type, types)
        assert lost.any()


def test_scores_are_those_of_the_games(counting_agent, lockstep):
    environment = make_environment("Breakout-v5", num_envs=1)
    unroller = Unroller(
        environment,
        counting_agent(environment.spec),
        unroll_length=300,
        trajectories=2,
        seed=0,
    )
    unroll, episodes = unroller.unroll((), 0)
    unroller.close()
    actions = np.concatenate(
        [unroll.transitions.action[:-1, b] for b in (0, 1)]
    )
    expected = lockstep("Breakout-v5", "impala", 3, actions[:, None])
    ends = np.flatnonzero(expected.terminated)
    games = np.split(expected.reward[:, 0], ends + 1)[:-1]
    # The first step of a game is its reset.
    assert episodes == [
        Episode(float(game.sum()), 4 * (len(game) - 1)) for game in games
    ]
    assert len(episodes) >= 2
    assert max(episode.episode_return for episode in episodes) >= 2


def biased_agent(spec):
    """Logits are the parameters, whatever is seen."""

    def step(params, key, observation, first, core_state):
        logits = jnp.broadcast_to(params, (len(first), spec.num_actions))
        action = jax.random.categorical(key, logits).astype(jnp.int32)
        return AgentOutput(action, logits, jnp.zeros((len(first), 1))), ()

    return Agent(lambda key: (), lambda size: (), step, unroll=None)


def play_catch(seed, *params):
    environment = make_environment("Catch-v0")
    agent = biased_agent(environment.spec)
    unroller = Unroller(
        environment, agent, unroll_length=50, trajectories=2, seed=seed
    )
    unrolls = [unroller.unroll(p, 0)[0].transitions for p in params]
    unroller.close()
    return unrolls


def test_new_parameters_act_from_the_next_step_on():
    old, new = np.array([99.0, 0.0, 0.0]), np.array([0.0, 0.0, 99.0])
    before, after = play_catch(0, old, new)
    assert (before.action == 0).all()
    # The overlapping step had been taken with the old ones.
    assert (after.action[0] == 0).all()
    assert (after.action[1:] == 2).all()
    np.testing.assert_array_equal(after.logits[0], [old, old])
    np.testing.assert_array_equal(after.logits[1], [new, new])


def test_actions_are_drawn_anew_at_each_step_as_seeded():
    uniform = np.zeros(3)
    first, repeated, other = (
        play_catch(seed, uniform)[0].action for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, repeated)
    assert (first != other).any()
    counts = np.bincount(first.ravel(), minlength=3)
    assert (counts > 102 / 3 - 20).all()
    assert (first[:, 0] != first[:, 1]).any()


def make_recurrent(task, **options):
    """A real recurrent agent, whose random actions a tape must keep."""
    environment = make_environment(task)
    agent = make_agent(
        environment.spec,
        lambda: networks.ActorCritic(
            networks.mlp((3,)),
            num_actions=environment.spec.num_actions,
            num_heads=1,
            lstm_size=4,
        ),
    )
    unroller = Unroller(
        environment, agent, unroll_length=5, trajectories=2, seed=0, **options
    )
    rng = np.random.default_rng(0)
    params = jax.tree.map(
        lambda x: rng.normal(size=x.shape).astype(np.float32),
        jax.eval_shape(agent.init, jax.random.key(0)),
    )
    return unroller, params


def through_a_file(tape):
    file = io.BytesIO()
    np.savez(file, **tape)
    file.seek(0)
    return dict(np.load(file))


@pytest.mark.parametrize(
    ("task", "limit"), [("Catch-v0", None), ("Pong-v5", 12)]
)
def test_tape_goes_on_bit_for_bit(task, limit, shorten):
    if limit:
        shorten("impala", limit)
    unroller, params = make_recurrent(task, tape=True)
    history = [unroller.unroll(params, version) for version in range(4)]
    tape = through_a_file(unroller.tape())
    future = [unroller.unroll(params, version) for version in (4, 5)]
    unroller.close()
    assert sum(len(episodes) for _, episodes in history + future) >= 2

    fresh, _ = make_recurrent(task, tape=True)
    fresh.replay(tape)
    nonsense = jax.tree.map(np.zeros_like, params)
    assert_equal([fresh.unroll(nonsense, 99) for _ in range(4)], history)
    assert_equal([fresh.unroll(params, version) for version in (4, 5)], future)
    assert_equal(fresh.tape(), unroller.tape())
    fresh.close()


def test_tape_of_nothing_is_a_fresh_start():
    unroller, params = make_recurrent("Catch-v0", tape=True)
    fresh, _ = make_recurrent("Catch-v0")
    fresh.replay(through_a_file(unroller.tape()))
    assert_equal(fresh.unroll(params, 0), unroller.unroll(params, 0))
    unroller.close()
    fresh.close()


def test_tape_needs_lockstep(counting_agent):
    environment = Scripted()
    with pytest.raises(ValueError, match="batch_size = num_envs"):
        Unroller(
            environment,
            counting_agent(environment.spec),
            unroll_length=2,
            trajectories=1,
            seed=0,
            tape=True,
        )


def test_without_a_tape_there_is_none_to_give(counting_agent):
    environment = Scripted()
    agent = counting_agent(environment.spec)
    unroller = Unroller(
        environment, agent, unroll_length=2, trajectories=1, seed=0
    )
    with pytest.raises(ValueError, match="keeps no tape"):
        unroller.tape()
