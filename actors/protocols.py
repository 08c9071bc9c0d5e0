"""How Atari games are played, by name."""

import difflib
from typing import Any, NamedTuple


class Protocol(NamedTuple):
    """How an Atari game is played: EnvPool's options and the life rule."""

    options: dict[str, Any]
    life_loss_ends_discount: bool


_COMMON = {
    "frame_skip": 4,
    "stack_num": 4,
    "noop_max": 30,
    "max_episode_steps": 27_000,  # 108,000 frames
    "use_fire_reset": False,  # Neither paper mentions it: the agent fires.
    "full_action_space": False,
    "repeat_action_probability": 0.0,
}

# Values and their standing: IMPALA's are sourced; BMG's frame is recalled from
# the paper's table; Machado et al. (2018) is sourced.
PROTOCOLS = {
    "impala": Protocol(
        _COMMON | {"img_height": 84, "img_width": 84, "gray_scale": True},
        life_loss_ends_discount=True,
    ),
    "bmg": Protocol(
        _COMMON | {"img_height": 210, "img_width": 160, "gray_scale": False},
        life_loss_ends_discount=True,
    ),
    "machado": Protocol(
        _COMMON
        | {
            "img_height": 84,
            "img_width": 84,
            "gray_scale": True,
            "noop_max": 1,
            "full_action_space": True,
            "repeat_action_probability": 0.25,
        },
        life_loss_ends_discount=False,
    ),
}


def _sticky(protocol: Protocol) -> Protocol:
    """The same screen and actions under Machado's rules."""
    machado = PROTOCOLS["machado"]
    rules = ("noop_max", "repeat_action_probability")
    changed = {name: machado.options[name] for name in rules}
    return machado._replace(options=protocol.options | changed)


# A policy of few actions cannot play all 18: these are what it can be asked.
PROTOCOLS |= {
    f"{name}-sticky": _sticky(PROTOCOLS[name]) for name in ("impala", "bmg")
}


def check_protocol(name: str) -> None:
    """Raises `ValueError` naming the protocols if `name` is none of them."""
    if name not in PROTOCOLS:
        close = difflib.get_close_matches(name, PROTOCOLS, n=1, cutoff=0.0)
        raise ValueError(
            f"unknown protocol {name!r}; allowed: {', '.join(PROTOCOLS)}; "
            f"nearest: {close[0]}"
        )
