"""Numbers out of pickles, by numpy's own pickles; nothing is ever run."""

import os
import pickle
import struct

import numpy as np
import pytest

from experiments.few_shot.pickled import read_pickled
from learner.config import ConfigError


class Runs:
    """Unpickling it would run a program."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def write(folder, content, protocol=4):
    path = folder / "data.pkl"
    path.write_bytes(pickle.dumps(content, protocol))
    return path


@pytest.mark.parametrize("protocol", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_and_lists_are_read(tmp_path, protocol, order):
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(4, 5, 3), dtype=np.uint8)
    content = {
        "image_data": np.asarray(images, order=order),
        "big": np.arange(3, dtype=">i4"),
        "class_dict": {"n01": [0, 300, 70_000], "n02": [np.int64(5)]},
    }
    found = read_pickled(write(tmp_path, content, protocol))
    assert found.keys() == content.keys()
    np.testing.assert_array_equal(found["image_data"], images)
    np.testing.assert_array_equal(found["big"], [0, 1, 2])
    assert found["class_dict"] == {"n01": [0, 300, 70_000], "n02": [5]}


def test_a_pickle_of_python_2_is_read(tmp_path):
    """Its bytes are text; written by hand, opcode by opcode."""

    def text(value):
        return b"T" + struct.pack("<i", len(value)) + value

    pixels = bytes(range(250, 256))
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00t"
        + text(b"b") + b"tR(K\x01(K\x02K\x03tcnumpy\ndtype\n("
        + text(b"u1") + b"K\x00K\x01tR(K\x03" + text(b"|")
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tbI00\n"
        + text(pixels) + b"tb"
    )  # fmt: skip
    path = tmp_path / "old.pkl"
    path.write_bytes(b"\x80\x02}(" + text(b"image_data") + array + b"u.")
    # The same bytes mean the same to Python itself.
    expected = pickle.loads(path.read_bytes(), encoding="latin-1")
    found = read_pickled(path)["image_data"]
    np.testing.assert_array_equal(found, [[250, 251, 252], [253, 254, 255]])
    np.testing.assert_array_equal(expected["image_data"], found)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a": np.array([{}, None])}, "numbers of type"),
        ({"a": np.array(["text"])}, "numbers of type"),
        ({"a": 3.5}, "BINFLOAT"),
        ({"a": "text"}, "holds a str"),
        ([1, 2], "not a dictionary"),
        ({"a": {1, 2}}, "opcode"),
    ],
)
def test_anything_else_is_refused(tmp_path, content, message):
    with pytest.raises(ConfigError, match=message):
        read_pickled(write(tmp_path, content))


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("nested", [False, True])
def test_nothing_is_run(tmp_path, protocol, nested):
    marker = tmp_path / "ran"
    bomb = Runs(marker)
    content = {"class_dict": {"a": [bomb]}} if nested else bomb
    with pytest.raises(ConfigError, match="calls|opcode"):
        read_pickled(write(tmp_path, content, protocol))
    assert not marker.exists()


@pytest.mark.parametrize("size", [0, 1, 40, -1])
def test_a_file_cut_short_is_refused(tmp_path, size):
    path = write(tmp_path, {"a": np.zeros(50)})
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ConfigError, match="not a dictionary"):
        read_pickled(path)
