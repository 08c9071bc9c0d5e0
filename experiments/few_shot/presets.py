"""Named configurations of the study."""

from collections.abc import Callable

from experiments.few_shot.config import FewShotConfig, NetworkConfig


def sinusoid() -> FewShotConfig:
    """Regression on ten points of a sinusoid: minutes.

    MAML's (Finn et al. 2017, section 5.1), recalled: ten points, two layers of
    40 units, SGD 0.01 inside, Adam 0.001 outside, 25 tasks a batch. Fewer
    meta-batches than its 70,000 are ours.
    """
    return FewShotConfig(
        data="sinusoid",
        method=("joint", "fomaml", "maml", "bmg"),
        shots=10,
        queries=10,
        K=(1, 5),
        L=(1, 5),
        matching=("kl", "l2"),
        tasks=25,
        steps=5_000,
        resolution=250,
    )


def digits() -> FewShotConfig:
    """Handwritten digits of 8x8 pixels, five ways, one shot; ours."""
    return FewShotConfig(
        data="digits",
        shots=1,
        queries=10,
        K=(1, 5),
        matching=("kl", "l2"),
        inner_rate=0.1,
        bootstrap_rate=(0.1,),
        network=NetworkConfig(channels=(16, 16, 16)),
        steps=500,
        resolution=50,
        validation_tasks=40,
        test_tasks=200,
    )


def omniglot() -> FewShotConfig:
    """Five ways, one shot; MAML's settings, recalled."""
    return FewShotConfig(
        data="omniglot",
        shots=1,
        K=(1, 5),
        inner_rate=0.4,
        bootstrap_rate=(0.4,),
        tasks=32,
        network=NetworkConfig(channels=(64, 64, 64, 64)),
    )


def miniimagenet() -> FewShotConfig:
    """The paper's 84x84 pixels, five ways, five shots, three seeds; the rest is
    MAML's, recalled."""
    return FewShotConfig(
        data="miniimagenet", K=(1, 5, 10), L=(1, 5, 10), at_once=1
    )


PRESETS: dict[str, Callable[[], FewShotConfig]] = {
    "sinusoid": sinusoid,
    "digits": digits,
    "omniglot": omniglot,
    "miniimagenet": miniimagenet,
}
