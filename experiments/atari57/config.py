"""What a study is, and what can be set of its sweep and of its report."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import tyro

Changes = Mapping[str, Any]  # fields of Config, nested as in its YAML


@dataclasses.dataclass(frozen=True)
class Study:
    """Every game, with every seed, in every variant."""

    # Games of the 57, in any usual spelling.
    games: tuple[str, ...]
    # Numbered from 1.
    seeds: int
    # The preset that the variants change.
    base: str
    # What each variant changes of it: `{name: {field: value}}`.
    variants: Mapping[str, Changes]


@dataclasses.dataclass(frozen=True)
class SweepConfig:
    """Which study, where, and how it is run."""

    # atari57, ablation, pacman-L, smoke, or a .yaml file of the same fields:
    # games, seeds, base (a preset), variants.
    study: str = "smoke"
    # The study's folder; runs/STUDY if empty. Go on with the same one.
    out: str = ""
    # Ray cluster to join: auto, or an address; a local one is started if empty.
    address: str = ""
    # Only these games of the study; all if none.
    games: tuple[str, ...] = ()
    # Only so many seeds; 0 for the study's.
    seeds: int = 0
    # Times that a run which failed is tried again.
    retries: int = 2
    # List the runs and what they take; run nothing.
    dry_run: bool = False
    # Of one run, for the estimate; 0 takes what the study's runs measured.
    frames_per_second: float = 0.0


@dataclasses.dataclass(frozen=True)
class ReportConfig:
    """What is reported, and where."""

    # Folders of runs, at any depth, and CSV files game,seed,frames,return.
    runs: Annotated[tuple[str, ...], tyro.conf.Positional]
    # The report's folder.
    out: str = "runs/report"
    # What a score is. training: the mean return of training episodes in the
    # last 5 % of a run's frames (the paper's). no-op, sticky: of whole games of
    # the final policy, as `bmg train` and `bmg evaluate` wrote them.
    protocol: Literal["training", "no-op", "sticky"] = "training"
    # Points of each learning curve.
    points: int = 200
    # Of the page.
    title: str = "Atari"
