"""Writers: what reaches them, and that none can hold a run up."""

import configparser
import glob
import json
import pathlib
import struct
import sys
import threading
import time
import types

import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

from learner.config import WRITERS, ConfigError
from learner.record.histogram import Histogram
from learner.record.writers import choose
from learner.record.writers.queued import QueuedWriter
from learner.record.writers.tensorboard import TensorBoard
from learner.record.writers.wandb import WeightsAndBiases
from learner.record.writers.writer import CompositeWriter

GIF = b"GIF89a\x01\x00\x01\x00"


class Recorder:
    """Remembers its calls, after `wait` if there is one."""

    def __init__(self, wait=lambda: None):
        self.calls = []
        self._wait = wait

    def hyperparameters(self, values):
        self.calls.append(("hyperparameters", values))

    def scalars(self, values, frames):
        self._wait()
        self.calls.append(("scalars", values, frames))

    def histogram(self, name, values, frames):
        self.calls.append(("histogram", name, values, frames))

    def video(self, name, gif, frames):
        self.calls.append(("video", name, gif, frames))

    def close(self):
        self.calls.append(("close",))


def call_all(writer):
    """One call of each kind; what a recorder then holds."""
    values = Histogram(np.array([3, 1]), np.array([0.0, 1.0, 2.0]))
    calls = [
        ("hyperparameters", {"seed": 3}),
        ("scalars", {"loss": 0.5}, 640),
        ("histogram", "lag", values, 640),
        ("video", "film", GIF, 1_280),
    ]
    for method, *arguments in calls:
        getattr(writer, method)(*arguments)
    writer.close()
    return [*calls, ("close",)]


@pytest.mark.parametrize("wrap", [
    lambda inner: CompositeWriter([inner]),
    lambda inner: QueuedWriter("x", lambda: inner, pytest.fail),
])  # fmt: skip
def test_all_calls_arrive_in_order(wrap):
    recorder = Recorder()
    assert call_all(wrap(recorder)) == recorder.calls


def test_a_writer_that_hangs_holds_nothing_up():
    go_on, messages = threading.Event(), []
    recorder = Recorder(go_on.wait)
    writer = QueuedWriter(
        "slow", lambda: recorder, messages.append, capacity=3, patience=0.1
    )
    writer.scalars({}, 0)
    while writer._calls.qsize():  # until it hangs in that one
        time.sleep(0.001)
    for frames in range(1, 11):
        writer.scalars({}, frames)
    start = time.monotonic()
    writer.close()
    assert time.monotonic() - start < 10
    # Of ten, three were taken and still wait.
    assert messages == [
        "slow: 3 records wait already; training goes on",
        "slow: not done after 0.1 s; 10 records were left out",
    ]
    go_on.set()


def test_what_fails_is_left_out_and_reported_once():
    def broken():
        raise ValueError("no\nroom")

    messages, recorder = [], Recorder(broken)
    writer = QueuedWriter("x", lambda: recorder, messages.append)
    for frames in range(5):
        writer.scalars({}, frames)
    writer.video("film", GIF, 5)
    writer.close()
    assert recorder.calls == [("video", "film", GIF, 5), ("close",)]
    assert messages == ["x: no; training goes on", "x: 5 records were left out"]


def test_a_writer_that_cannot_be_opened_takes_nothing():
    def make():
        raise PermissionError

    messages = []
    call_all(QueuedWriter("x", make, messages.append))
    assert messages == [
        "x: PermissionError; training goes on",
        "x: 4 records were left out",
    ]


def test_a_composite_of_none_does_nothing():
    call_all(CompositeWriter())


# TensorBoard.


def events_of(folder):
    """Events of all files in a folder, in the order of the files."""
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        while data:  # length, checksum of it, event, checksum
            (size,) = struct.unpack("<Q", data[:8])
            yield Event.FromString(data[12 : 12 + size])
            data = data[16 + size :]


def values_of(folder):
    return {
        value.tag: (value, event.step)
        for event in events_of(folder / "tensorboard")
        for value in event.summary.value
    }


def test_tensorboard_shows_what_it_is_given(tmp_path):
    call_all(TensorBoard(tmp_path, 0))
    values = values_of(tmp_path)
    loss, step = values["loss"]
    assert (loss.simple_value, step) == (0.5, 640)
    lag, step = values["lag"]
    assert (list(lag.histo.bucket), step) == ([3, 1], 640)
    assert list(lag.histo.bucket_limit) == [1, 2]
    assert (lag.histo.num, lag.histo.min, lag.histo.max) == (4, 0, 2)
    # Three values near 0.5 and one near 1.5.
    assert (lag.histo.sum, lag.histo.sum_squares) == (3.0, 3.0)
    film, step = values["film"]
    assert (film.image.encoded_image_string, step) == (GIF, 1_280)


def test_tensorboard_has_a_table_of_settings_and_returns(tmp_path):
    board = TensorBoard(tmp_path, 0)
    board.hyperparameters({"seed": 3, "meta.tuned": ("a", "b"), "on": True})
    board.close()
    summaries = {
        tag: HParamsPluginData.FromString(value.metadata.plugin_data.content)
        for tag, (value, _) in values_of(tmp_path).items()
    }
    assert list(summaries) == [
        f"_hparams_/{part}"
        for part in ("experiment", "session_start_info", "session_end_info")
    ]
    settings = summaries[
        "_hparams_/session_start_info"
    ].session_start_info.hparams
    assert settings["seed"].number_value == 3
    assert settings["meta.tuned"].string_value == "('a', 'b')"
    assert settings["on"].bool_value
    outcomes = summaries["_hparams_/experiment"].experiment.metric_infos
    assert [outcome.name.tag for outcome in outcomes] == [
        "return/mean_return",
        "return/evaluation_return",
    ]


def test_tensorboard_hides_what_came_after_a_checkpoint(tmp_path):
    board = TensorBoard(tmp_path, 500)
    board.close()
    logged = [e.session_log for e in events_of(tmp_path / "tensorboard")]
    assert [log.status for log in logged if log.status] == [1]  # START


# The packages themselves: make test-all EXTRAS=dev,wandb,mlflow.


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


# By name.


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
