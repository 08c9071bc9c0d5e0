"""The configuration of a run: frozen dataclasses, read only where wired.

Defaults are IMPALA's published Atari settings (Espeholt et al. 2018, sourced)
with STACX's and BMG's meta-learning on top;
`experiments/command/presets.py` says where each of those values comes from.
"""

import dataclasses
from dataclasses import field
from typing import Annotated, Literal

from learner.config_acting import (
    ActorsConfig,
    EnvironmentConfig,
    NetworkConfig,
)
from learner.config_learning import (
    CheckpointConfig,
    LearnerConfig,
    LossConfig,
    MetaConfig,
    OptimiserConfig,
    ReplayConfig,
)
from learner.config_ranges import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Seed,
    one_of,
)

Algorithm = Literal["impala", "stacx", "bmg"]
WRITERS = ("tensorboard", "wandb", "mlflow")


class ConfigError(ValueError):
    """A configuration that cannot run; the message is for the user."""


@dataclasses.dataclass(frozen=True)
class Config:
    """One run."""

    # EnvPool's task, such as Pong-v5, Breakout-v5, Catch-v0, CartPole-v1; or an
    # environment of your own, package.module:make, to be imported from here.
    task: str = "Pong-v5"
    # impala tunes nothing; stacx and bmg tune the loss's hyper-parameters.
    algorithm: Algorithm = "bmg"
    # Environment frames to train for: 4 per agent step on Atari.
    frames: PositiveInt = 200_000_000
    # Of the first parameters, the actions and the environments.
    seed: Seed = 1
    # The run's folder; runs/TASK-ALGORITHM-SEED if empty.
    out: str = ""
    # Whole games that the final policy plays, all at a time.
    evaluation_episodes: NonNegativeInt = 10
    # Environment frames between such games while training; 0 for none. They
    # take as many cores as one more actor.
    evaluation_frames: NonNegativeInt = 0
    # Seconds between lines of metrics.
    log_seconds: PositiveFloat = 5.0
    # What else shows the run: tensorboard, wandb (Weights & Biases), mlflow;
    # none if the list is empty. The last two are extras of their own.
    writers: tuple[Annotated[str, one_of(WRITERS)], ...] = ("tensorboard",)
    # Minutes between pages of the run (page.html) while it trains; 0 for none.
    # One is written at the end in any case.
    page_minutes: NonNegativeFloat = 5.0
    # Ray cluster to join: auto, HOST:PORT, ray://HOST:PORT, and for --submit
    # http://HOST:PORT; RAY_ADDRESS if empty, else one is started here.
    address: str = ""

    # How the games are played.
    environment: EnvironmentConfig = field(default_factory=EnvironmentConfig)
    # The network, the same for acting and learning.
    network: NetworkConfig = field(default_factory=NetworkConfig)
    # Who makes experience.
    actors: ActorsConfig = field(default_factory=ActorsConfig)
    # How batches become parameters.
    learner: LearnerConfig = field(default_factory=LearnerConfig)
    # The inner loss and the plain objective.
    loss: LossConfig = field(default_factory=LossConfig)
    # The optimiser of the parameters.
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    # Self-tuning: used by stacx and bmg.
    meta: MetaConfig = field(default_factory=MetaConfig)
    # Old unrolls, mixed with new ones at a fixed ratio.
    replay: ReplayConfig = field(default_factory=ReplayConfig)
    # What is saved when.
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)

    @property
    def folder(self) -> str:
        """The run's folder."""
        name = f"{self.task}-{self.algorithm}-{self.seed}"
        return self.out or f"runs/{name.replace('/', '-').replace(':', '-')}"

    @property
    def heads(self) -> int:
        """H, 1 + auxiliary heads."""
        extra = self.loss.auxiliary_heads
        return 1 if self.algorithm == "impala" else 1 + extra

    @property
    def online(self) -> int:
        """Trajectories of each batch that are new."""
        return self.learner.batch - self.replay.trajectories
