"""Which runs of a study are done: what is there on disk, and nothing else."""

import functools
import pathlib
from collections.abc import Callable, Iterable
from typing import Generic, NamedTuple, Protocol, TypeVar

from experiments.study import files


class Named(Protocol):
    """A variant."""

    @property
    def name(self) -> str:
        """As in files and tables."""


V = TypeVar("V", bound=Named)


class Run(NamedTuple, Generic[V]):
    """One seed of one variant."""

    variant: V
    seed: int


class Ledger(NamedTuple):
    """The runs of one study.

    folder: of the study.
    kind: of the file that a run writes last.
    """

    folder: pathlib.Path
    kind: str = "curves"

    def todo(self, runs: Iterable[Run[V]]) -> list[Run[V]]:
        """Those runs that are not done, in the same order."""
        done = functools.cache(
            lambda name: files.written(self.folder, self.kind, name)
        )
        return [run for run in runs if run.seed not in done(run.variant.name)]

    def progress(
        self, runs: Iterable[Run[V]], length: Callable[[V], int]
    ) -> tuple[int, int]:
        """The length of all runs together, and of those that are done.

        Args:
          runs: of the study.
          length: of a variant's run, in what its progress is counted in.
        """
        runs = list(runs)
        lengths = {variant: length(variant) for variant, _ in runs}
        planned = sum(lengths[run.variant] for run in runs)
        left = sum(lengths[run.variant] for run in self.todo(runs))
        return planned, planned - left


def every_run(variants: Iterable[V], seeds: int) -> list[Run[V]]:
    """Every seed, from 1, of every variant; a variant's seeds side by side."""
    return [
        Run(variant, seed)
        for variant in variants
        for seed in range(1, seeds + 1)
    ]
