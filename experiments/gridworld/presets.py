"""Named configurations of the study."""

from collections.abc import Callable

from experiments.gridworld.config import ActorCriticConfig, GridworldConfig


def paper() -> GridworldConfig:
    """The whole study: both agents, 50 seeds, 10M steps."""
    return GridworldConfig(
        agent=("ac", "q-lambda"),
        context=("none", "reward"),
        ac=ActorCriticConfig(L=(1, 2, 15), meta_rate=(1e-3, 2e-4)),
    )


def quick() -> GridworldConfig:
    """The actor-critic through four switches, on a few seeds: minutes."""
    return GridworldConfig(
        steps=400_000,
        seeds=4,
        resolution=2_000,
        ac=ActorCriticConfig(
            L=(1, 2), entropy=(0.1, 0.2, 0.4), outer_entropy=(0.1,)
        ),
    )


PRESETS: dict[str, Callable[[], GridworldConfig]] = {
    "paper": paper,
    "quick": quick,
}
