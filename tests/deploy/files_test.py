"""The files of deploy/: one source, valid where a schema is at hand, closed."""

import configparser
import importlib.util
import json
import pathlib
import re
import shlex
import subprocess

import jsonschema
import pytest
import yaml

from experiments.main import parse_train
from experiments.prometheus import GAUGES
from learner.config_check import check
from learner.progress import Progress

ROOT = pathlib.Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
VALUES = yaml.safe_load((DEPLOY / "values.yaml").read_text())


def load_render():
    spec = importlib.util.spec_from_file_location("r", DEPLOY / "render.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


RENDER = load_render()


def pods():
    """Every pod template of the Kubernetes files, by file and container."""
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            spec = document["spec"]
            groups = [
                spec.get("headGroupSpec"),
                *spec.get("workerGroupSpecs", []),
            ]
            for group in groups:
                if group:
                    yield group["template"]["spec"]


def test_files_are_what_the_values_say():
    assert RENDER.main(["--check"]) == 0


def test_a_changed_value_is_noticed_and_a_missing_one_named(capsys):
    changed = RENDER.rendered(VALUES | {"name": "another"})
    assert any("another" in text for text in changed.values())
    assert all(path.read_text() != changed[path] for path in changed)
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
    config = parse_train(flags)
    check(config)
    assert config.address == "auto"
    assert config.out.startswith("/runs/")
    room = VALUES["actor_nodes_max"] * VALUES["actor_cpus"]
    assert config.actors.count * config.actors.cpus <= room
    assert config.learner.gpus <= VALUES["learner_gpus"]
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


def test_pods_are_whole_and_not_root():
    found = list(pods())
    assert len(found) == 3
    for pod in found:
        assert pod["securityContext"]["runAsNonRoot"] is True
        volumes = {volume["name"] for volume in pod.get("volumes", ())}
        for container in pod["containers"]:
            assert container["image"] == VALUES["image"]
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False
            }
            limits = container["resources"]
            assert limits["limits"] == limits["requests"]
            mounted = {m["name"] for m in container.get("volumeMounts", ())}
            assert mounted <= volumes


def test_the_cluster_asks_for_tokens_and_its_head_runs_nothing():
    text = (DEPLOY / "kubernetes" / "raycluster.yaml").read_text()
    _, cluster = yaml.safe_load_all(text)
    spec = cluster["spec"]
    assert spec["authOptions"] == {"mode": "token"}
    assert spec["headGroupSpec"]["serviceType"] == "ClusterIP"
    assert spec["headGroupSpec"]["rayStartParams"] == {"num-cpus": "0"}
    names = [group["groupName"] for group in spec["workerGroupSpecs"]]
    assert names == ["learner", "actors"]
    job = yaml.safe_load((DEPLOY / "kubernetes" / "rayjob.yaml").read_text())
    selected = job["spec"]["clusterSelector"]["ray.io/cluster"]
    assert selected == cluster["metadata"]["name"]
    assert job["spec"]["entrypoint"] == VALUES["command"]


def test_every_panel_asks_for_what_a_run_exports():
    board = json.loads((DEPLOY / "grafana.json").read_text())
    asked = [t["expr"] for panel in board["panels"] for t in panel["targets"]]
    names = [re.search(r"ray_(bmg_\w+)", expr).group(1) for expr in asked]
    assert sorted(names) == sorted(name for name, _, _ in GAUGES)
    assert set(Progress._fields) >= {field for _, field, _ in GAUGES}


def test_the_slurm_script_parses_and_keeps_its_token_to_itself():
    script = DEPLOY / "slurm.sh"
    subprocess.run(["bash", "-n", script], check=True)
    text = script.read_text()
    assert "umask 077" in text
    # Never on a command line, where every user of the node could read it.
    assert "RAY_AUTH_TOKEN=" not in text


def test_the_image_holds_all_packages_pinned_and_no_root():
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    copied = {line.split()[1] for line in lines if line.startswith("COPY ")}
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    packages = setup["options.packages.find"]["include"].split()
    assert {name for name in packages if "*" not in name} <= copied
    assert any("pip install" in x and "-c constraints.txt" in x for x in lines)
    users = [line for line in lines if line.startswith("USER ")]
    assert users == ["USER 1000"]
    assert lines.index("USER 1000") > max(
        n for n, line in enumerate(lines) if "pip install" in line
    )
