"""Environments by task, stepped asynchronously: EnvPool's, or one's own.

Both reset on the *next* step: the step after the last one of an episode ignores
its action and returns the first observation with reward 0.
"""

import difflib
import functools
import warnings
from typing import Any

import envpool
import numpy as np

from actors import custom, spaces
from actors.protocols import PROTOCOLS, check_protocol
from actors.spaces import Spaces, Spec
from actors.transition import FIRST, LAST, MID, Step


def check_task(task: str) -> None:
    """Raises `ValueError` naming the nearest tasks if there is no such task."""
    if custom.is_custom(task):
        custom.load(task)
        return
    tasks = envpool.list_all_envs()
    if task in tasks:
        return
    lower = {name.lower(): name for name in tasks}
    guesses = [task.lower(), f"{task.lower()}-v5"]
    close = [
        lower[match]
        for guess in guesses
        for match in difflib.get_close_matches(guess, lower, n=3, cutoff=0.5)
    ]
    near = ", ".join(dict.fromkeys(close)) or "none is near"
    raise ValueError(
        f"unknown task {task!r} among EnvPool's {len(tasks)}; nearest: {near} "
        "(an environment of your own is package.module:make)"
    )


def spec(task: str, protocol: str) -> Spec:
    """Returns the `Spec` of a task; of EnvPool's without starting any.

    Raises:
      ValueError: for an unknown task, one that this machine lacks a library
        for, or one whose actions or observations are of the wrong kind.
    """
    check_task(task)
    check_protocol(protocol)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # gymnasium warns of its own casts
        if custom.is_custom(task):
            return Spec(*custom.read_spaces(task), stack=1, frames_per_step=1)
        read, config = _read_envpool(task, protocol)
    return Spec(
        *read,
        stack=int(config.get("stack_num", 1)),
        frames_per_step=int(config.get("frame_skip", 1)),
    )


class Environment:
    """`num_envs` environments of a task, `batch_size` awaited at a time.

    Args:
      task: EnvPool's name, such as `Pong-v5`, or `package.module:make`.
      protocol: a key of `PROTOCOLS`; only Atari games read it.
      num_envs: environments.
      batch_size: environments that `recv` waits for; `num_envs` for lock-step.
      num_threads: EnvPool's threads.
      seed: environment i is seeded with seed + i.
      pictures: keep what `pictures` shows.
    """

    def __init__(
        self,
        task: str,
        protocol: str,
        *,
        num_envs: int,
        batch_size: int,
        num_threads: int,
        seed: int,
        pictures: bool = False,
    ):
        self.spec = spec(task, protocol)
        self.num_envs = num_envs
        self.batch_size = batch_size
        self._life_loss_ends_discount = (
            _is_atari(task) and PROTOCOLS[protocol].life_loss_ends_discount
        )
        self._lives = np.zeros(num_envs, np.int32)
        # Two functions with one interface.
        own = custom.is_custom(task)
        make: Any = custom.VectorEnvironment if own else envpool.make_gymnasium
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # gymnasium warns of its own casts
            self._pool = make(
                task,
                num_envs=num_envs,
                batch_size=batch_size,
                num_threads=num_threads,
                seed=seed,
                **_options(task, protocol),
                **({"render_mode": "rgb_array"} if pictures else {}),
            )
            _ = self._pool.observation_space  # made, and warned of, once

    def reset(self) -> None:
        """Starts all environments; the first observations come from `recv`."""
        self._pool.async_reset()

    def recv(self) -> Step:
        """Waits for `batch_size` environments."""
        observation, reward, terminated, truncated, info = self._pool.recv()
        env_id = info["env_id"]
        step_type = np.where(info["elapsed_step"] == 0, FIRST, MID)
        step_type = np.where(terminated | truncated, LAST, step_type)
        # A truncated episode goes on in principle: its discount stays 1.
        discount = 1.0 - terminated.astype(np.float32)
        if self._life_loss_ends_discount:
            lost = (info["lives"] < self._lives[env_id]) & (step_type != FIRST)
            discount = np.where(lost, np.float32(0.0), discount)
            self._lives[env_id] = info["lives"]
        return Step(
            env_id,
            spaces.image(observation),
            step_type.astype(np.int8),
            reward.astype(np.float32),
            discount,
        )

    def send(self, action: np.ndarray, env_id: np.ndarray) -> None:
        """Steps the environments `env_id` with `action`, both `[M]`."""
        self._pool.send(action, env_id)

    def pictures(self) -> np.ndarray | None:
        """What a person would see of every environment now.

        `[num_envs, H, W, 3]`; None where the task has no pictures.
        """
        try:
            return self._pool.render(env_ids=list(range(self.num_envs)))
        except RuntimeError:
            return None

    def close(self) -> None:
        """Ends EnvPool's threads, or closes one's own environments."""
        self._pool.close()


def _read_envpool(task: str, protocol: str) -> tuple[Spaces, dict[str, Any]]:
    """The spaces of EnvPool's task, and its configuration."""
    try:
        made = envpool.make_spec(task, **_options(task, protocol))
    except (ImportError, RuntimeError) as error:
        raise ValueError(f"task {task!r} cannot run here: {error}") from error
    actions = made.gymnasium_action_space
    read = spaces.read(task, actions, made.gymnasium_observation_space)
    return read, made.config._asdict()


@functools.cache  # EnvPool reads the game's ROM: 0.2 s
def _is_atari(task: str) -> bool:
    if custom.is_custom(task):
        return False
    config = envpool.make_spec(task).config._asdict()
    return "repeat_action_probability" in config


def _options(task: str, protocol: str) -> dict[str, Any]:
    return PROTOCOLS[protocol].options if _is_atari(task) else {}
