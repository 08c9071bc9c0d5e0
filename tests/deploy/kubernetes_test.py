"""The manifests for Kubernetes, and what they ask for."""

import configparser
import json
import pathlib
import re
import shlex
import subprocess
import sys

import kubernetes_validate
import pytest
import yaml

from experiments.cluster.prometheus import GAUGES
from learner.record.progress import Progress
from tests.deploy.manifests import DEPLOY, ROOT, VALUES

KUBERNETES = kubernetes_validate.latest_version()


# Fields of KubeRay's v1 resources, as far as they could be of use here, by its
# API reference; authOptions by its guide to tokens.
RAY_CLUSTER = {
    *("rayVersion", "authOptions", "enableInTreeAutoscaling", "suspend"),
    *("autoscalerOptions", "gcsFaultToleranceOptions", "managedBy"),
    *("headGroupSpec", "workerGroupSpecs", "headServiceAnnotations"),
}


AUTOSCALER = {
    *("idleTimeoutSeconds", "upscalingMode", "version", "image", "resources"),
    *("imagePullPolicy", "securityContext", "env", "envFrom", "volumeMounts"),
}


HEAD_GROUP = {
    *("template", "rayStartParams", "serviceType", "headService"),
    "enableIngress",
}


WORKER_GROUP = {
    *("groupName", "replicas", "minReplicas", "maxReplicas", "numOfHosts"),
    *("template", "rayStartParams", "idleTimeoutSeconds", "scaleStrategy"),
    "suspend",
}


RAY_JOB = {
    *("entrypoint", "clusterSelector", "backoffLimit", "submitterPodTemplate"),
    *("rayClusterSpec", "activeDeadlineSeconds", "metadata", "runtimeEnvYAML"),
    *("submitterConfig", "submissionMode", "shutdownAfterJobFinishes"),
    *("ttlSecondsAfterFinished", "entrypointNumCpus", "entrypointNumGpus"),
    *("entrypointResources", "deletionStrategy", "jobId", "suspend"),
}


def manifests(folder):
    """What `kubectl apply -k` of that folder hands over, by kind."""
    custom = yaml.safe_load((folder / "kustomization.yaml").read_text())
    found = {}
    for name in custom["resources"]:
        path = folder / name
        if path.is_dir():
            found |= manifests(path)
        else:
            documents = yaml.safe_load_all(path.read_text())
            found |= {document["kind"]: document for document in documents}
    for patch in custom.get("patches", ()):
        for change in yaml.safe_load(patch["patch"]):
            apply(found[patch["target"]["kind"]], **change)
    return found


def apply(document, op, path, value):
    """One change of a JSON patch (RFC 6902)."""
    *parents, last = path.strip("/").split("/")
    for name in parents:
        document = document[int(name) if name.isdigit() else name]
    assert (last in document) == (op == "replace")
    document[last] = value


MANIFESTS = [
    pytest.param(manifests(DEPLOY / name), id=name)
    for name in ("kubernetes", "kubernetes-tpu")
]


def groups(kinds):
    spec = kinds["RayCluster"]["spec"]
    return [spec["headGroupSpec"], *spec["workerGroupSpecs"]]


def pods(kinds):
    """Every pod template of a cluster and its run."""
    templates = [group["template"] for group in groups(kinds)]
    templates.append(kinds["RayJob"]["spec"]["submitterPodTemplate"])
    return [template["spec"] for template in templates]


@pytest.mark.parametrize("kinds", MANIFESTS)
def test_pods_are_whole_and_not_root(kinds):
    for pod in pods(kinds):
        whole = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}
        kubernetes_validate.validate(
            whole | {"spec": pod}, KUBERNETES, strict=True
        )
        assert pod["securityContext"]["runAsNonRoot"] is True
        volumes = {volume["name"] for volume in pod.get("volumes", ())}
        for container in pod["containers"]:
            assert container["image"] in (VALUES["image"], VALUES["tpu_image"])
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False
            }
            limits = container["resources"]
            assert limits["limits"] == limits["requests"]
            mounted = {m["name"] for m in container.get("volumeMounts", ())}
            assert mounted <= volumes


@pytest.mark.parametrize("kinds", MANIFESTS)
def test_kuberay_knows_every_field(kinds):
    volume = kinds["PersistentVolumeClaim"]
    kubernetes_validate.validate(volume, KUBERNETES, strict=True)
    cluster, job = kinds["RayCluster"], kinds["RayJob"]
    assert cluster["apiVersion"] == job["apiVersion"] == "ray.io/v1"
    head, *workers = groups(kinds)
    assert set(cluster["spec"]) <= RAY_CLUSTER
    assert set(cluster["spec"]["autoscalerOptions"]) <= AUTOSCALER
    assert set(head) <= HEAD_GROUP
    assert set(job["spec"]) <= RAY_JOB
    for group in workers:
        assert set(group) <= WORKER_GROUP
        counts = [group[f"{name}Replicas"] for name in ("min", "max")]
        assert counts[0] <= group["replicas"] <= counts[1]
    for group in groups(kinds):
        assert all(type(x) is str for x in group["rayStartParams"].values())


@pytest.mark.parametrize("kinds", MANIFESTS)
def test_the_cluster_asks_for_tokens_and_its_head_runs_nothing(kinds):
    spec = kinds["RayCluster"]["spec"]
    assert spec["authOptions"] == {"mode": "token"}
    assert spec["headGroupSpec"]["serviceType"] == "ClusterIP"
    assert spec["headGroupSpec"]["rayStartParams"] == {"num-cpus": "0"}
    names = [group["groupName"] for group in spec["workerGroupSpecs"]]
    assert names == ["learner", "actors"]
    selected = kinds["RayJob"]["spec"]["clusterSelector"]["ray.io/cluster"]
    assert selected == kinds["RayCluster"]["metadata"]["name"]


@pytest.mark.parametrize(
    ("kinds", "resource", "flag"),
    [
        (MANIFESTS[0].values[0], "nvidia.com/gpu", "--learner.gpus"),
        (MANIFESTS[1].values[0], "google.com/tpu", "--learner.tpus"),
    ],
)
def test_the_run_asks_for_what_the_learners_node_has(kinds, resource, flag):
    [container] = groups(kinds)[1]["template"]["spec"]["containers"]
    entrypoint = shlex.split(kinds["RayJob"]["spec"]["entrypoint"])
    asked = entrypoint[entrypoint.index(flag) + 1]
    assert container["resources"]["limits"][resource] == asked
    assert entrypoint[:-2] == shlex.split(VALUES["command"])


def test_every_panel_asks_for_what_a_run_exports():
    board = json.loads((DEPLOY / "grafana.json").read_text())
    asked = [t["expr"] for panel in board["panels"] for t in panel["targets"]]
    names = [re.search(r"ray_(bmg_\w+)", expr).group(1) for expr in asked]
    assert sorted(names) == sorted(name for name, _, _ in GAUGES)
    assert set(Progress._fields) >= {field for _, field, _ in GAUGES}


@pytest.mark.parametrize(
    ("linter", "path"),
    [
        ("shellcheck", "deploy/slurm.sh"),
        ("shellcheck", ".ci/run"),
        ("hadolint", "deploy/Dockerfile"),
    ],
)
def test_linters_find_nothing(linter, path):
    program = pathlib.Path(sys.executable).with_name(linter)
    found = subprocess.run(
        [program, ROOT / path], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout


def test_the_slurm_script_keeps_its_token_to_itself():
    text = (DEPLOY / "slurm.sh").read_text()
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
