"""Memory, open files and threads of a run's processes, sampled."""

import csv
import pathlib
import shutil
import typing
from typing import NamedTuple

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from tests.chaos.training import Training

_MIB = 2**20


class ProcessSample(NamedTuple):
    """One process, or the object store, at one time."""

    minutes: float
    frames: int  # of the run, then
    pid: int  # 0: the object store
    process: str
    resident_mib: float  # without shared pages
    shared_mib: float
    files: int
    threads: int


def sample_processes(training: Training, minutes: float) -> list[ProcessSample]:
    """All processes of a run, and the shared memory of the machine."""
    minutes, frames = round(minutes, 3), training.frames()
    used = shutil.disk_usage("/dev/shm").used / _MIB
    store = ProcessSample(minutes, frames, 0, "/dev/shm", 0.0, used, 0, 0)
    found = [store]
    for pid in training.processes():
        try:
            found.append(_process(pid, minutes, frames))
        except OSError:
            continue  # It has ended meanwhile.
    return found


def _process(pid: int, minutes: float, frames: int) -> ProcessSample:
    proc = pathlib.Path("/proc", str(pid))
    status = dict(
        line.split(":\t", 1)
        for line in (proc / "status").read_text().splitlines()
        if ":\t" in line
    )
    shared = _mib(status, "RssShmem")
    return ProcessSample(
        minutes,
        frames,
        pid,
        _title((proc / "cmdline").read_bytes().decode()),
        round(_mib(status, "VmRSS") - shared, 2),
        round(shared, 2),
        sum(1 for _ in (proc / "fd").iterdir()),
        int(status["Threads"]),
    )


def _mib(status: dict[str, str], name: str) -> float:
    """Of "VmRSS:  123 kB"; a process that is ending has none."""
    return int(status.get(name, "0 kB").split()[0]) / 1024


def _title(command: str) -> str:
    """`ray::_Actor` as Ray names it; else the program, or its module."""
    words = command.split("\0")
    if words[0].startswith("ray::"):
        return words[0].split()[0]
    scripts = [word for word in words if word.endswith(".py")]
    if "-m" in words:
        scripts.append(words[words.index("-m") + 1])
    return pathlib.Path((scripts or words)[0]).name


def read_csv(path: pathlib.Path) -> list[ProcessSample]:
    """Samples that were written as CSV."""
    kinds = typing.get_type_hints(ProcessSample)
    with path.open(newline="") as file:
        return [
            ProcessSample(
                **{name: kinds[name](text) for name, text in row.items()}
            )
            for row in csv.DictReader(file)
        ]


def plot(samples: list[ProcessSample], path: pathlib.Path) -> None:
    """Memory of each process, and the frames of the run, over minutes."""
    figure, (upper, lower) = plt.subplots(2, 1, figsize=(9, 8), sharex=True)
    for pid in dict.fromkeys(row.pid for row in samples):
        rows = [row for row in samples if row.pid == pid]
        minutes = [row.minutes for row in rows]
        memory = [row.resident_mib if pid else row.shared_mib for row in rows]
        upper.plot(minutes, memory, label=rows[-1].process)
    upper.set(ylabel="resident, MiB", yscale="log")
    upper.legend(fontsize=7, ncols=3)
    store = [row for row in samples if row.pid == 0]
    minutes = [row.minutes for row in store]
    lower.plot(minutes, [row.frames / 1e6 for row in store])
    lower.set(xlabel="minutes", ylabel="frames, millions", ylim=0)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
