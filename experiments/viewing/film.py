"""A game as moving pictures: the screen, and what the agent thinks of it."""

import itertools
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import imageio.v3
import jax
import numpy as np
from PIL import Image, ImageDraw

from actors.agent import Agent, AgentOutput
from actors.compression import COMPRESSIONS
from actors.environment import Environment
from actors.evaluation import play
from actors.transition import FIRST, LAST, Step

PyTree = Any
_ZLIB = COMPRESSIONS["zlib"]
_WIDTH, _TRACE = 160, 60  # pixels of a panel, and of the values' height
_INK, _FAINT, _BACK = (235, 235, 235), (90, 90, 90), (20, 20, 24)
_BLUE, _ORANGE = (90, 160, 250), (250, 170, 60)


class Shot(NamedTuple):
    """One agent step of a game."""

    picture: Any  # [H, W, 3], packed: a game has thousands
    score: float  # so far
    probabilities: np.ndarray  # [A]
    action: int
    value: float


def record(
    environment: Environment, agent: Agent, params: PyTree, *, seed: int
) -> list[Shot]:
    """One whole game, step by step.

    Args:
      environment: a single one, with pictures.
      agent: how to act.
      params: of the agent.
      seed: of the actions.
    """
    shots: list[Shot] = []
    score = 0.0
    over = False

    def watch(step: Step, output: AgentOutput) -> None:
        nonlocal score, over
        if over:
            return
        score += float(step.reward[0]) * (step.step_type[0] != FIRST)
        over = step.step_type[0] == LAST
        shots.append(
            Shot(
                _ZLIB.pack(_picture(environment, step)),
                score,
                np.asarray(jax.nn.softmax(output.logits[0])),
                int(output.action[0]),
                float(output.values[0, 0]),
            )
        )

    play(environment, agent, params, seed=seed, watch=watch)
    return shots


def _picture(environment: Environment, step: Step) -> np.ndarray:
    pictures = environment.pictures()
    picture = _seen(step) if pictures is None else pictures[0]
    # As high as an Atari screen, where it would be smaller; a vector is a row
    # of stripes.
    down = max(1, 210 // picture.shape[0])
    across = max(1, min(down, 420 // picture.shape[1]))
    return picture.repeat(down, axis=0).repeat(across, axis=1)


def _seen(step: Step) -> np.ndarray:
    """What the agent sees: the newest of its frames, in grey."""
    frame = np.atleast_2d(np.asarray(step.observation[0], np.float32))
    frame = frame.reshape(-1, *frame.shape[-2:])[-1]
    bright = 255 * (frame - frame.min()) / max(np.ptp(frame), 1e-9)
    return np.repeat(bright.astype(np.uint8)[..., None], 3, axis=-1)


def write(
    out: pathlib.Path,
    games: Sequence[tuple[str, Sequence[Shot]]],
    *,
    per_second: float,
) -> None:
    """Writes games side by side; those that end sooner stand still.

    Args:
      out: a path that ends in .gif or .mp4.
      games: with a title each.
      per_second: agent steps that a second shows.
    """
    frames = (
        np.concatenate(sides, axis=1)
        for sides in _zip_last(*(_frames(*game) for game in games))
    )
    if out.suffix == ".gif":
        first, *rest = (
            # Two hundred colours that never change: smaller, and no flicker.
            Image.fromarray(frame).quantize(200, dither=Image.Dither.NONE)
            for frame in frames
        )
        first.save(
            out,
            save_all=True,
            append_images=rest,
            duration=1000 / per_second,
            loop=0,
        )
        return
    film = np.stack(list(frames))
    # Codecs want sizes that are multiples of 16.
    missing = [-size % 16 for size in film.shape[1:3]]
    film = np.pad(film, ((0, 0), (0, missing[0]), (0, missing[1]), (0, 0)))
    imageio.v3.imwrite(out, film, fps=per_second)


def _zip_last(*sequences: Iterable[Any]) -> Iterator[list[Any]]:
    """As `zip`, to the end of the longest; others repeat their last."""
    last: list[Any] = [None] * len(sequences)
    for items in itertools.zip_longest(*sequences):
        last = [
            before if item is None else item
            for item, before in zip(items, last, strict=True)
        ]
        yield last


def _frames(title: str, shots: Sequence[Shot]) -> Iterator[np.ndarray]:
    values = np.array([shot.value for shot in shots])
    for at, shot in enumerate(shots):
        picture = _ZLIB.unpack(shot.picture)
        panel = _panel(title, shot, values, at, picture.shape[0])
        yield np.concatenate([picture, panel], axis=1)


def _panel(
    title: str, shot: Shot, values: np.ndarray, at: int, height: int
) -> np.ndarray:
    image = Image.new("RGB", (_WIDTH, height), _BACK)
    draw = ImageDraw.Draw(image)
    draw.text((6, 4), title, _INK)
    draw.text((6, 18), f"score {shot.score:g}   step {at}", _INK)
    bars = height - _TRACE - 40
    each = bars / len(shot.probabilities)
    for action, share in enumerate(shot.probabilities):
        top = 36 + each * action
        taken = _ORANGE if action == shot.action else _BLUE
        end = 24 + share * (_WIDTH - 34)
        draw.rectangle((24, top + 1, end, top + max(each - 2, 2)), taken)
        if each >= 11:
            draw.text((6, top), f"{action}", _FAINT)
    _trace(draw, values[max(at - 99, 0) : at + 1], height)
    draw.text((6, height - _TRACE), f"value {shot.value:.2f}", _INK)
    return np.asarray(image)


def _trace(draw: ImageDraw.ImageDraw, values: np.ndarray, height: int) -> None:
    """The values of the last hundred steps, over their own range."""
    low, high = values.min(), values.max()
    scaled = (values - low) / max(high - low, 1e-9)
    points = [
        (6 + n * (_WIDTH - 12) / 100, height - 4 - y * (_TRACE - 20))
        for n, y in enumerate(scaled)
    ]
    if len(points) > 1:
        draw.line(points, _ORANGE, 1)
