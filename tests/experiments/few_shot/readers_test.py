"""Data sets on small fixtures of their real forms."""

import csv
import pickle

import numpy as np
import pytest
from PIL import Image

from experiments.few_shot import convert, digits, miniimagenet, omniglot
from experiments.few_shot.datasets import read_images
from learner.config import ConfigError

SPLITS = {"train": 64, "val": 16, "test": 20}


def colour(index):
    return (index, 255 - index, 7 * index % 256)


def names():
    """Of each split's classes, with a number of their own."""
    numbers = iter(range(100))
    return {
        split: {f"n{number:04d}": number for _, number in zip(
            range(count), numbers, strict=False
        )}
        for split, count in SPLITS.items()
    }  # fmt: skip


def save(path, number, size=(90, 84)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour(number)).save(path)


@pytest.fixture
def folders(tmp_path):
    """train/CLASS/*.png, two images each, one colour per class."""
    root = tmp_path / "folders"
    for split, classes in names().items():
        for name, number in classes.items():
            for image in range(2):
                save(root / split / name / f"{image}.png", number)
    return root


@pytest.fixture
def tables(tmp_path):
    root = tmp_path / "tables"
    for split, classes in names().items():
        rows = [
            (f"{name}-{i}.png", name, number)
            for name, number in classes.items()
            for i in range(2)
        ]
        for filename, _, number in rows:
            save(root / "images" / filename, number)
        with (root / f"{split}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["filename", "label"])
            writer.writerows([row[:2] for row in rows])
    return root


@pytest.fixture
def pickles(tmp_path):
    root = tmp_path / "pickles"
    root.mkdir()
    for split, classes in names().items():
        images = [colour(number) for number in classes.values() for _ in "ab"]
        data = np.broadcast_to(
            np.array(images, np.uint8)[:, None, None], (len(images), 84, 84, 3)
        )
        indices = {n: [2 * i, 2 * i + 1] for i, n in enumerate(classes)}
        content = {"image_data": data, "class_dict": indices}
        path = root / f"mini-imagenet-cache-{split}.pkl"
        path.write_bytes(pickle.dumps(content, 2))
    return root


def check_content(parts):
    first = 0
    for part, count in zip(parts, SPLITS.values(), strict=True):
        assert part.shape == (count, 2, 84, 84, 3)
        assert part.dtype == np.uint8
        for index in range(count):
            assert (part[index] == colour(first + index)).all()
        first += count


@pytest.mark.parametrize("form", ["folders", "tables"])
def test_miniimagenet_is_read_and_converted(form, request, tmp_path):
    root = request.getfixturevalue(form)
    check_content(miniimagenet.read(str(root)))
    out = tmp_path / "npz"
    assert convert.main([str(root), "--out", str(out)]) == 0
    check_content(miniimagenet.read(str(out)))


def test_pickles_are_converted_and_never_read(pickles, tmp_path, capsys):
    with pytest.raises(ConfigError, match="experiments.few_shot.convert"):
        miniimagenet.read(str(pickles))
    out = tmp_path / "npz"
    assert convert.main([str(pickles), "--out", str(out)]) == 0
    check_content(miniimagenet.read(str(out)))
    # Nothing is overwritten.
    assert convert.main([str(pickles), "--out", str(out)]) == 2
    assert "there already" in capsys.readouterr().err


def test_incomplete_pickles_are_named(pickles, tmp_path, capsys):
    (pickles / "mini-imagenet-cache-val.pkl").unlink()
    assert convert.main([str(pickles), "--out", str(tmp_path / "o")]) == 2
    assert "mini-imagenet-cache-val.pkl" in capsys.readouterr().err


def remove_class(root):
    for path in (root / "train" / "n0003").iterdir():
        path.unlink()
    (root / "train" / "n0003").rmdir()


def remove_image(root):
    (root / "val" / "n0064" / "1.png").unlink()


def remove_split(root):
    (root / "val").rename(root / "validation")


def repeat_class(root):
    (root / "test" / "n0080").rename(root / "test" / "n0001")


def spoil_image(root):
    (root / "test" / "n0080" / "0.png").write_text("no image")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove_class, "train has 63 classes, miniImagenet's has 64"),
        (remove_image, "n0064 has 1 images, others have 2"),
        (remove_split, "found train, test; must hold"),
        (repeat_class, "n0001 is in train and in test"),
        (spoil_image, "0.png: cannot be read as an image"),
    ],
)
def test_what_is_wrong_with_a_folder_is_named(folders, change, message):
    change(folders)
    with pytest.raises(ConfigError, match=message):
        miniimagenet.read(str(folders))


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ConfigError, match="no folder .*nowhere"):
        miniimagenet.read(str(tmp_path / "nowhere"))


def test_archives_of_objects_are_refused(tmp_path):
    for split in SPLITS:
        np.savez(
            tmp_path / f"{split}.npz",
            names=np.array([{}], dtype=object),
            images=np.zeros((1, 1, 84, 84, 3), np.uint8),
        )
    with pytest.raises(ConfigError, match="train: cannot be read"):
        miniimagenet.read(str(tmp_path))


@pytest.mark.parametrize(
    ("ways", "each", "message"),
    [
        (17, 2, "ways = 17: miniimagenet has 16 classes for validation"),
        (5, 3, "shots \\+ queries = 3: miniimagenet has 2 images"),
    ],
)
def test_tasks_that_are_too_large_are_refused(folders, ways, each, message):
    with pytest.raises(ConfigError, match=message):
        read_images("miniimagenet", str(folders), ways=ways, each=each)


@pytest.fixture
def drawings(tmp_path, monkeypatch):
    """Two and three characters of 20 drawings; white, one pixel of ink."""
    monkeypatch.setattr(
        omniglot, "PARTS", {"images_background": 2, "images_evaluation": 3}
    )
    monkeypatch.setattr(omniglot, "_VALIDATION", 1)
    monkeypatch.setattr(omniglot, "_TEST", 1)
    root = tmp_path / "omniglot"
    for part, count in (("images_background", 2), ("images_evaluation", 3)):
        for character in range(count):
            folder = root / part / "Greek" / f"character{character:02d}"
            folder.mkdir(parents=True)
            image = Image.new("1", (105, 105), 1)
            # Ink at the top left.
            image.paste(0, (0, 0, 20, 20))
            for drawing in range(20):
                image.save(folder / f"{drawing:02d}.png")
    return root


def test_omniglot_is_turned_and_its_ink_is_white(drawings):
    train, validation, test = omniglot.read(str(drawings))
    assert train.shape == (4 * 3, 20, 28, 28, 1)
    assert validation.shape == test.shape == (4, 20, 28, 28, 1)
    corners = test[:, 0, [0, 0, -1, -1], [0, -1, -1, 0], 0]
    # Each of the four turns has its ink in another corner.
    assert np.argmax(corners, axis=1).tolist() in ([0, 3, 2, 1], [0, 1, 2, 3])
    assert (np.sort(corners, axis=1) == [0, 0, 0, 255]).all()


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("images_background", "no folder .*images_background"),
        ("images_evaluation/Greek/character01", "has 2 characters"),
        ("images_evaluation/Greek/character01/03.png", "has 19 drawings"),
    ],
)
def test_what_is_missing_of_omniglot_is_named(drawings, gone, message):
    (drawings / gone).rename(drawings / "gone")
    with pytest.raises(ConfigError, match=message):
        omniglot.read(str(drawings))


def test_digits_hold_out_whole_digits():
    pytest.importorskip("sklearn")
    parts = digits.read()
    assert [part.shape for part in parts] == [
        (24, 174, 8, 8, 1),
        (8, 174, 8, 8, 1),
        (8, 174, 8, 8, 1),
    ]
    every = digits.TRAIN + digits.VALIDATION + digits.TEST
    assert sorted(every) == list(range(10))
    train = parts[0]
    # Class 6 is class 0 turned once: rows from columns, read by hand.
    for row in range(8):
        for column in range(8):
            np.testing.assert_array_equal(
                train[6, :, 7 - column, row], train[0, :, row, column]
            )
    assert train.max() == 16
