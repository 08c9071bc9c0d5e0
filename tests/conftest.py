"""Tests run on the CPU, as two virtual devices. Set before JAX is imported.

Most of their time is compiling. Programs compiled once are kept for the
session: many tests, and the processes that they start, compile the same ones.
What XLA makes of them is not optimised, which halves the time of the whole;
with BMG_TEST_OPTIMISED=1 it is, as in a run (`make optimised`).
"""

import atexit
import os
import shutil
import tempfile

import pytest

_UNOPTIMISED = [
    "--xla_backend_optimization_level=0",
    "--xla_cpu_use_fusion_emitters=false",
]
_OPTIMISED = os.environ.get("BMG_TEST_OPTIMISED") == "1"

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = " ".join(
    [
        os.environ.get("XLA_FLAGS", ""),
        *([] if _OPTIMISED else _UNOPTIMISED),
        "--xla_force_host_platform_device_count=2",
    ]
).strip()

if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    _CACHE = tempfile.mkdtemp(prefix="bmg-tests-")
    atexit.register(shutil.rmtree, _CACHE, ignore_errors=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _CACHE
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.2"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"


@pytest.fixture
def float64():
    """Numbers of 64 bits, for finite differences and literal loops."""
    import jax

    with jax.enable_x64(True):
        yield
