"""Named configurations of the study."""

from collections.abc import Callable

from experiments.gridworld.config import ActorCriticConfig, GridworldConfig


def paper() -> GridworldConfig:
    """The whole study: both agents, 50 seeds, 10M steps."""
    return GridworldConfig(
        agent=("ac", "q-lambda"),
        context=("none", "reward"),
        ac=ActorCriticConfig(K=(1, 3), L=(1, 4, 15), meta_rate=(2e-4, 5e-5)),
    )


def quick() -> GridworldConfig:
    """The actor-critic through four switches, on a few seeds: minutes."""
    return GridworldConfig(
        steps=400_000,
        seeds=4,
        resolution=2_000,
        ac=ActorCriticConfig(
            L=(4, 15),
            entropy=(0.2, 0.4, 0.8),
            outer_entropy=(0.1,),
            meta_rate=(5e-4,),
        ),
    )


PRESETS: dict[str, Callable[[], GridworldConfig]] = {
    "paper": paper,
    "quick": quick,
}
