"""PyTorch's gradient of the same networks; imports nothing of bmg.

Prints "ready", then takes a step for each line that it is sent and prints a
line when it is done. One head, a policy gradient with given advantages, no
V-trace: less than bmg's step computes, and little beside the convolutions.
"""

import json
import sys

import torch
from torch import nn
from torch.nn import functional


class Residual(nn.Module):
    """One section of IMPALA's torso: convolution, pooling, two blocks."""

    def __init__(self, before: int, width: int):
        super().__init__()
        self.first = nn.Conv2d(before, width, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=1) for _ in range(4)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.max_pool2d(self.first(x), 3, stride=2, padding=1)
        for first, second in zip(
            self.blocks[::2], self.blocks[1::2], strict=True
        ):
            x = x + second(functional.relu(first(functional.relu(x))))
        return x


class Network(nn.Module):
    """A torso, a policy head and a value head."""

    def __init__(self, torso: nn.Module, hidden: int, actions: int):
        super().__init__()
        self.torso = nn.Sequential(
            torso, nn.ReLU(), nn.Flatten(), nn.LazyLinear(hidden), nn.ReLU()
        )
        self.policy = nn.Linear(hidden, actions)
        self.value = nn.Linear(hidden, 1)

    def forward(
        self, frames: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.torso(frames.float() / 255.0)
        return self.policy(x), self.value(x)[:, 0]


def main() -> None:
    """Builds the network of the options, then steps at each line it is sent."""
    options = json.loads(sys.argv[1])
    torch.manual_seed(0)
    network = Network(_torso(options), options["hidden"], options["actions"])
    samples = options["samples"]
    frames = torch.randint(0, 256, (samples, 4, 84, 84), dtype=torch.uint8)
    actions = torch.randint(0, options["actions"], (samples,))
    targets = torch.randn(samples)
    network(frames[:1])  # makes the lazy layer
    optimiser = torch.optim.RMSprop(network.parameters(), lr=1e-4)

    def step() -> None:
        logits, values = network(frames)
        log_probs = functional.log_softmax(logits, -1)
        taken = log_probs.gather(1, actions[:, None])[:, 0]
        advantages = (targets - values).detach()
        entropy = -(log_probs.exp() * log_probs).sum(-1)
        loss = functional.mse_loss(values, targets)
        loss = loss - (advantages * taken).mean() - 0.01 * entropy.mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    step()
    print(f"ready {torch.__version__} {torch.get_num_threads()}", flush=True)
    for _ in sys.stdin:
        step()
        print("done", flush=True)


def _torso(options: dict) -> nn.Module:
    """Plain convolutions of (width, kernel, stride), or residual sections."""
    before, layers = 4, []
    for width, kernel, stride in options["convolutions"]:
        layers += [nn.Conv2d(before, width, kernel, stride), nn.ReLU()]
        before = width
    for width in options["sections"]:
        layers.append(Residual(before, width))
        before = width
    return nn.Sequential(*layers)


if __name__ == "__main__":
    main()
