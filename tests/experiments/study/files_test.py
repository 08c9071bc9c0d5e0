"""A study's files: names, columns, what is done."""

import gzip
from typing import NamedTuple

import numpy as np
import pytest

from experiments.study import csv_file, files
from experiments.study.csv_file import COUNT, Column
from experiments.study.ledger import Ledger, Run, every_run

COLUMNS = (Column("step", COUNT, "steps"), Column("seconds", ".3f", "s"))
STEP, SECONDS = np.array([10, 20]), np.array([0.25, 1.23456])


class Variant(NamedTuple):
    name: str


def test_a_file_has_units_and_the_same_bytes_each_time(tmp_path):
    paths = [files.seed_path(tmp_path / x, "curves", "bmg", 7) for x in "ab"]
    for path in paths:
        csv_file.write(path, COLUMNS, (STEP, SECONDS))
    assert paths[0] == tmp_path / "a/curves/bmg/seed-007.csv.gz"
    expected = "step [steps],seconds [s]\n10,0.250\n20,1.235\n"
    assert gzip.decompress(paths[0].read_bytes()).decode() == expected
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert [p.name for p in paths[0].parent.iterdir()] == ["seed-007.csv.gz"]


@pytest.mark.parametrize("header", ["step,seconds", "seconds [s],step [x]"])
def test_a_plain_file_is_read_by_its_columns_names(tmp_path, header):
    path = tmp_path / "seed-001.csv"
    rows = ["1,nan", "2,inf"] if header.startswith("step") else ["nan,1", "5,2"]
    path.write_text("\n".join([header, *rows]) + "\n")
    step, seconds = csv_file.read(path, COLUMNS)
    assert step.dtype.kind == "i"
    assert step.tolist() == [1, 2]
    assert np.isnan(seconds[0])
    assert seconds[1] in (np.inf, 5.0)


def test_a_column_that_is_missing_is_named(tmp_path):
    (tmp_path / "x.csv").write_text("step,minutes\n1,2\n")
    with pytest.raises(KeyError, match="seconds"):
        csv_file.read(tmp_path / "x.csv", COLUMNS)


def test_seeds_are_found_packed_or_plain_and_in_order(tmp_path):
    folder = tmp_path / "curves" / "bmg"
    folder.mkdir(parents=True)
    for name in (
        *("seed-1000.csv.gz", "seed-002.csv.gz", "seed-001.csv"),
        *("seed-002.csv", "seed-003.csv.gz.new", "notes.csv"),
    ):
        (folder / name).touch()
    found = files.written(tmp_path, "curves", "bmg")
    assert [*found] == [1, 2, 1000]
    names = [path.name for path in found.values()]
    assert names == ["seed-001.csv", "seed-002.csv.gz", "seed-1000.csv.gz"]
    assert files.written(tmp_path, "curves", "maml") == {}


def test_what_is_done_is_what_is_on_disk(tmp_path):
    long, short = Variant("long"), Variant("short")
    runs = every_run([long, short], 2)
    assert runs == [Run(long, 1), Run(long, 2), Run(short, 1), Run(short, 2)]
    for variant, seed in ((long, 2), (short, 1)):
        path = files.seed_path(tmp_path, "tests", variant.name, seed)
        csv_file.write(path, COLUMNS, (STEP, SECONDS))
    ledger = Ledger(tmp_path, kind="tests")
    assert ledger.todo(runs) == [Run(long, 1), Run(short, 2)]
    length = {long: 100, short: 7}
    assert ledger.progress(runs, length.__getitem__) == (214, 107)
    assert Ledger(tmp_path).todo(runs) == runs
