"""`bmg play`: a film of a run's policy."""

import dataclasses
import importlib.util
import pathlib
from typing import Annotated

import tyro
from rich.console import Console

from experiments.viewing import trained_config
from learner.config import ConfigError

_KINDS = (".gif", ".mp4")


@dataclasses.dataclass(frozen=True)
class PlayConfig:
    """Which run plays, and where to."""

    # Folder of a run of `bmg train` with a checkpoint.
    run: Annotated[str, tyro.conf.Positional]
    # The film, .gif or .mp4; RUN/play.gif, which bmg page shows, if empty.
    out: str = ""
    # Random play beside it.
    random: bool = False
    # Of the game and the actions; not one that the run trained with.
    seed: int = 10**9
    # The run's task once more where it is an environment of your own, since it
    # is code.
    task: str = ""


def main(arguments: list[str]) -> int:
    """Plays one whole game and writes it."""
    options = parse(arguments)
    folder = pathlib.Path(options.run)
    out = pathlib.Path(options.out or folder / "play.gif")
    _check(out)
    config = trained_config.load_config(folder, options.task)
    import jax

    from actors.environment import Environment, spec
    from experiments.viewing import film
    from learner import build_acting
    from learner.train import read_params

    console = Console(highlight=False)
    params, frames = read_params(config)
    rules = config.environment.protocol
    agent = build_acting.build_agent(config, spec(config.task, rules))
    sides = [(f"{frames:,} frames", params)]
    if options.random:
        # All logits are 0.
        sides.append(("random", jax.tree.map(lambda x: 0 * x, params)))
    games = []
    for title, side in sides:
        environment = Environment(
            config.task,
            rules,
            num_envs=1,
            batch_size=1,
            num_threads=1,
            seed=options.seed,
            pictures=True,
        )
        shots = film.record(environment, agent, side, seed=options.seed)
        environment.close()
        games.append((title, shots))
        console.print(
            f"{title}: {len(shots):,} steps, score {shots[-1].score:g}"
        )
    console.print(f"writing {out}", soft_wrap=True)
    per_second = 60 / environment.spec.frames_per_step
    film.write(out, games, per_second=per_second)
    console.print(f"film    {out}", soft_wrap=True)
    return 0


def parse(arguments: list[str]) -> PlayConfig:
    """Reads the flags."""
    return tyro.cli(
        PlayConfig,
        args=arguments,
        prog="bmg play",
        description=(
            "Films one whole game of a run's newest checkpoint: the screen, "
            "score, action probabilities and values."
        ),
    )


def _check(out: pathlib.Path) -> None:
    if out.suffix not in _KINDS:
        raise ConfigError(
            f"out = {str(out)!r}: the ending must be one of {', '.join(_KINDS)}"
        )
    if out.suffix == ".mp4" and not importlib.util.find_spec("imageio_ffmpeg"):
        raise ConfigError(
            f"out = {str(out)!r}: mp4 needs pip install 'imageio[ffmpeg]'; "
            "gif does not"
        )
