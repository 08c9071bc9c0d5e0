"""Examples of every command: its `--help` ends with them.

A test parses each, so that they stay true.
"""

EXAMPLES = {
    "train": (
        "bmg train --preset catch",
        "bmg train --preset pong-cpu --task Breakout-v5 --seed 2",
        "bmg train --preset catch --algorithm stacx --out runs/stacx",
        "bmg train --config runs/Pong-v5-bmg-1/config.yaml",
        "bmg train --submit --address http://HEAD:8265 --out /runs/pong-1",
    ),
    "status": (
        "bmg status --address http://HEAD:8265",
        "bmg status raysubmit_1a2b",
    ),
    "logs": ("bmg logs raysubmit_1a2b --follow",),
    "stop": ("bmg stop raysubmit_1a2b",),
    "evaluate": (
        "bmg evaluate runs/Pong-v5-bmg-1",
        "bmg evaluate runs/Pong-v5-bmg-1 --protocol sticky --episodes 20",
    ),
    "runs": ("bmg runs", "bmg runs runs/smoke"),
    "page": (
        "bmg page runs/Pong-v5-bmg-1",
        "bmg page runs/Pong-v5-bmg-1 --out pong.html",
    ),
    "play": (
        "bmg play runs/Pong-v5-bmg-1",
        "bmg play runs/Pong-v5-bmg-1 --random --out pong.gif",
    ),
    "compare": (
        "bmg compare runs/Pong-v5-bmg-1 runs/Pong-v5-impala-1",
        "bmg compare runs/A runs/B runs/C --out pong.pdf",
    ),
    "sweep": (
        "bmg sweep --study smoke",
        "bmg sweep --study atari57 --dry-run --frames-per-second 25000",
        "bmg sweep --study my.yaml --address auto --out runs/mine",
    ),
    "report": (
        "bmg report runs/smoke",
        "bmg report runs/smoke others.csv --out runs/report --title Smoke",
    ),
    "gridworld": (
        "bmg gridworld --preset quick",
        "bmg gridworld --agent ac --method bmg fixed --ac.L 15 --seeds 4",
        "bmg gridworld --preset quick --report-only",
    ),
    "few-shot": (
        "bmg few-shot --data sinusoid",
        "bmg few-shot --data digits --method maml bmg --K 5 --L 1 5",
        "bmg few-shot --data omniglot --folder FOLDER",
    ),
    "bench": (
        "bmg bench --preset check",
        "bmg bench --stages env actor --torsos nature",
    ),
    "completion": (
        "bmg completion bash > ~/.local/share/bash-completion/completions/bmg",
        "bmg completion zsh > ~/.zfunc/_bmg    # a folder of fpath",
    ),
}


def text(command: str) -> str:
    """What `bmg COMMAND --help` ends with."""
    return "examples:\n" + "".join(f"  {line}\n" for line in EXAMPLES[command])
