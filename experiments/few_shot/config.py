"""The configuration of a few-shot study.

Standing of a value: [S] read in the BMG paper, [R] recalled from MAML (Finn et
al. 2017) or from public code for it, unverified, [D] ours. The BMG paper's own
settings of section 6 could not be sourced.
"""

import dataclasses
import pathlib
from typing import Literal

Data = Literal["sinusoid", "digits", "omniglot", "miniimagenet"]
Method = Literal["joint", "fomaml", "maml", "bmg"]
MatchingName = Literal["kl", "kl-reverse", "l2"]
Ahead = Literal["support", "query"]


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """The network whose initialisation is learned."""

    # Units of each layer, on sinusoids [R].
    hidden: tuple[int, ...] = (40, 40)
    # Channels of each block, on images [R]: Omniglot 64, miniImagenet 32.
    channels: tuple[int, ...] = (32, 32, 32, 32)


@dataclasses.dataclass(frozen=True)
class FewShotConfig:
    """One study: every combination of what is listed, on every seed."""

    # What the tasks are made of.
    data: Data = "sinusoid"
    # Where omniglot or miniimagenet lies; docs/few_shot.md says in what form.
    folder: str = ""
    # Without meta-learning (joint: one network for all tasks; sinusoids only),
    # first-order MAML, MAML, BMG.
    method: tuple[Method, ...] = ("fomaml", "maml", "bmg")
    # Classes of a task; unused on sinusoids.
    ways: int = 5
    # Examples of each class (sinusoids: points) that a task is learned from.
    shots: int = 5
    # Further examples of each class (points), of the outer loss and of scores.
    queries: int = 15
    # K, inner updates of a meta-step.
    K: tuple[int, ...] = (5,)
    # L, bootstrap updates of a meta-step (bmg).
    L: tuple[int, ...] = (5,)
    # How far x_K is from its bootstrap (bmg): KL of the predictions [S], which
    # on sinusoids is half their mean squared difference; the KL the other way
    # round; or the distance of the parameters.
    matching: tuple[MatchingName, ...] = ("kl",)
    # What the bootstrap updates before the last one see; the last one sees the
    # queries, as the outer loss of MAML does [D].
    ahead: tuple[Ahead, ...] = ("query",)
    # Learning rates of the last bootstrap update (bmg); those before it are by
    # the inner rule [D].
    bootstrap_rate: tuple[float, ...] = (0.01,)
    # Learning rates of the meta-optimiser, Adam [R].
    meta_rate: tuple[float, ...] = (1e-3,)
    # Of the inner updates, SGD [R].
    inner_rate: float = 0.01
    # Of the logits in the matching KL [D].
    temperature: float = 1.0
    # Tasks of a meta-batch [R].
    tasks: int = 4
    # Meta-batches of each seed.
    steps: int = 60_000
    # Seeds of each combination, numbered from 1.
    seeds: int = 3
    # Updates on a task it is tested on [R].
    test_updates: int = 10
    # Tasks that a network is tested on when it is done [R].
    test_tasks: int = 600
    # The network.
    network: NetworkConfig = NetworkConfig()

    # Meta-batches between rows of a curve.
    resolution: int = 500
    # Tasks of held-out classes that each row is the mean over.
    validation_tasks: int = 100
    # The study's folder; runs/few-shot-DATA if empty.
    out: str = ""
    # Run nothing: table and figures of the curves that are there.
    report_only: bool = False
    # Tasks that a device works on at a time; 0 takes all. Fewer need less
    # memory.
    at_once: int = 0
    # Where to compute.
    platform: Literal["cpu", "gpu", "tpu"] = "cpu"
    # Virtual devices that share the tasks on CPUs, each on its own core. On
    # other platforms all devices are used.
    devices: int = 1

    @property
    def study_folder(self) -> pathlib.Path:
        """Where its files lie."""
        return pathlib.Path(self.out or f"runs/few-shot-{self.data}")
