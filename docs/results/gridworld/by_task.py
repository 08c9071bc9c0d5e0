"""Draws by-task.png and prints its means: in which tasks Q(lambda) earns.

python docs/results/gridworld/by_task.py
"""

import pathlib

import matplotlib
import numpy as np

from experiments.gridworld import curves

matplotlib.use("Agg")

from matplotlib import pyplot as plt

_HERE = pathlib.Path(__file__).parent
_PERIOD = 100_000
_MAIN = "q-lambda-10m"
_SHORT = "q-lambda-10m-L16"
_WITHIN = "q-lambda-10m-within"
_L16 = "q-lambda-bmg-reward-K0-L16-rate0.0001"
_SHOWN = {  # title, by folder and variant
    (_MAIN, "q-lambda-fixed-0.3"): "epsilon 0.3",
    (_MAIN, "q-lambda-fixed-0.1"): "epsilon 0.1",
    (_MAIN, "q-lambda-fixed-0.03"): "epsilon 0.03",
    (_MAIN, "q-lambda-fixed-0.01"): "epsilon 0.01",
    (_MAIN, "q-lambda-bmg-reward-K0-L128-rate0.0001"): "BMG, L = 128, 1e-4",
    (_MAIN, "q-lambda-bmg-reward-K0-L128-rate0.001"): "BMG, L = 128, 1e-3",
    (_MAIN, "q-lambda-bmg-none-K0-L128-rate0.001"): "BMG, no context, 1e-3",
    (_SHORT, _L16): "BMG, L = 16, 1e-4",
    (_WITHIN, "q-lambda-fixed-0.1"): "within Adam: epsilon 0.1",
    (_WITHIN, _L16): "within Adam: BMG, L = 16",
}


def main() -> None:
    """Writes by-task.png; prints returns and means over every other task."""
    figure, axes = plt.subplots(2, 5, figsize=(15, 5), sharex=True, sharey=True)
    for axis, ((folder, variant), title) in zip(
        axes.flat, _SHOWN.items(), strict=True
    ):
        reward, total = _by_task(folder, variant)
        task = np.arange(1, len(reward) + 1)
        for first, label in ((0, "odd tasks"), (1, "even tasks")):
            every_other = slice(first, None, 2)
            axis.plot(
                task[every_other],
                reward[every_other],
                ".-",
                lw=0.5,
                label=label,
            )
        odd, even = np.mean(reward[::2]), np.mean(reward[1::2])
        print(f"{title}: {total / 1e6:.3f}M, odd {odd:.3f}, even {even:.3f}")
        axis.set_title(title, fontsize=10)
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0, 0].legend(fontsize=8)
    figure.supxlabel("task (100,000 steps each; the colours swap in between)")
    figure.supylabel("reward per step")
    figure.tight_layout()
    figure.savefig(_HERE / "by-task.png", dpi=120)


def _by_task(folder: str, variant: str) -> tuple[np.ndarray, float]:
    """Mean reward per step of each task, and the return of the lifetime."""
    curve = curves.read(curves.path(_HERE / folder, variant, 1))
    task = (curve.step - 1) // _PERIOD
    means = [curve.reward[task == i].mean() for i in range(task[-1] + 1)]
    return np.array(means), curve.returns[-1]


if __name__ == "__main__":
    main()
