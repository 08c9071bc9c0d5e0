"""The beginning of a game as the agent sees it, small enough to send."""

import imageio.v3
import numpy as np

from actors.agent import AgentOutput
from actors.spaces import Spec
from actors.transition import LAST, Step, newest_frame

_PICTURES = 150
_MILLISECONDS = 200  # of each: half a minute in all
_HEIGHT = 84  # pixels at least


class Film:
    """Watches `actors.evaluation.play`: the first environment's game.

    Every third agent step is kept where one is several frames, which makes
    its speed that of the game; elsewhere, where games are short, every step.
    """

    def __init__(self, spec: Spec):
        self._spec = spec
        self._every = 3 if spec.frames_per_step > 1 else 1
        self._pictures: list[np.ndarray] = []
        self._steps = 0
        # What is no picture cannot be shown.
        self._over = len(spec.observation_shape) < 2

    def watch(self, step: Step, output: AgentOutput) -> None:
        """Keeps what there is to see, if it is time for another picture."""
        del output
        if self._over or len(self._pictures) == _PICTURES:
            return
        self._over = step.step_type[0] == LAST
        if self._steps % self._every == 0:
            self._pictures.append(self._newest(step.observation[:1]))
        self._steps += 1

    def gif(self) -> bytes:
        """The pictures so far; nothing if there are none."""
        if not self._pictures:
            return b""
        return imageio.v3.imwrite(
            "<bytes>",
            _bright(np.stack(self._pictures)),
            extension=".gif",
            duration=_MILLISECONDS,
            loop=0,
        )

    def _newest(self, observation: np.ndarray) -> np.ndarray:
        """The last frame of a stack, `[H, W]` or `[H, W, 3]`."""
        frame = newest_frame(observation, self._spec.stack)
        frame = frame.reshape(-1, *frame.shape[-2:])
        colours = frame.transpose(1, 2, 0) if len(frame) == 3 else frame[-1]
        return colours.copy()


def _bright(pictures: np.ndarray) -> np.ndarray:
    """As bytes from dark to bright, every pixel large enough to see."""
    if pictures.dtype != np.uint8:
        low, high = pictures.min(), pictures.max()
        scaled = (pictures - low) / max(high - low, 1e-9)
        pictures = (255 * scaled).astype(np.uint8)
    scale = -(-_HEIGHT // pictures.shape[1])
    return pictures.repeat(scale, axis=1).repeat(scale, axis=2)
