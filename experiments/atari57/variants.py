"""The studies, and the runs that they expand into: game, variant, seed."""

import dataclasses
import itertools
import pathlib
import re
from collections.abc import Callable
from typing import NamedTuple

from experiments.atari57.config import Changes, Study
from experiments.atari57.reference_scores import game_of, references, task_of
from experiments.command.command_line import choose
from experiments.command.presets import PRESETS
from learner.config import Config, ConfigError
from learner.config_check import check
from learner.record import config_file


class Run(NamedTuple):
    """One run of a study."""

    name: str  # GAME/VARIANT/SEED, its folder within the study's
    variant: str
    config: Config


def atari57() -> Study:
    """The paper's main comparison: 57 games, 3 seeds, three algorithms."""
    names = ("bmg", "stacx", "impala")
    return Study(
        tuple(references()),
        3,
        "atari-paper",
        {name: {"algorithm": name} for name in names},
    )


def ablation() -> Study:
    """The paper's ablation: the bootstrap's optimiser, the matching, and L.

    Which eight games the paper took is not known to us; these are ours.
    """
    games = (
        "alien", "asteroids", "beam_rider", "breakout", "frostbite",
        "ms_pacman", "qbert", "seaquest",
    )  # fmt: skip
    swept = itertools.product(("sgd", "rmsprop"), ("l2", "kl", "kl-v"), (1, 4))
    return Study(
        games,
        3,
        "atari-paper",
        {
            f"{optimiser}-{matching}-L{length}": {
                "algorithm": "bmg",
                "meta": {
                    "bootstrap_optimiser": optimiser,
                    "matching": matching,
                    "bootstrap_updates": length,
                },
            }
            for optimiser, matching, length in swept
        },
    )


def pacman_lookahead() -> Study:
    """Ms. Pac-Man over L, the paper's figure of longer bootstraps."""
    return Study(
        ("ms_pacman",),
        3,
        "atari-paper",
        {
            f"L{length}": {
                "algorithm": "bmg",
                "meta": {"bootstrap_updates": length},
            }
            for length in (1, 2, 4, 8, 16)
        },
    )


def smoke() -> Study:
    """Three games of short episodes, two seeds, ten minutes on two cores.

    Nothing is learned: it shows that a study runs from its start to a report.
    """
    return Study(
        ("asterix", "breakout", "ms_pacman"),
        2,
        "pong-cpu",
        {
            name: {
                "algorithm": name,
                "frames": 60_000,
                "evaluation_episodes": 0,
                "log_seconds": 2.0,
                "actors": {"envs": 8, "envs_per_step": 4},
                "checkpoint": {"seconds": 5.0},
            }
            for name in ("bmg", "impala")
        },
    )


STUDIES: dict[str, Callable[[], Study]] = {
    "atari57": atari57,
    "ablation": ablation,
    "pacman-L": pacman_lookahead,
    "smoke": smoke,
}


def find(name: str) -> Study:
    """A study by its name, or from a YAML file of the same fields.

    Raises:
      ConfigError: naming the studies there are, or what is wrong in the file.
    """
    path = pathlib.Path(name)
    if path.suffix in (".yaml", ".yml"):
        return read(path)
    return choose(STUDIES, name, what="study", also=", or a .yaml file")


def read(path: pathlib.Path) -> Study:
    """A study's YAML: `games`, `seeds`, `base`, `variants`."""
    fields = config_file.read_mapping(path, str(path))
    allowed = {field.name for field in dataclasses.fields(Study)}
    if set(fields) != allowed:
        raise ConfigError(
            f"{path}: must hold {', '.join(sorted(allowed))}, and no more"
        )
    games, variants = fields["games"], fields["variants"]
    if games == "all":
        games = list(references())
    if not isinstance(games, list) or not isinstance(variants, dict):
        raise ConfigError(
            f"{path}: games must be a list (or all), variants a mapping of "
            "names to what they change"
        )
    return Study(tuple(games), fields["seeds"], str(fields["base"]), variants)


def expand(study: Study, folder: pathlib.Path) -> list[Run]:
    """Every run: all games with the first seed before any with the second.

    Raises:
      ConfigError: for what cannot run, with the game and the variant.
    """
    if type(study.seeds) is not int or study.seeds < 1:
        raise ConfigError(f"seeds = {study.seeds!r}: must be 1 or more")
    base = choose(PRESETS, study.base, what="base")
    try:
        games = [game_of(str(game)) for game in study.games]
    except ValueError as error:
        raise ConfigError(str(error)) from None
    if not games or not study.variants:
        raise ConfigError("a study needs a game and a variant at least")
    configs = {
        variant: _variant_config(base, variant, changes)
        for variant, changes in study.variants.items()
    }
    return [
        _run(folder, game, variant, seed, configs[variant])
        for seed in range(1, study.seeds + 1)
        for game in games
        for variant in configs
    ]


def _variant_config(base: Config, variant: str, changes: Changes) -> Config:
    if not re.fullmatch(r"\w[\w.-]*", str(variant)):
        raise ConfigError(
            f"variant {variant!r}: letters, digits, _, - and . only, since "
            "it names a folder"
        )
    try:
        config = config_file.filled(base, dict(changes or {}))
        check(config)
    except ConfigError as error:
        raise ConfigError(f"variant {variant}: {error}") from error
    return config


def _run(
    folder: pathlib.Path, game: str, variant: str, seed: int, config: Config
) -> Run:
    name = f"{game}/{variant}/{seed}"
    return Run(
        name,
        variant,
        dataclasses.replace(
            config, task=task_of(game), seed=seed, out=str(folder / name)
        ),
    )
