"""A run's folder in a bucket, which is fsspec's memory."""

import json
import pathlib

import fsspec
import pytest

from learner.record.progress import RunError
from learner.record.remote import Folder, Mirror, absolute

CHECKPOINT = "checkpoints/100/state/numbers"


@pytest.fixture
def bucket():
    """The files of a bucket, by name, as they are at the moment."""
    memory = fsspec.filesystem("memory")

    def read():
        root = "/bucket/run/"
        return {
            name.removeprefix(root): memory.cat_file(name)
            for name in memory.find(root)
        }

    yield read
    memory.store.clear()


URL = "memory://bucket/run"


def write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def names(folder):
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_what_was_written_is_fetched_elsewhere(bucket, tmp_path):
    files = {"metrics.jsonl": "{}\n", CHECKPOINT: "1 2 3", "tensorboard/e": "x"}
    local, other = tmp_path / "local", tmp_path / "other"
    mirror = Mirror(URL, local)
    write(local, files)
    mirror.push()
    Mirror(URL, other).fetch()
    assert {n: (other / n).read_text() for n in names(other)} == files


def test_only_changes_are_uploaded_and_lost_files_deleted(bucket, tmp_path):
    mirror = Mirror(URL, tmp_path)
    write(tmp_path, {"a": "1", "b": "1", CHECKPOINT: "1"})
    mirror.push()
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/bucket/run/a", b"not ours")  # stays: a did not change
    write(tmp_path, {"b": "22"})
    (tmp_path / CHECKPOINT).unlink()
    mirror.push()
    content = bucket()
    listed = json.loads(content.pop("files.json"))
    assert content == {"a": b"not ours", "b": b"22"}
    assert listed == ["a", "b"]


def test_killed_while_uploading_leaves_the_checkpoint_of_before(
    bucket, tmp_path, monkeypatch
):
    local = tmp_path / "local"
    mirror = Mirror(URL, local)
    write(local, {CHECKPOINT: "old", "config.yaml": "c"})
    mirror.push()
    # As `keep` does: a new checkpoint comes, the old one goes.
    (local / CHECKPOINT).unlink()
    write(local, {"checkpoints/200/a": "new", "checkpoints/200/b": "new"})
    memory = fsspec.filesystem("memory")
    pipe = type(memory).pipe_file

    def die_after_a(self, path, value, **options):
        if path.endswith("200/b"):
            raise KeyboardInterrupt
        pipe(self, path, value, **options)

    monkeypatch.setattr(type(memory), "pipe_file", die_after_a)
    with pytest.raises(KeyboardInterrupt):
        mirror.push()
    monkeypatch.undo()
    other = tmp_path / "other"
    Mirror(URL, other).fetch()
    assert names(other) == {CHECKPOINT, "config.yaml"}


def test_half_written_checkpoints_and_the_lock_stay_local(bucket, tmp_path):
    write(tmp_path, {"checkpoints/7.orbax-checkpoint-tmp-1/a": "", "lock": ""})
    Mirror(URL, tmp_path).push()
    assert set(bucket()) == {"files.json"}


def test_a_synchronised_folder_ends_up_in_the_bucket_and_nowhere_else(bucket):
    folder = Folder(URL)
    with folder.synchronised():
        write(folder.path, {"config.yaml": f"out: {folder.path}\n"})
    assert bucket()["config.yaml"] == f"out: {URL}\n".encode()
    assert not folder.path.exists()


def test_messages_name_the_bucket(bucket):
    folder = Folder(URL)
    with pytest.raises(RunError, match=f"in {URL}$"), folder.synchronised():
        raise RunError(f"no checkpoint in {folder.path}")


def test_folders_on_this_machine_stay_as_they_are(tmp_path):
    folder = Folder(str(tmp_path / "run"))
    with folder.synchronised():
        assert folder.path == tmp_path / "run"
    assert absolute("run") == str(pathlib.Path.cwd() / "run")
    assert absolute(URL) == URL
