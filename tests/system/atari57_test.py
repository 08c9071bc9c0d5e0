"""A study that is killed and goes on, and games of a run's checkpoint."""

import csv
import json

import pytest
import yaml

_STUDY = {
    "games": ["breakout", "asterix"],
    "seeds": 1,
    "base": "catch",
    "variants": {
        "small": {
            "frames": 24_000,
            "evaluation_episodes": 0,
            "learner": {"unroll_length": 10, "batch": 4},
            "actors": {"envs": 4, "envs_per_step": 4, "trajectories": 4},
            "network": {"hidden": 8},
            "checkpoint": {"updates": 20},
        },
        # No actor makes an unroll in that time.
        "bad": {"actors": {"max_failures": 1, "timeout": 0.01}},
    },
}  # fmt: skip


def _states(folder):
    return {
        str(path.parent.relative_to(folder)): json.loads(path.read_text())
        for path in folder.rglob("sweep.json")
    }


def _evaluations(run):
    return list(csv.DictReader((run / "evaluations.csv").read_text().split()))


@pytest.mark.slow
@pytest.mark.ray
def test_a_killed_study_goes_on_and_names_what_failed(
    bmg, tmp_path, eventually
):
    study, out = tmp_path / "study.yaml", tmp_path / "out"
    study.write_text(yaml.safe_dump(_STUDY, sort_keys=False))
    command = "sweep", "--study", study, "--out", out, "--retries", 1
    first = bmg(*command)
    eventually(lambda: "done   breakout/small/1" in first.text(), 300)
    first.process.kill()
    first.process.wait()
    second = bmg(*command)
    assert second.wait(600) == 1, second.text()
    assert "start  breakout/small/1" not in second.text()
    states = _states(out)
    assert states["breakout/small/1"]["state"] == "done"
    assert states["asterix/small/1"]["state"] == "done"
    for name in ("breakout/bad/1", "asterix/bad/1"):
        assert states[name]["state"] == "failed"
        assert states[name]["failures"] == 2
        assert "no unroll within" in (out / name / "error.log").read_text()
        assert f"failed {name}" in second.text()
    report = bmg("report", out, "--out", tmp_path / "report")
    assert report.wait(300) == 0, report.text()
    assert (tmp_path / "report" / "report.html").exists()


def test_a_runs_checkpoint_plays_whole_games(bmg, tmp_path):
    run = tmp_path / "run"
    train = bmg(
        *("train", "--preset", "catch", "--frames", 1_600, "--out", run),
        *("--actors.in-process", "--evaluation-episodes", 2),
        *("--evaluation-frames", 1_000),
    )
    assert train.wait(300) == 0, train.text()
    # Batches of 80 frames: the first at or beyond 1,000 ends at 1,040.
    assert "2 games of the policy at 1,040 frames" in train.text()
    rows = _evaluations(run)
    assert [row["frames"] for row in rows] == ["1040"] * 2 + ["1600"] * 2
    for protocol in ("no-op", "sticky"):
        played = bmg("evaluate", run, "--protocol", protocol, "--episodes", 3)
        assert played.wait(300) == 0, played.text()
        assert f"Catch-v0, {protocol}, after 1,600 frames" in played.text()
    rows = _evaluations(run)[4:]
    assert [row["protocol"] for row in rows] == ["no-op"] * 3 + ["sticky"] * 3
    assert {float(row["episode_return"]) for row in rows} <= {-1.0, 1.0}
    nothing = bmg("evaluate", tmp_path)
    assert nothing.wait(60) == 2
    assert "holds no run" in nothing.text()
