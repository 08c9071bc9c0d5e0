"""What a measurement would need of memory, and what there is."""

import pathlib
import shutil

import jax

_SHARED = pathlib.Path("/dev/shm")  # where Ray keeps objects


def problem(needed: float, free: float, where: str) -> str:
    """Why something does not fit, with both numbers; nothing if it does."""
    if needed <= free:
        return ""
    return (
        f"not run: needs {needed / 2**30:.1f} GiB {where}, "
        f"{free / 2**30:.1f} GiB are free"
    )


def free_on(device: jax.Device) -> float:
    """Bytes that a device has left; of a CPU, what the machine has left."""
    stats = device.memory_stats()
    if stats and "bytes_limit" in stats:
        return stats["bytes_limit"] - stats["bytes_in_use"]
    return free_here()


def free_here() -> float:
    """Bytes that processes can still take without swapping."""
    lines = pathlib.Path("/proc/meminfo").read_text().splitlines()
    kib = {line.split(":")[0]: line.split()[1] for line in lines}
    return int(kib["MemAvailable"]) * 1024


def free_shared() -> float:
    """Bytes that Ray's object store can take."""
    return min(shutil.disk_usage(_SHARED).free, free_here())
