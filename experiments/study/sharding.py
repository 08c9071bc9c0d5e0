"""How arrays lie on devices: shared out among them, or the same on each."""

from collections.abc import Sequence

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

SPLIT, REPLICATED = PartitionSpec("devices"), PartitionSpec()


def mesh(devices: Sequence[jax.Device]) -> Mesh:
    """These devices in a row."""
    return Mesh(np.array(devices), ("devices",))


def split(devices: Sequence[jax.Device]) -> NamedSharding:
    """Shares the first axis of arrays out among these devices."""
    return NamedSharding(mesh(devices), SPLIT)


def replicated(devices: Sequence[jax.Device]) -> NamedSharding:
    """The whole array on each of these devices."""
    return NamedSharding(mesh(devices), REPLICATED)
