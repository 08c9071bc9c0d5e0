"""The result of a whole game."""

from typing import NamedTuple


class Episode(NamedTuple):
    """A whole game, as its score counts: unclipped and over all lives."""

    episode_return: float
    frames: int  # environment frames
