"""Environment variables of each kind of process, set before it starts.

XLA, glibc and the numerical libraries read theirs once, on start-up.
"""

import functools
import importlib.util
import mmap
import os
import pathlib
import sys

from learner.config import Config

# XLA's newer convolutions use one core on CPUs; this brings the older path
# back. glibc gives large arrays back to the kernel after every step; these
# keep them, in one heap, since threads' own would fill up in turn for hours.
_CONVOLUTIONS = (
    "--xla_cpu_experimental_ynn_fusion_type=LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"
)
_MALLOC = (
    "glibc.malloc.arena_max=1:glibc.malloc.hugetlb=1:"
    "glibc.malloc.mmap_threshold=17179869184:"
    "glibc.malloc.trim_threshold=34359738368:glibc.malloc.top_pad=268435456"
)
# A study's arrays are small: more padding than glibc's heaps of 64 MiB hold
# makes it fault in fresh pages over and over.
_SMALL_MALLOC = (
    "glibc.malloc.mmap_threshold=17179869184:"
    "glibc.malloc.trim_threshold=34359738368:glibc.malloc.top_pad=16777216"
)
_RESTARTED = "BMG_RESTARTED"
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC"), "1"
)


def actor_variables() -> dict[str, str]:
    """An actor computes on one core, and never on the learner's device."""
    flags = ["--xla_cpu_multi_thread_eigen=false"]
    return _ONE_THREAD | {
        "JAX_PLATFORMS": "cpu",
        # Ray leaves GPUs visible to actors that asked for none.
        "CUDA_VISIBLE_DEVICES": "",
        "XLA_FLAGS": _flags([_CONVOLUTIONS, *flags]),
    }


def learner_variables(config: Config) -> dict[str, str]:
    """A learner on CPUs has one virtual device per core, or as asked."""
    if config.learner.gpus or config.learner.tpus:
        return {}
    devices = config.learner.devices or max(os.cpu_count() or 1, 1)
    count = f"--xla_force_host_platform_device_count={devices}"
    return {
        "JAX_PLATFORMS": "cpu",
        "CUDA_VISIBLE_DEVICES": "",
        "XLA_FLAGS": _flags([_CONVOLUTIONS, count]),
        "GLIBC_TUNABLES": _MALLOC,
    }


def study_variables(platform: str, devices: int) -> dict[str, str]:
    """A study on CPUs: one virtual device per core, each on its own core."""
    if platform != "cpu":
        return {"JAX_PLATFORMS": {"gpu": "cuda"}.get(platform, platform)}
    count = devices or max(os.cpu_count() or 1, 1)
    flags = [
        f"--xla_force_host_platform_device_count={count}",
        "--xla_cpu_multi_thread_eigen=false",
    ]
    return {
        "JAX_PLATFORMS": "cpu",
        "CUDA_VISIBLE_DEVICES": "",
        "XLA_FLAGS": _flags(flags),
        "GLIBC_TUNABLES": _SMALL_MALLOC,
    }


def restart_with(variables: dict[str, str], module: str) -> None:
    """Replaces this process by `python -m module …` with variables set, once.

    glibc reads its own before Python could set them.
    """
    if restarted():
        return
    environment = os.environ | variables | {_RESTARTED: "1"}
    command = [sys.executable, "-m", module, *sys.argv[1:]]
    os.execve(sys.executable, command, environment)


def restarted() -> bool:
    """Whether this process stands where `restart_with` replaced another."""
    return bool(os.environ.get(_RESTARTED))


def _flags(flags: list[str]) -> str:
    """The user's XLA_FLAGS and ours, as far as the installed XLA knows them:
    an unknown flag ends the process."""
    users = os.environ.get("XLA_FLAGS", "")
    known = [flag for flag in flags if _known(flag.split("=")[0].lstrip("-"))]
    return " ".join([users, *known]).strip()


@functools.cache  # a library of hundreds of megabytes is searched
def _known(flag: str) -> bool:
    found = importlib.util.find_spec("jaxlib")
    if found is None or found.origin is None:
        return False
    library = pathlib.Path(found.origin).parent / "libjax_common.so"
    if not library.exists():
        return False
    with (
        library.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        return content.find(flag.encode()) >= 0
