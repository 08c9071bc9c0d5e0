"""The files of deploy/: one source, valid where a schema is at hand, closed."""

import importlib.util
import json
import pathlib
import re
import shlex

import jsonschema
import pytest
import yaml

from experiments.command.main import parse_train
from learner.config_check import check
from tests.deploy.manifests import DEPLOY, ROOT, VALUES


def load_render():
    spec = importlib.util.spec_from_file_location("r", DEPLOY / "render.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


RENDER = load_render()


def test_files_are_what_the_values_say():
    assert RENDER.main(["--check"]) == 0


def test_a_changed_value_is_noticed_and_a_missing_one_named(capsys):
    changed = RENDER.rendered(VALUES | {"name": "another"})
    assert any("another" in text for text in changed.values())
    assert any(path.read_text() != changed[path] for path in changed)
    with pytest.raises(KeyError, match="image"):
        RENDER.rendered({k: v for k, v in VALUES.items() if k != "image"})


def test_every_value_is_used():
    used = {
        name
        for path in (DEPLOY / "templates").rglob("*.*")
        for name in re.findall(r"@\{(\w+)\}", path.read_text())
    }
    assert used == set(VALUES)


def test_ray_is_the_pinned_one():
    pins = (ROOT / "constraints.txt").read_text()
    assert f"\nray=={VALUES['ray_version']}\n" in pins


def test_the_command_is_one_that_bmg_takes():
    command, subcommand, *flags = shlex.split(VALUES["command"])
    assert (command, subcommand) == ("bmg", "train")
    for learner in ("gpus", VALUES["learner_gpus"]), ("tpus", 4):
        check(parse_train([*flags, f"--learner.{learner[0]}", str(learner[1])]))
    config = parse_train(flags)
    assert config.address == "auto"
    assert config.out.startswith("/runs/")
    room = VALUES["actor_nodes_max"] * VALUES["actor_cpus"]
    assert config.actors.count * config.actors.cpus <= room
    # There is room for those before any actor node has come.
    assert config.actors.min * config.actors.cpus < VALUES["learner_cpus"]


@pytest.mark.parametrize("cloud", ["aws", "gcp"])
def test_cluster_files_keep_rays_schema(cloud):
    ray = pathlib.Path(importlib.util.find_spec("ray").origin).parent
    schema = json.loads((ray / "autoscaler" / "ray-schema.json").read_text())
    config = yaml.safe_load((DEPLOY / f"{cloud}.yaml").read_text())
    jsonschema.validate(config, schema)
    assert config["head_node_type"] in config["available_node_types"]
    for node in config["available_node_types"].values():
        assert set(node["resources"]) <= {"CPU", "GPU"}
        assert "node_config" in node


@pytest.mark.parametrize("cloud", ["aws", "gcp"])
def test_cloud_nodes_are_private_and_ask_for_a_token(cloud):
    config = yaml.safe_load((DEPLOY / f"{cloud}.yaml").read_text())
    assert config["provider"]["use_internal_ips"] is True
    started = [
        *config["head_start_ray_commands"],
        *config["worker_start_ray_commands"],
    ]
    for command in started:
        if "ray start" in command:
            assert command.startswith("RAY_AUTH_MODE=token ")
    assert "--dashboard-host=127.0.0.1" in config["head_start_ray_commands"][1]
    assert config["available_node_types"]["head"]["resources"] == {"CPU": 0}
