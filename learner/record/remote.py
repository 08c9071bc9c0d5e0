"""A run's folder in a bucket: `s3://…`, `gs://…`, whatever fsspec opens.

The run itself works in a folder of its own machine. That is fetched from the
bucket when the run starts, and brought up to date there after each checkpoint
and at the end.

An object store renames nothing, and has no folder to replace in one step.
What makes a state of the run whole is a list of its files, `files.json`,
written last: a run that is killed while it uploads leaves the list of before,
and every checkpoint of that list is still there. Only then are files deleted
that the list no longer holds.
"""

import contextlib
import json
import pathlib
import shutil
import tempfile
import threading
from collections.abc import Iterator
from typing import NamedTuple

from learner.config import ConfigError
from learner.record.progress import RunError

_LIST = "files.json"
_LOOK_SECONDS = 2.0  # between looks for a new checkpoint
_METRICS_SECONDS = 60.0  # between uploads while there is none


class Stamp(NamedTuple):
    """What changes when a file does."""

    size: int
    modified: int  # nanoseconds, of the local copy


def is_remote(folder: str) -> bool:
    """Whether a folder is a bucket's."""
    return "://" in folder


def absolute(folder: str) -> str:
    """The same folder, from wherever it is looked at."""
    return folder if is_remote(folder) else str(pathlib.Path(folder).absolute())


class Folder:
    """The run's folder on this machine, synchronised with the bucket's.

    Attributes:
      path: where the run works; a new temporary one for a bucket.
    """

    def __init__(self, folder: str):
        self._folder = folder
        self.path = pathlib.Path(folder)
        if is_remote(folder):
            self.path = pathlib.Path(tempfile.mkdtemp(prefix="bmg-run-"))

    @contextlib.contextmanager
    def synchronised(self) -> Iterator[None]:
        """Fetched on entry, brought up to date meanwhile and at the end.

        Raises:
          ConfigError, RunError: if the bucket cannot be read or written; or
            what the run raises, with the bucket's name for the local folder's.
        """
        if not is_remote(self._folder):
            yield
            return
        try:
            mirror = Mirror(self._folder, self.path)
            mirror.fetch()
            mirror.push()  # a bucket that cannot be written is found now
            with contextlib.closing(Uploader(mirror)):
                yield
        except (ConfigError, RunError) as error:
            message = str(error).replace(str(self.path), self._folder)
            raise type(error)(message) from error
        finally:
            shutil.rmtree(self.path, ignore_errors=True)


class Mirror:
    """A local folder and its copy in a bucket.

    Args:
      url: of the copy.
      path: the local folder; made if missing.
    """

    def __init__(self, url: str, path: pathlib.Path):
        self._url = url
        self._path = path
        with self._as_user_error("opened"):
            import fsspec

            self._files, root = fsspec.core.url_to_fs(url)
            self._root = root.rstrip("/")
        self._uploaded: dict[str, Stamp] = {}
        path.mkdir(parents=True, exist_ok=True)

    def fetch(self) -> None:
        """Downloads what the bucket's list names; empty where there is none."""
        with self._as_user_error("read"):
            names = self._listed()
            for name in names:
                target = self._path / name
                target.parent.mkdir(parents=True, exist_ok=True)
                self._files.get_file(f"{self._root}/{name}", str(target))
            orphans = self._orphans(names)
        self._uploaded = self._local() | dict.fromkeys(orphans, Stamp(-1, -1))

    def push(self) -> None:
        """Uploads what has changed, then the list, then deletes the rest."""
        local = self._local()
        changed = [
            name
            for name, stamp in local.items()
            if self._uploaded.get(name) != stamp
        ]
        gone = self._uploaded.keys() - local.keys()
        with self._as_user_error("written"):
            for name in changed:
                self._upload(name)
            self._files.pipe_file(
                f"{self._root}/{_LIST}", json.dumps(sorted(local)).encode()
            )
            for name in gone:
                self._files.rm_file(f"{self._root}/{name}")
        self._uploaded = local

    def checkpoints(self) -> set[str]:
        """Those that are whole on this machine, but not yet in the bucket."""
        local = {_checkpoint(name) for name in self._local()}
        return local - {_checkpoint(name) for name in self._uploaded} - {""}

    def _upload(self, name: str) -> None:
        # Metrics grow while they are read: what is there now is uploaded.
        content = (self._path / name).read_bytes()
        if name == "config.yaml":  # names the run's folder, for --config
            content = content.replace(
                str(self._path).encode(), self._url.encode()
            )
        self._files.pipe_file(f"{self._root}/{name}", content)

    def _listed(self) -> list[str]:
        try:
            return json.loads(self._files.cat_file(f"{self._root}/{_LIST}"))
        except FileNotFoundError:
            return []

    def _orphans(self, names: list[str]) -> set[str]:
        """Files of checkpoints whose upload was cut short."""
        remote = {
            name[len(self._root) + 1 :] for name in self._files.find(self._root)
        }
        folders = ("checkpoints/", "milestones/")
        return {n for n in remote - set(names) if n.startswith(folders)}

    def _local(self) -> dict[str, Stamp]:
        """Files by name, but those of checkpoints that are being written."""
        found = {}
        for path in sorted(self._path.rglob("*")):
            name = str(path.relative_to(self._path))
            with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                if path.is_file() and "-tmp" not in name and name != "lock":
                    status = path.stat()
                    found[name] = Stamp(status.st_size, status.st_mtime_ns)
        return found

    @contextlib.contextmanager
    def _as_user_error(self, what: str) -> Iterator[None]:
        """Raises whatever a store raises as one line for the user."""
        try:
            yield
        except (RunError, ConfigError):
            raise
        except ImportError as error:
            raise ConfigError(
                f"{self._url} needs a package for such buckets: {error}; pip "
                "install -c constraints.txt -e .[buckets]"
            ) from error
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise RunError(
                f"{self._url} cannot be {what} from the learner's node: "
                f"{reason[:300]}; it needs credentials there that may list, "
                "read, write and delete"
            ) from error


class Uploader:
    """Keeps a bucket up to date, from a thread of its own."""

    def __init__(self, mirror: Mirror):
        self._mirror = mirror
        self._closed = threading.Event()
        self._thread = threading.Thread(
            target=self._work, name="mirror", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Brings the bucket up to date a last time; raises if it cannot."""
        self._closed.set()
        self._thread.join()
        self._mirror.push()

    def _work(self) -> None:
        waited = 0.0
        while not self._closed.wait(_LOOK_SECONDS):
            waited += _LOOK_SECONDS
            if self._mirror.checkpoints() or waited >= _METRICS_SECONDS:
                waited = 0.0
                # A store that is away for a while costs nothing: what could
                # not be uploaded now is uploaded next time.
                with contextlib.suppress(RunError):
                    self._mirror.push()


def _checkpoint(name: str) -> str:
    """The checkpoint that a file belongs to; empty for other files."""
    folder, _, rest = name.partition("/")
    step = rest.partition("/")[0]
    return f"{folder}/{step}" if folder == "checkpoints" and step else ""
