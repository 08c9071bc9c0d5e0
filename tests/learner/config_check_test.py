"""Numbers that cannot work are refused, those at the edge are not."""

import pytest

from learner.config import Config, ConfigError
from learner.config_check import check
from tests.learner.settings import changed

NAN = float("nan")
# (changes, field in the message, value in the message, what would do)
IMPOSSIBLE = [
    ({"frames": 0}, "frames", "0", "at least 1"),
    ({"frames": -5}, "frames", "-5", "at least 1"),
    ({"seed": -1}, "seed", "-1", "negative"),
    ({"seed": 10**9}, "seed", "1000000000", "below 1,000,000,000"),
    ({"evaluation_episodes": -1}, "evaluation-episodes", "-1", "negative"),
    ({"evaluation_frames": -1}, "evaluation-frames", "-1", "negative"),
    (
        {"evaluation_frames": 9, "evaluation_episodes": 0},
        *("evaluation-frames", "9", "take 10 episodes"),
    ),
    ({"log_seconds": 0.0}, "log-seconds", "0.0", "positive"),
    (
        {"writers": ("mlflow", "tensorbord")},
        *("writers", "tensorbord", "nearest: tensorboard"),
    ),
    ({"actors__count": 0}, "actors.count", "0", "at least 1"),
    ({"actors__envs": 0}, "actors.envs", "0", "at least 1"),
    ({"actors__envs_per_step": 0}, "actors.envs-per-step", "0", "at least 1"),
    ({"actors__threads": -1}, "actors.threads", "-1", "at least 1"),
    ({"actors__cpus": -0.5}, "actors.cpus", "-0.5", "negative"),
    ({"actors__trajectories": 0}, "actors.trajectories", "0", "at least 1"),
    ({"actors__in_flight": 0}, "actors.in-flight", "0", "at least 1"),
    ({"actors__timeout": 0.0}, "actors.timeout", "0.0", "positive"),
    ({"actors__max_failures": 0}, "actors.max-failures", "0", "at least 1"),
    ({"learner__unroll_length": 0}, "learner.unroll-length", "0", "at least 1"),
    ({"learner__batch": 0}, "learner.batch", "0", "at least 1"),
    ({"learner__devices": -1}, "learner.devices", "-1", "negative"),
    ({"learner__gpus": -1.0}, "learner.gpus", "-1.0", "negative"),
    ({"learner__prefetch": 0}, "learner.prefetch", "0", "at least 1"),
    ({"learner__max_skipped": 0}, "learner.max-skipped", "0", "at least 1"),
    ({"learner__max_restarts": -1}, "learner.max-restarts", "-1", "negative"),
    ({"meta__inner_updates": -1}, "meta.inner-updates (K)", "-1", "at least 1"),
    ({"meta__inner_updates": 0}, "meta.inner-updates (K)", "0", "at least 1"),
    (
        {"meta__bootstrap_updates": 0},
        "meta.bootstrap-updates (L)",
        "0",
        "at least 1",
    ),
    ({"meta__initial": 0.0}, "meta.initial", "0.0", "strictly between"),
    ({"meta__initial": 1.0}, "meta.initial", "1.0", "strictly between"),
    (
        {"meta__learning_rate": -1e-3},
        "meta.learning-rate",
        "-0.001",
        "negative",
    ),
    (
        {"meta__bootstrap_learning_rate": -1.0},
        "meta.bootstrap-learning-rate",
        "-1.0",
        "negative",
    ),
    ({"meta__epsilon": 0.0}, "meta.epsilon", "0.0", "1e-4"),
    ({"meta__clip": -0.1}, "meta.clip", "-0.1", "negative"),
    ({"meta__outer_kl": -1.0}, "meta.outer-kl", "-1.0", "negative"),
    (
        {"meta__value_coefficient": -1.0},
        "meta.value-coefficient",
        "-1.0",
        "negative",
    ),
    (
        {"meta__tuned": ("discount", "lambda")},
        "meta.tuned",
        "lambda",
        "must be among discount, trace, value_weight",
    ),
    ({"meta__tuned": ("alpha-rho",)}, "meta.tuned", "alpha-rho", "alpha_rho"),
    ({"loss__discount": 1.5}, "loss.discount", "1.5", "between 0 and 1"),
    ({"loss__discount": NAN}, "loss.discount", "nan", "between 0 and 1"),
    ({"loss__trace": -0.1}, "loss.trace", "-0.1", "between 0 and 1"),
    ({"loss__reward_clip": -1.0}, "loss.reward-clip", "-1.0", "negative"),
    ({"loss__auxiliary_heads": -1}, "loss.auxiliary-heads", "-1", "negative"),
    (
        {"loss__value_weight": 0.0},
        "loss.value-weight",
        "0.0",
        "leave value_weight out of meta.tuned",
    ),
    (
        {"optimiser__learning_rate": NAN},
        "optimiser.learning-rate",
        "nan",
        "negative",
    ),
    ({"optimiser__decay": 1.0}, "optimiser.decay", "1.0", "below 1"),
    ({"optimiser__epsilon": 0.0}, "optimiser.epsilon", "0.0", "1e-4"),
    ({"optimiser__clip": -1.0}, "optimiser.clip", "-1.0", "negative"),
    (
        {"optimiser__final_fraction": 1.1},
        "optimiser.final-fraction",
        "1.1",
        "between 0 and 1",
    ),
    ({"network__hidden": 0}, "network.hidden", "0", "at least 1"),
    ({"network__lstm": -4}, "network.lstm", "-4", "negative"),
    ({"network__channels": (16, 0)}, "network.channels", "0", "at least 1"),
    (
        {"network__head_hidden": (-8,)},
        "network.head-hidden",
        "-8",
        "at least 1",
    ),
    ({"replay__trajectories": -1}, "replay.trajectories", "-1", "negative"),
    ({"replay__capacity": 0}, "replay.capacity", "0", "at least 1"),
    ({"replay__kl_threshold": -1.0}, "replay.kl-threshold", "-1.0", "negative"),
    ({"checkpoint__seconds": 0.0}, "checkpoint.seconds", "0.0", "positive"),
    ({"checkpoint__updates": -1}, "checkpoint.updates", "-1", "negative"),
    ({"checkpoint__keep": 0}, "checkpoint.keep", "0", "at least 1"),
    ({"checkpoint__milestones": -1}, "checkpoint.milestones", "-1", "negative"),
    (
        {"learner__batch": 32, "learner__devices": 5},
        "learner.devices",
        "5",
        "take 30 or 35",
    ),
    (
        {"learner__batch": 3, "learner__devices": 4},
        "learner.batch",
        "3",
        "take 4",
    ),
    (
        {"actors__envs": 8, "actors__envs_per_step": 9},
        "actors.envs-per-step",
        "9",
        "at most 8",
    ),
    ({"learner__hosts": 0}, "learner.hosts", "0", "at least 1"),
    (
        {"learner__batch": 30, "learner__hosts": 2, "learner__devices": 2},
        *("learner.batch", "30", "take 28 or 32"),
    ),
    (
        {"learner__batch": 30, "learner__hosts": 4},
        *("learner.batch", "30", "learner.hosts = 4: take 28 or 32"),
    ),
    (
        {"learner__hosts": 4, "actors__count": 2},
        *("actors.count", "2", "learner.hosts = 4: take 4"),
    ),
    (
        {"learner__hosts": 2, "actors__count": 5},
        *("actors.count", "5", "take 4 or 6"),
    ),
    (
        {"learner__hosts": 2, "replay__trajectories": 5},
        *("replay.trajectories", "5", "take 4 or 6"),
    ),
    (
        {"learner__hosts": 2, "actors__min": 1},
        *("actors.min", "1", "at least 2"),
    ),
    (
        {"learner__hosts": 2, "actors__in_process": True},
        *("learner.hosts", "2", "take --learner.hosts 1"),
    ),
    (
        {"learner__batch": 16, "replay__trajectories": 16},
        "replay.trajectories",
        "16",
        "at most 15",
    ),
]


@pytest.mark.parametrize(
    ("changes", "field", "value", "remedy"),
    IMPOSSIBLE,
    ids=[f"{field}={value}" for _, field, value, _ in IMPOSSIBLE],
)
def test_impossible_numbers_are_refused_in_one_line(
    changes, field, value, remedy
):
    with pytest.raises(ConfigError) as error:
        check(changed(Config(), **changes))
    message = str(error.value)
    assert "\n" not in message
    assert f"{field} = " in message
    assert f" = {value}" in message or f" = {value!r}" in message
    assert remedy in message


@pytest.mark.parametrize(
    "changes",
    [
        {"network__channels": (), "network__head_hidden": ()},
        {"learner__batch": 32, "learner__devices": 4},
        {"learner__hosts": 4, "actors__min": 4, "replay__trajectories": 8},
        {"learner__hosts": 2, "learner__devices": 16},
        {"actors__envs": 8, "actors__envs_per_step": 8},
        {"learner__batch": 16, "replay__trajectories": 15},
        {"loss__discount": 1.0, "loss__trace": 0.0, "seed": 0},
        {"loss__value_weight": 0.0, "algorithm": "impala"},
        {"loss__value_weight": 0.0, "meta__tuned": ("discount",)},
        {"meta__tuned": ()},
    ],
    ids=str,
)
def test_numbers_at_the_edge_of_what_works_pass(changes):
    check(changed(Config(), **changes))
