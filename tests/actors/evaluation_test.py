"""Evaluation: a whole game per environment, against EnvPool's interface."""

import numpy as np
import pytest

from actors.environment import Environment
from actors.episode import Episode
from actors.evaluation import play


@pytest.mark.filterwarnings("ignore:.*precision lowered")  # EnvPool's own
def test_every_environment_plays_one_whole_game(counting_agent, lockstep):
    environment = Environment(
        "CartPole-v1",
        "impala",
        num_envs=6,
        batch_size=6,
        num_threads=2,
        seed=3,
    )
    agent = counting_agent(environment.spec)
    games = play(environment, agent, (), seed=0)
    environment.close()

    # What the counting agent does.
    time, env = np.ogrid[:200, :6]
    actions = (time * time // 30 + time + 3 * env) % 2
    expected = lockstep("CartPole-v1", None, 3, actions.astype(np.int32))
    lengths = expected.terminated.argmax(axis=0)
    # A reward and a frame for each step but the first.
    assert games == [Episode(float(n), int(n)) for n in lengths]
    # The shortest had begun others meanwhile, which do not count.
    assert lengths.max() > lengths.min() + 10
