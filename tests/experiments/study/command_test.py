"""The command of a study, with a study made up for it."""

import dataclasses
import pathlib
from typing import NamedTuple

import pytest

from experiments.study import command, summary
from experiments.study.command import Report, Study, Work
from learner.config import ConfigError
from learner.record import lock
from learner.record.progress import RunError


@dataclasses.dataclass(frozen=True)
class Config:
    out: str
    report_only: bool = False
    seeds: int = 1
    platform: str = "cpu"
    devices: int = 1
    width: int = 8
    swept: tuple[int, ...] = (1,)

    @property
    def study_folder(self):
        return pathlib.Path(self.out)


@dataclasses.dataclass(frozen=True)
class Variant:
    method: str
    K: int

    @property
    def name(self):
        return f"{self.method}-K{self.K}"


class Row(NamedTuple):
    variant: Variant
    seeds: int
    mean: float


ROWS = [Row(Variant("bmg", 1), 2, 1 / 3), Row(Variant("maml", 5), 3, 1e6)]


@pytest.fixture
def study(monkeypatch):
    """A study whose runs are counted: `study.default` is theirs."""
    monkeypatch.setenv("BMG_RESTARTED", "1")

    def check(config):
        if config.width < 1:
            raise ConfigError("width")

    def prepare(config):
        if config.width == 13:
            raise ConfigError("no data")

        def run(report):
            report(10, "bmg")
            (config.study_folder / "curves").mkdir(exist_ok=True)

        return Work(lambda: (10, 0), run)

    def report(config):
        summary.write(config.study_folder / "summary.csv", ROWS, ".3g")
        table = summary.table("title", ["mean"], [["bmg-K1", "0.333"]])
        return Report(table, ["a note"])

    return Study(
        command="bmg made-up",
        default=Config(""),
        free=("swept",),
        unit="steps",
        check=check,
        prepare=prepare,
        report=report,
    )


def test_it_runs_reports_and_may_grow(study, tmp_path, capsys):
    config = Config(str(tmp_path / "study"))
    assert command.run(study, config) == 0
    shown = capsys.readouterr().out
    assert "bmg-K1" in shown
    assert "a note" in shown
    assert (tmp_path / "study" / "summary.csv").read_text() == (
        "name,method,K,seeds,mean\nbmg-K1,bmg,1,2,0.333\n"
        "maml-K5,maml,5,3,1e+06\n"
    )
    larger = dataclasses.replace(config, seeds=4, swept=(1, 2), devices=2)
    assert command.run(study, larger) == 0
    other = dataclasses.replace(config, width=9)
    with pytest.raises(ConfigError, match="another configuration"):
        command.run(study, other)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 0}, "width"),
        ({"width": 13}, "no data"),
        ({"report_only": True}, "no study is there to report"),
    ],
)
def test_what_cannot_run_makes_no_folder(study, tmp_path, changes, message):
    folder = tmp_path / "study"
    with pytest.raises(ConfigError, match=message):
        command.run(study, Config(str(folder), **changes))
    assert not folder.exists()


def test_one_process_at_a_time_writes_a_study(study, tmp_path, monkeypatch):
    monkeypatch.setattr(
        command,
        "Lock",
        lambda folder, what: lock.Lock(folder, what, patience=0.0),
    )
    config = Config(str(tmp_path))
    held = lock.Lock(tmp_path, "the study")
    with pytest.raises(RunError, match="is being written by process"):
        command.run(study, config)
    held.close()
    assert command.run(study, config) == 0


def test_the_best_of_a_family_is_worth_most():
    nan = float("nan")
    results = [("a", 1.0), ("b", nan), ("a", 3.0), ("b", 2.0), ("c", nan)]
    best = summary.best_of_families(results, lambda r: r[0], lambda r: r[1])
    assert best[:2] == [("a", 3.0), ("b", 2.0)]
    assert best[2][0] == "c"
