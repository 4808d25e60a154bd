"""The files for clusters: schemas, linters, and commands that exist. None of them meets a cloud."""

import re
import shlex
import subprocess
import sys
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import botocore.session
import pytest
import typer
import yaml
from botocore.validate import ParamValidator
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.scripts.scripts import cli as ray_cli

from sweeps.cli.main import app
from sweeps.planning import experiment as experiments
from tests.docs.pages import snippets

ROOT = Path(__file__).parents[2]
CLUSTERS = ROOT / "sweeps" / "clusters"
PAGE = ROOT / "docs" / "clusters.md"
FILES = sorted(CLUSTERS.iterdir())

KUBERAY_FIELDS = {
    "": "activeDeadlineSeconds backoffLimit clusterSelector deletionStrategy entrypoint "
    "entrypointNumCpus entrypointNumGpus entrypointResources jobId managedBy metadata "
    "preRunningDeadlineSeconds rayClusterSpec runtimeEnvYAML shutdownAfterJobFinishes "
    "submissionMode submitterConfig submitterPodTemplate suspend ttlSecondsAfterFinished",
    "submitterConfig": "backoffLimit",
    "rayClusterSpec": "authOptions autoscalerOptions enableInTreeAutoscaling "
    "gcsFaultToleranceOptions headGroupSpec headServiceAnnotations historyServerOptions managedBy "
    "networkPolicy rayVersion suspend tlsOptions upgradeStrategy workerGroupSpecs",
    "rayClusterSpec authOptions": "enableK8sTokenAuth mode secretName",
    "rayClusterSpec autoscalerOptions": "args command env envFrom idleTimeoutSeconds image "
    "imagePullPolicy resources securityContext upscalingMode version volumeMounts",
    "rayClusterSpec headGroupSpec": "enableIngress headService ingressOptions labels "
    "rayStartParams resources serviceType template",
    "rayClusterSpec workerGroupSpecs": "groupName idleTimeoutSeconds labels maxReplicas "
    "minReplicas numOfHosts priority rayStartParams replicas resources scaleStrategy suspend "
    "template",
}
"""Fields of a RayJob's `spec` in ray.io/v1, by path, from the API reference of KubeRay 1.7."""

SECRETS = (
    r"\b[0-9a-f]{32,}\b",
    r"\bAKIA[0-9A-Z]{16}\b",
    r"-----BEGIN",
    r"://[^/\s:@]+:[^/\s@]+@",
    r"(?i)(password|passwd|secret_key|auth_token|tracking_uri)\s*[:=]\s*['\"]?\w",
)


class StrictLoader(yaml.SafeLoader):
    """Refuses a key that stands twice."""

    def construct_mapping(self, node, deep=False):
        counts = Counter(self.construct_object(key, deep=True) for key, _ in node.value)
        assert max(counts.values(), default=1) == 1, f"{node.start_mark}: {counts}"
        return super().construct_mapping(node, deep)


def documents(name):
    """The documents of a YAML file."""
    return list(yaml.load_all((CLUSTERS / name).read_text(), StrictLoader))


def texts(value):
    """All texts in lists and mappings."""
    if isinstance(value, str):
        return [value]
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for each in values for text in texts(each)]


def objects():
    """The Kubernetes objects of both files by kind and name."""
    found = [*documents("kueue.yaml"), *documents("rayjob.yaml")]
    return {(each["kind"], each["metadata"]["name"]): each for each in found}


def bytes_of(quantity):
    """A quantity of Kubernetes as a number; a CPU counts 1000."""
    units = {"": 1000, "m": 1, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
    number, unit = re.fullmatch(r"(\d+)(\w*)", str(quantity)).groups()
    return int(number) * units[unit]


@pytest.mark.parametrize("name", ["ray-gcp.yaml", "ray-aws.yaml"])
def test_vm_file_passes_rays_own_checks(name):
    (config,) = documents(name)
    prepared = prepare_config(config)
    validate_config(prepared)
    head, spot, normal = (config["available_node_types"][n] for n in config["available_node_types"])
    assert (head["resources"], head["max_workers"]) == ({"CPU": 0}, 0)
    assert spot["resources"] == normal["resources"]
    assert spot["resources"]["GPU"] > 0
    assert (spot["min_workers"], normal["min_workers"]) == (1, 0)
    assert spot["priority"] > normal.get("priority", 0)  # spot machines come first
    assert prepared["idle_timeout_minutes"] > 0
    for key in ("head_setup_commands", "setup_commands", "initialization_commands"):
        assert key in config, "Ray's own defaults would run"
    for starts in ("head_start_ray_commands", "worker_start_ray_commands"):
        assert "RAY_AUTH_MODE=token ray start" in config[starts][-1]
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    for command in texts({key: prepared[key] for key in prepared if key.endswith("_commands")}):
        subprocess.run(["bash", "-n", "-c", f"({command})"], check=True)  # as Ray does
        assert "\n" not in command


def test_aws_file_has_parameters_of_run_instances():
    model = botocore.session.get_session().get_service_model("ec2").operation_model("RunInstances")
    (config,) = documents("ray-aws.yaml")
    for kind in config["available_node_types"].values():
        whole = {**kind["node_config"], "MinCount": 1, "MaxCount": 1}
        report = ParamValidator().validate(whole, model.input_shape)
        assert not report.has_errors(), report.generate_report()
        spot = kind["node_config"].get("InstanceMarketOptions") == {"MarketType": "spot"}
        assert spot == (kind.get("min_workers") == 1)


@pytest.mark.parametrize("path", KUBERAY_FIELDS)
def test_rayjob_has_fields_of_kuberay(path):
    spec = objects()["RayJob", "scaling"]["spec"]
    for part in path.split():
        spec = spec[part]
    for each in spec if isinstance(spec, list) else [spec]:
        assert set(each) <= set(KUBERAY_FIELDS[path].split())


def test_rayjob_keeps_the_rules_of_kuberay_and_kueue():
    job = objects()["RayJob", "scaling"]
    spec, cluster = job["spec"], job["spec"]["rayClusterSpec"]
    assert job["apiVersion"] == "ray.io/v1"
    assert re.fullmatch(r"[a-z]([-a-z0-9]{0,45}[a-z0-9])?", job["metadata"]["name"])
    assert spec["suspend"]
    assert spec["shutdownAfterJobFinishes"]
    assert spec["backoffLimit"] > 0
    assert cluster["rayVersion"] == version("ray")
    assert cluster["authOptions"]["mode"] == "token"
    assert cluster["enableInTreeAutoscaling"]
    assert job["metadata"]["annotations"]["kueue.x-k8s.io/elastic-job"] == "true"
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        assert "restartPolicy" not in group["template"]["spec"]  # autoscaler version 2
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        (container,) = group["template"]["spec"]["containers"]
        assert container["resources"]["requests"] == container["resources"]["limits"]
    (workers,) = cluster["workerGroupSpecs"]
    assert 1 <= workers["minReplicas"] <= workers["replicas"] <= workers["maxReplicas"]
    assert workers["groupName"] != "head"


def test_kubernetes_names_refer_to_each_other():
    found = objects()
    job = found["RayJob", "scaling"]
    namespaces = {o["metadata"].get("namespace") for o in found.values()} - {None}
    assert namespaces == {"factorlab"} == {name for kind, name in found if kind == "Namespace"}
    queue = found["LocalQueue", job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"]]
    cluster_queue = found["ClusterQueue", queue["spec"]["clusterQueue"]]
    flavors = [f for g in cluster_queue["spec"]["resourceGroups"] for f in g["flavors"]]
    assert {f["name"] for f in flavors} == {n for kind, n in found if kind == "ResourceFlavor"}
    for each in found.values():
        if each["kind"] in ("LocalQueue", "ClusterQueue", "ResourceFlavor"):
            assert each["apiVersion"] == "kueue.x-k8s.io/v1beta2"
    cluster = job["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        claims = {v["name"]: v["persistentVolumeClaim"]["claimName"] for v in pod["volumes"]}
        (mount,) = pod["containers"][0]["volumeMounts"]
        claim = found["PersistentVolumeClaim", claims[mount["name"]]]
        assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
        assert mount["mountPath"] == "/mnt/factorlab"
    secrets = set(re.findall(r"create secret generic (\S+)", PAGE.read_text()))
    (head,) = cluster["headGroupSpec"]["template"]["spec"]["containers"]
    (uri,) = (e["valueFrom"] for e in head["env"] if e["name"] == "MLFLOW_TRACKING_URI")
    assert {cluster["authOptions"]["secretName"], uri["secretKeyRef"]["name"]} == secrets


def test_quotas_of_kueue_admit_the_whole_rayjob():
    found = objects()
    (group,) = found["ClusterQueue", "factorlab"]["spec"]["resourceGroups"]
    quotas = {
        flavor["name"]: {r["name"]: bytes_of(r["nominalQuota"]) for r in flavor["resources"]}
        for flavor in group["flavors"]
    }
    for quota in quotas.values():
        assert list(quota) == group["coveredResources"]
    cluster = found["RayJob", "scaling"]["spec"]["rayClusterSpec"]
    (workers,) = cluster["workerGroupSpecs"]
    requests = workers["template"]["spec"]["containers"][0]["resources"]["requests"]
    for flavor in ("a100-spot", "a100-on-demand"):
        for name, amount in requests.items():
            assert workers["maxReplicas"] * bytes_of(amount) <= quotas[flavor][name]
    (head,) = cluster["headGroupSpec"]["template"]["spec"]["containers"]
    own = [each["resources"]["requests"] for each in (head, cluster["autoscalerOptions"])]
    for name in ("cpu", "memory"):
        assert sum(bytes_of(each[name]) for each in own) < quotas["cpu"][name]
    assert quotas["cpu"]["nvidia.com/gpu"] == 0


def test_dockerfile_installs_the_lock_and_is_no_root():
    text = (CLUSTERS / "Dockerfile").read_text()
    joined = re.sub(r"\\\n(\s*#.*\n)*", " ", text)
    steps = [line.split(None, 1) for line in joined.splitlines() if re.match(r"[A-Z]+ ", line)]
    assert steps[0] == ["FROM", "python:3.11-slim-bookworm"]
    assert [value for name, value in steps if name == "USER"] == ["1000"]
    installed = " ".join(value for name, value in steps if name == "RUN")
    assert "uv pip install --requirement /tmp/requirements.lock" in installed
    assert "--no-deps --editable" in installed
    assert not [value for name, value in steps if name == "ARG"]
    copied = [value.split()[-2] for name, value in steps if name == "COPY"]
    assert copied == ["requirements.lock", "."]
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".venv*", "runs", "figures"} <= set(ignored)
    assert not {".git", "requirements.lock", "sweeps", "docs", "tests"} & set(ignored)
    lock = (ROOT / "requirements.lock").read_text().splitlines()
    assert {"torch", "uv"} <= {line.partition("==")[0] for line in lock if "+" not in line}
    assert any(line.startswith("nvidia-cudnn-cu13==") for line in lock)  # the page names the driver


@pytest.mark.parametrize(
    ("linter", "name"), [("hadolint", "Dockerfile"), ("shellcheck", "slurm.sh")]
)
def test_file_passes_linter(linter, name):
    path = Path(sys.executable).with_name(linter)
    found = subprocess.run([path, CLUSTERS / name], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


def commands(program):
    """The commands of a program in the files and on the page, as lists of words."""
    for path in (*FILES, PAGE):
        text = path.read_text().replace("\\\n", " ")
        if path.suffix == ".yaml":
            text = "\n".join(texts(documents(path.name)))
        elif path == PAGE:
            text = "\n".join(snippets(text))
        for found in re.findall(rf"(?<![\w/.-])(?<!-n ){program} ([a-z][^`'#;&|\n]*)", text):
            yield shlex.split(found)


def test_commands_of_factorlab_exist(tmp_path, monkeypatch):
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FACTORLAB_RUNS", raising=False)
    found = list(commands("factorlab"))
    assert {words[0] for words in found} >= {"sweep", "status", "ui"}
    for name, *words in found:
        command = typer.main.get_command(app).commands[name]
        made = command.make_context(name, words)  # refuses what does not exist
        for experiment in made.params.get("names") or ():
            experiments.load(experiment, made.params["profile"], {})


def test_commands_of_ray_exist():
    found = list(commands("ray"))
    assert {w[0] for w in found} >= {"up", "down", "exec", "attach", "start", "symmetric-run"}
    for name, *words in found:
        known = [ray_cli.commands[name], *([ray_cli.commands["start"]] * (name == "symmetric-run"))]
        options = {o for each in known for p in each.params for o in (*p.opts, *p.secondary_opts)}
        given = words[: words.index("--")] if "--" in words else words
        assert {w.partition("=")[0] for w in given if w.startswith("--")} <= options, (name, words)
        assert all((ROOT / word).exists() for word in words if word.startswith("sweeps/"))


def test_targets_of_make_exist():
    found = list(commands("make"))
    assert found
    for words in found:
        subprocess.run(["make", "-n", *words], cwd=ROOT, check=True, capture_output=True)


def test_page_names_every_file():
    page = PAGE.read_text()
    for path in FILES:
        assert f"`{path.name}`" in page
    for link in re.findall(r"\]\(([^)#]+)", page):
        assert (PAGE.parent / link).exists()


@pytest.mark.parametrize("path", [*FILES, PAGE], ids=lambda path: path.name)
def test_files_hold_no_secret(path):
    text = path.read_text().replace("postgresql://USER:PASSWORD@HOST/mlflow", "")
    for pattern in SECRETS:
        assert re.search(pattern, text) is None
