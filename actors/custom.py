"""Environments of the user's own, with the interface of EnvPool's.

A task `package.module:make` names a callable that returns a Gymnasium-style
environment: two spaces, `reset(seed=…) -> (observation, info)` and
`step(action) -> (observation, reward, terminated, truncated, info)`. Gymnasium
itself is not needed.
"""

import collections
import difflib
import functools
import importlib
import inspect
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from actors import spaces
from actors.spaces import Spaces, TaskError


def is_custom(task: str) -> bool:
    """Whether a task is code to import: no name of EnvPool's has a colon."""
    return ":" in task


def load(task: str) -> Callable[..., Any]:
    """Imports what makes a task's environments.

    Raises:
      TaskError: if it cannot be imported or called, naming what is near.
    """
    name, _, attribute = task.partition(":")
    try:
        module = importlib.import_module(name)
    except Exception as error:  # whatever their code raises
        # Their module, or one that it wants.
        lacking = f"{getattr(error, 'name', None)}."
        near = _near(
            name, _local_modules() if f"{name}.".startswith(lacking) else ()
        )
        raise TaskError(
            f"task {task!r}: {name!r} cannot be imported "
            f"({_reason(error)}){near}"
        ) from error
    make = getattr(module, attribute, None)
    if not callable(make):
        names = [key for key, value in vars(module).items() if callable(value)]
        raise TaskError(
            f"task {task!r}: {name} has nothing to call by the name of "
            f"{attribute!r}{_near(attribute, names)}"
        )
    return make


@functools.cache  # it makes an environment
def read_spaces(task: str) -> Spaces:
    """What a task's environments take and give; one is reset and stepped.

    Raises:
      TaskError: if it cannot be imported, made, reset or stepped.
    """
    try:
        envs = VectorEnvironment(task, num_envs=1, batch_size=1, seed=0)
        envs.async_reset()
        *_, info = envs.recv()
        envs.send(np.zeros(1, np.int32), info["env_id"])
        envs.recv()
        envs.close()
    except TaskError:
        raise
    except Exception as error:  # whatever their code raises
        raise TaskError(
            f"task {task!r} cannot be played ({_reason(error)}): it has to be "
            "made without arguments, reset and stepped as Gymnasium's are"
        ) from error
    return envs.spaces


class VectorEnvironment:
    """Environments of one kind, stepped in turn.

    As EnvPool, it resets on the step after the last one of an episode, and
    ignores the action of that step.

    Args:
      task: `package.module:make`.
      num_envs: environments.
      batch_size: environments that `recv` steps.
      seed: environment i is first reset with seed + i, later without a seed:
        its random numbers go on.
      num_threads: EnvPool's; here there is one.
      render_mode: given to `make` where it takes one.
    """

    def __init__(
        self,
        task: str,
        *,
        num_envs: int,
        batch_size: int,
        seed: int,
        num_threads: int = 1,
        render_mode: str | None = None,
    ):
        del num_threads
        make = _with_pictures(load(task), render_mode)
        self._task = task
        self._envs = [make() for _ in range(num_envs)]
        self.action_space = self._envs[0].action_space
        self.observation_space = self._envs[0].observation_space
        read = spaces.read(task, self.action_space, self.observation_space)
        # Bytes stay bytes; JAX computes in float32 whatever comes.
        dtype = read.dtype if read.dtype == np.uint8 else np.dtype(np.float32)
        self.spaces = read._replace(dtype=dtype)
        self._first_action = int(getattr(self.action_space, "start", 0))
        self._batch_size = batch_size
        self._seeds: list[int | None] = [seed + n for n in range(num_envs)]
        self._over = np.ones(num_envs, bool)
        self._elapsed = np.zeros(num_envs, np.int64)
        # The environments that step next, and their actions.
        self._turns: collections.deque[tuple[int, int]] = collections.deque()

    def async_reset(self) -> None:
        """Every environment is to be reset."""
        self._turns.extend((index, 0) for index in range(len(self._envs)))

    def send(self, action: np.ndarray, env_id: np.ndarray) -> None:
        """The environments `env_id` are to step with `action`, both `[M]`."""
        self._turns.extend(zip(env_id.tolist(), action.tolist(), strict=True))

    def recv(self) -> tuple[Any, ...]:
        """Steps the next M = `batch_size` environments.

        Returns:
          Observations `[M, …]`, rewards, terminated and truncated `[M]`, and a
          dictionary of `env_id` and `elapsed_step` `[M]`, 0 after a reset.
        """
        turns = [self._turns.popleft() for _ in range(self._batch_size)]
        steps = [self._step(index, action) for index, action in turns]
        env_id = np.array([index for index, _ in turns])
        info = {"env_id": env_id, "elapsed_step": self._elapsed[env_id]}
        return *map(np.array, zip(*steps, strict=True)), info

    def render(self, env_ids: Sequence[int]) -> np.ndarray:
        """Pictures `[N, H, W, 3]`; RuntimeError where there are none."""
        try:
            pictures = np.array([self._envs[n].render() for n in env_ids])
        except Exception as error:  # whatever their code raises
            raise RuntimeError(f"no pictures ({_reason(error)})") from error
        if pictures.ndim != 4 or pictures.shape[-1] != 3:
            raise RuntimeError(f"pictures have the shape {pictures.shape}")
        return pictures

    def close(self) -> None:
        """Closes those that can be closed."""
        for env in self._envs:
            getattr(env, "close", lambda: None)()

    def _step(
        self, index: int, action: int
    ) -> tuple[np.ndarray, float, bool, bool]:
        env = self._envs[index]
        if self._over[index]:
            observation, _ = env.reset(seed=self._seeds[index])
            reward, terminated, truncated = 0.0, False, False
            self._seeds[index] = None
            self._elapsed[index] = 0
        else:
            observation, reward, terminated, truncated, _ = env.step(
                self._first_action + action
            )
            self._elapsed[index] += 1
        self._over[index] = terminated or truncated
        return (
            self._array(observation),
            float(reward),
            bool(terminated),
            bool(truncated),
        )

    def _array(self, observation: Any) -> np.ndarray:
        array = np.asarray(spaces.image(observation), self.spaces.dtype)
        if array.shape != self.spaces.shape:
            raise TaskError(
                f"task {self._task!r} gave an observation of the shape "
                f"{array.shape}; its space says {self.spaces.shape}"
            )
        return array


def _with_pictures(
    make: Callable[..., Any], mode: str | None
) -> Callable[..., Any]:
    """`make` for that render mode, as far as it takes one."""
    if mode is None:
        return make
    try:
        inspect.signature(make).bind(render_mode=mode)
    except (TypeError, ValueError):  # it does not, or has no signature
        return make
    return functools.partial(make, render_mode=mode)


def _local_modules() -> list[str]:
    """Modules of the working folder and of the packages in it, dotted."""
    folder = pathlib.Path.cwd()
    found = [*folder.glob("*.py"), *folder.glob("[!.]*/*.py")]
    return [
        ".".join(path.relative_to(folder).with_suffix("").parts)
        for path in found
    ]


def _near(name: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(names), n=1)
    return f"; nearest: {close[0]}" if close else ""


def _reason(error: Exception) -> str:
    """The kind of an error and the first line of its message."""
    return ": ".join([type(error).__name__, *str(error).splitlines()[:1]])
