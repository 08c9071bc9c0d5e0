"""Writers of the packages themselves: make test-all EXTRAS=dev,wandb,mlflow."""

import configparser
import glob
import json
import pathlib
import struct
import sys
import types

import pytest

from learner.config import WRITERS, ConfigError
from learner.record.writers import choose
from learner.record.writers.wandb import WeightsAndBiases
from tests.learner.record.recorded_calls import GIF, Recorder, call_all


def saved_by_wandb(path):
    """Records of a `.wandb` file: a log of LevelDB, blocks of 32 KiB."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, whole = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        left = -at % 2**15
        if left < 7:  # too short for a header: padding
            at += left
            continue
        size, kind = struct.unpack("<HB", data[at + 4 : at + 7])
        whole += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # a whole record, or its last part
            yield Record.FromString(whole)
            whole = b""


def rows_of_wandb(path):
    return [
        {
            ".".join(item.nested_key) or item.key: json.loads(item.value_json)
            for item in record.history.item
        }
        for record in saved_by_wandb(path)
        if record.HasField("history")
    ]


@pytest.mark.slow
def test_wandb_goes_on_offline(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    for frames in (0, 500):
        messages = []
        writer = choose.open_writers(
            ["wandb"], tmp_path, frames, messages.append
        )
        call_all(writer)
        assert messages == []
    name = (tmp_path / "wandb" / "id").read_text()
    sessions = glob.glob(f"{tmp_path}/wandb/offline-run-*-{name}/*.wandb")
    assert len(sessions) == 2
    for session in sessions:
        loss, lag, film = rows_of_wandb(tmp_path / session)
        assert (loss["loss"], loss["frames"]) == (0.5, 640)
        assert lag["lag.values"] == [3, 1]
        assert lag["lag.bins"] == [0, 1, 2]
        assert (film["film._type"], film["frames"]) == ("video-file", 1_280)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of its own database, among others
def test_mlflow_goes_on_in_the_runs_folder(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    for seed in (3, 4):
        writer = choose.open_writers(["mlflow"], tmp_path, 0, pytest.fail)
        writer.hyperparameters({"seed": seed, "again": seed})
        call_all(writer)
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow/runs.db")
    project = client.get_experiment_by_name("bmg")
    [run] = client.search_runs([project.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params == {"seed": "3", "again": "3"}
    history = client.get_metric_history(run.info.run_id, "loss")
    assert [(x.value, x.step) for x in history] == [(0.5, 640)] * 2
    [film] = (tmp_path / "mlflow").glob("artifacts/*/artifacts/film/*.gif")
    assert (film.name, film.read_bytes()) == ("000000001280.gif", GIF)


class Run:
    """What `wandb.init` gives."""

    def define_metric(self, *names, **options):
        pass


def test_wandb_goes_where_its_variable_says(tmp_path, monkeypatch):
    given = []
    fake = types.SimpleNamespace(
        init=lambda **options: given.append(options["project"]) or Run(),
        Settings=dict,
    )
    monkeypatch.setitem(sys.modules, "wandb", fake)
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    WeightsAndBiases(tmp_path)
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    WeightsAndBiases(tmp_path)
    assert given == ["bmg", "mine"]


def test_every_name_is_a_writer():
    assert tuple(choose._WRITERS) == WRITERS


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    declared = configparser.ConfigParser()
    declared.read(pathlib.Path(__file__).parents[3] / "setup.cfg")
    assert {"wandb", "mlflow"} <= set(declared["options.extras_require"])
    choose.check_installed(["tensorboard"])
    monkeypatch.setattr(choose.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'bmg\[wandb\]'"):
        choose.check_installed(["wandb"])


def test_a_folder_of_that_name_is_no_package(tmp_path, monkeypatch):
    (tmp_path / "mlflow_runs").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(choose._WRITERS, "x", ("mlflow_runs", Recorder))
    with pytest.raises(ConfigError, match="--writers x needs a package"):
        choose.check_installed(["x"])
