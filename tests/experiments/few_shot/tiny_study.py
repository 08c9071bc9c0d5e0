"""A study that takes seconds."""

import dataclasses

from experiments.few_shot.config import FewShotConfig, NetworkConfig


def tiny(out, **changes):
    config = FewShotConfig(
        data="sinusoid",
        method=("maml", "bmg"),
        K=(2,),
        L=(2,),
        tasks=4,
        steps=60,
        resolution=10,
        seeds=1,
        test_updates=3,
        test_tasks=8,
        validation_tasks=4,
        network=NetworkConfig(hidden=(5,), channels=(2,)),
        out=str(out),
    )
    return dataclasses.replace(config, **changes)
