"""Writers: what reaches them, and that none can hold a run up."""

import struct
import threading
import time

import pytest
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

from learner.record.writers.queued import QueuedWriter
from learner.record.writers.tensorboard import TensorBoard
from learner.record.writers.writer import CompositeWriter
from tests.learner.record.recorded_calls import GIF, Recorder, call_all


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
