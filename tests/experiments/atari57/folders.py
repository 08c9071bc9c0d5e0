"""Runs as they lie on disk, and files of curves."""

import yaml

# The last row of `write_run`'s episodes, cut short by a crash.
TORN = "episodes.csv: 1 line left out, which cannot be read"


def write_run(folder, seed, *, task="Pong-v5", frames=100, algorithm="bmg"):
    folder.mkdir(parents=True)
    config = {"task": task, "seed": seed, "frames": frames}
    config["algorithm"] = algorithm
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "episodes.csv").write_text(
        "frames,episode_return,episode_frames\n"
        f"50,-20.0,9\n96,{seed}.0,9\n100,{seed}.0,9\n100,2"
    )
    (folder / "metrics.jsonl").write_text(
        '{"frames": 50, "hyperparams/discount_0": 0.98}\n'
        '{"frames": 100, "hyperparams/discount_0": 0.99}\n{"fra'
    )


def write_csv(path, rows, header="game,seed,frames,return"):
    lines = [header, *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path
