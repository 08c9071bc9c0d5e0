"""Runs RLlib's IMPALA; imports nothing of bmg, and prints one line of JSON.

One environment runner, and the learner in this process, as `bmg train` with
one actor.
"""

import json
import sys
import time

import ale_py
import gymnasium
import torch
from ray import tune
from ray.rllib.algorithms.impala import IMPALAConfig
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.env.wrappers.atari_wrappers import wrap_atari_for_new_api_stack

_WARM_UP = 20.0  # seconds
_COUNT = "num_env_steps_trained_lifetime"


def main() -> None:
    """Trains for some seconds and counts the steps learned from."""
    options = json.loads(sys.argv[1])
    tune.register_env("game", lambda _: _make(options["game"]))
    algorithm = _config(options).build_algo()
    _train(algorithm, _WARM_UP)
    before = _train(algorithm, 0.0)
    start = time.perf_counter()
    after = _train(algorithm, options["seconds"])
    seconds = time.perf_counter() - start
    measured = {
        "steps_per_second": (after - before) / seconds,
        "seconds": seconds,
        "torch": torch.__version__,
    }
    print(json.dumps(measured), flush=True)


def _make(game: str) -> gymnasium.Env:
    gymnasium.register_envs(ale_py)  # in the process of each runner
    return wrap_atari_for_new_api_stack(
        gymnasium.make(f"ALE/{game}-v5", frameskip=1), dim=84, framestack=4
    )


def _config(options: dict) -> IMPALAConfig:
    return (
        IMPALAConfig()
        .environment("game")
        .env_runners(
            num_env_runners=1,
            num_envs_per_env_runner=options["envs"],
            rollout_fragment_length=options["unroll_length"],
        )
        .learners(num_learners=0)
        .training(
            train_batch_size_per_learner=options["batch"]
            * options["unroll_length"]
        )
        .rl_module(
            model_config=DefaultModelConfig(
                conv_filters=options["filters"],
                conv_activation="relu",
                head_fcnet_hiddens=[options["hidden"]],
                vf_share_layers=True,
            )
        )
    )


def _train(algorithm, seconds: float) -> float:
    """Trains at least so long, to an iteration that reports its learner.

    Returns:
      Steps learned from since the start.
    """
    start = time.perf_counter()
    while True:
        learners = algorithm.train().get("learners", {})
        steps = learners.get("__all_modules__", {}).get(_COUNT)
        if steps is not None and time.perf_counter() - start >= seconds:
            return steps


if __name__ == "__main__":
    main()
