"""`bmg evaluate`: whole games of a run's newest checkpoint."""

import dataclasses
import pathlib
import statistics
from typing import Annotated, Literal

import tyro
from rich.console import Console

from experiments.atari57.reference_scores import game_of, human_normalised
from experiments.command.display import returns_table
from experiments.viewing import trained_config
from learner.config import Config, ConfigError, EnvironmentConfig
from learner.record import evaluations
from learner.record.evaluations import Played


@dataclasses.dataclass(frozen=True)
class EvaluateConfig:
    """Which run plays, and how."""

    # Folder of a run of `bmg train`.
    run: Annotated[str, tyro.conf.Positional]
    # trained: as the run was. no-op: up to 30 no-ops at the start (impala,
    # bmg). sticky: the same screen and actions, each repeated with probability
    # 0.25, no no-ops, no sign of a lost life (Machado et al. 2018).
    protocol: Literal["trained", "no-op", "sticky"] = "trained"
    # Whole games; all are played at a time.
    episodes: int = 10
    # Of the games and the actions; not one that the run trained with.
    seed: int = 10**9
    # The run's task once more where it is an environment of your own, since it
    # is code.
    task: str = ""


def main(arguments: list[str]) -> int:
    """Plays, appends to RUN/evaluations.csv, prints a table."""
    options = parse(arguments)
    if options.episodes < 1:
        raise ConfigError(f"episodes = {options.episodes}: must be at least 1")
    folder = pathlib.Path(options.run)
    config = trained_config.load_config(folder, options.task)
    rules = EnvironmentConfig(_environment(config, options.protocol))
    config = dataclasses.replace(config, environment=rules)
    from learner.build_acting import play_games
    from learner.train import read_params

    params, frames = read_params(config)
    games = play_games(config, params, options.episodes, options.seed).games
    protocol = evaluations.protocol_of(config.environment.protocol)
    played = [Played(protocol, frames, options.seed, game) for game in games]
    evaluations.add(folder, played)
    _show(config, protocol, frames, [game.episode_return for game in games])
    return 0


def parse(arguments: list[str]) -> EvaluateConfig:
    """Reads the flags."""
    return tyro.cli(
        EvaluateConfig,
        args=arguments,
        prog="bmg evaluate",
        description=(
            "Plays whole games with the policy of a run's newest checkpoint "
            "and writes the scores to RUN/evaluations.csv."
        ),
    )


def _environment(config: Config, wanted: str) -> str:
    name = config.environment.protocol
    if wanted in ("trained", evaluations.protocol_of(name)):
        return name
    if wanted == "sticky":
        return f"{name}-sticky"
    if name == "machado":
        raise ConfigError(
            "--protocol no-op: the run was trained by machado's rules, which "
            "have no counterpart without sticky actions; take sticky"
        )
    return name.removesuffix("-sticky")


def _show(
    config: Config, protocol: str, frames: int, returns: list[float]
) -> None:
    more = {}
    try:
        share = human_normalised(
            game_of(config.task), statistics.fmean(returns)
        )
        more["of_human"] = f"{share:.1%}"
    except ValueError:
        pass  # Not one of the 57.
    title = f"{config.task}, {protocol}, after {frames:,} frames"
    Console(highlight=False).print(returns_table(title, returns, **more))
