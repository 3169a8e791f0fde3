"""The deployment files name commands, variables and images that exist, and pods that a strict cluster admits."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import typer
import yaml

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OUR_IMAGE = f"{PROJECT['name']}:{PROJECT['version']}"
ROLES = {"planner", "tools", "aggregator"}

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
OUR_SERVICES = {name: service for name, service in COMPOSE["services"].items() if service["image"] == OUR_IMAGE}

BASE = ROOT / "k8s" / "base"
KUSTOMIZATION: dict[str, Any] = yaml.safe_load((BASE / "kustomization.yaml").read_text())
MANIFESTS: dict[str, dict[str, Any]] = {
    name: yaml.safe_load((BASE / name).read_text()) for name in KUSTOMIZATION["resources"]
}
PODS = {
    name: manifest["spec"]["template"]["spec"]
    for name, manifest in MANIFESTS.items()
    if manifest["kind"] in {"Deployment", "Job"}
}
CONTAINERS = {name: pod["containers"][0] for name, pod in PODS.items()}

# The oldest release of Kubernetes that is promised to work, and the newest whose schemas are installed.
KUBERNETES_VERSIONS = ["1.32.0", kubernetes_validate.latest_version()]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command at the root of the clone and keep what it said."""
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def unknown_word(command_line: list[str]) -> str | None:
    """Return the first word of a command line that the command `orchestrator` does not have."""
    command: Any = typer.main.get_command(importlib.import_module("streams.cli_commands").app)
    for word in command_line:
        if word not in getattr(command, "commands", {}):
            return word
        command = command.commands[word]
    return None


def settings_names() -> frozenset[str]:
    """Return every environment variable the settings read."""
    names: frozenset[str] = importlib.import_module("streams.settings").Settings.environment_names()
    return names


def test_yaml_is_well_formed() -> None:
    """The deployment files pass the YAML linter with the project's rules, warnings included."""
    linted = run(sys.executable, "-m", "yamllint", "--strict", "docker-compose.yml", "k8s")
    assert linted.returncode == 0, linted.stdout


def test_compose_and_kubernetes_deploy_every_role() -> None:
    """Every role is deployed both ways, and the topics are applied both ways."""
    deployments = {c["name"] for name, c in CONTAINERS.items() if MANIFESTS[name]["kind"] == "Deployment"}
    jobs = {c["name"] for name, c in CONTAINERS.items() if MANIFESTS[name]["kind"] == "Job"}
    assert (set(OUR_SERVICES), deployments, jobs) == (ROLES | {"topics"}, ROLES, {"topics"})


@pytest.mark.parametrize("service", OUR_SERVICES)
def test_a_compose_service_runs_a_command_that_exists(service: str) -> None:
    """The command of each of our services is one that `orchestrator` has."""
    command = OUR_SERVICES[service]["command"]
    assert command
    assert unknown_word(command) is None, f"{service}: `orchestrator {' '.join(command)}` does not exist"


@pytest.mark.parametrize("manifest", CONTAINERS)
def test_a_pod_runs_a_command_that_exists(manifest: str) -> None:
    """The arguments of each container are a command that `orchestrator` has."""
    arguments = CONTAINERS[manifest]["args"]
    assert arguments
    assert unknown_word(arguments) is None, f"{manifest}: `orchestrator {' '.join(arguments)}` does not exist"


def test_a_command_that_does_not_exist_is_noticed() -> None:
    """The check of the command lines would fail for a role that nobody wrote."""
    assert unknown_word(["no-such-role"]) == "no-such-role"
    assert unknown_word(["topics", "no-such-verb"]) == "no-such-verb"


@pytest.mark.parametrize("service", OUR_SERVICES)
def test_compose_sets_variables_that_are_read(service: str) -> None:
    """No service is given an environment variable that the settings do not know."""
    given = set(OUR_SERVICES[service]["environment"])
    assert given
    assert given <= settings_names()


def test_kubernetes_sets_variables_that_are_read() -> None:
    """Neither the ConfigMap nor any container names an environment variable that the settings do not know."""
    given = set(MANIFESTS["config-map.yaml"]["data"])
    given |= {variable["name"] for container in CONTAINERS.values() for variable in container.get("env", [])}
    assert given
    assert given <= settings_names()


@pytest.mark.parametrize("manifest", CONTAINERS)
def test_a_pod_reads_the_config_map(manifest: str) -> None:
    """Each container takes its variables from the ConfigMap of the base, and only optional Secrets beside it."""
    sources = CONTAINERS[manifest]["envFrom"]
    assert {"configMapRef": {"name": MANIFESTS["config-map.yaml"]["metadata"]["name"]}} in sources
    assert all(source["secretRef"]["optional"] for source in sources if "secretRef" in source)


def test_images_are_pinned_by_tag() -> None:
    """Every image names a tag other than `latest`, and ours carries the version of the project."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    defaults = dict(re.findall(r"^ARG (\w+)=(\S+)$", dockerfile, re.MULTILINE))
    bases = re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)
    images = {re.sub(r"\$\{(\w+)\}", lambda match: defaults[match[1]], base) for base in bases}
    images |= {service["image"] for service in COMPOSE["services"].values()}
    images |= {container["image"] for container in CONTAINERS.values()}
    untagged = {image for image in images if not re.fullmatch(r"[\w./-]+:(?!latest$)[\w.-]+", image)}
    assert not untagged
    assert {image for image in images if image.startswith(PROJECT["name"])} == {OUR_IMAGE}


def test_compose_publishes_ports_to_this_machine_only() -> None:
    """A published port is bound to 127.0.0.1: a development broker has no password."""
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_compose_roles_wait_for_their_topics() -> None:
    """Roles start once the topics are applied, and the topics once Kafka answers its health check."""
    services = COMPOSE["services"]
    assert services["topics"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}
    assert "healthcheck" in services["kafka"]
    for role in ROLES:
        assert services[role]["depends_on"] == {"topics": {"condition": "service_completed_successfully"}}


def test_compose_is_accepted_by_docker() -> None:
    """`docker compose config` accepts the file."""
    if not shutil.which("docker") or run("docker", "compose", "version").returncode != 0:
        pytest.skip("docker with the compose plugin is not installed")
    checked = run("docker", "compose", "config", "--quiet")
    assert checked.returncode == 0, checked.stderr


def test_the_dockerfile_passes_its_linter() -> None:
    """Hadolint has nothing to say."""
    if not shutil.which("hadolint"):
        pytest.skip("hadolint is not installed")
    linted = run("hadolint", "Dockerfile")
    assert linted.returncode == 0, linted.stdout


def test_the_dockerfile_copies_what_there_is() -> None:
    """Every path the image takes from the clone exists, and .dockerignore lets it through."""
    copies = re.findall(r"^COPY (?!--from)(.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    sources = {source for copy in copies for source in copy.split()[:-1]}
    admitted = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert sources == admitted
    assert {source for source in sources if not (ROOT / source).exists()} == set()


def test_the_image_and_the_pods_agree_on_the_user() -> None:
    """The numeric user of the image is the one the pods run as."""
    user = re.search(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert user
    for pod in PODS.values():
        assert (pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsGroup"]) == (
            int(user[1]),
            int(user[2]),
        )


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
@pytest.mark.parametrize("manifest", MANIFESTS)
def test_a_manifest_follows_the_schema_of_kubernetes(manifest: str, version: str) -> None:
    """Each manifest is valid against the strict schema of that release: no misspelt field is ignored."""
    kubernetes_validate.validate(MANIFESTS[manifest], version, strict=True)


def test_a_misspelt_field_of_a_manifest_is_noticed() -> None:
    """The strict schema refuses a field that Kubernetes does not have."""
    misspelt = MANIFESTS["planner.yaml"] | {"spce": {}}
    with pytest.raises(kubernetes_validate.ValidationError, match="spce"):
        kubernetes_validate.validate(misspelt, KUBERNETES_VERSIONS[-1], strict=True)


def test_every_file_of_the_base_is_listed() -> None:
    """A manifest that lies in the folder is also in the kustomization, so none is forgotten."""
    assert {path.name for path in BASE.iterdir()} == {"kustomization.yaml", *KUSTOMIZATION["resources"]}


def test_the_base_has_no_namespace() -> None:
    """The base can be put into any namespace: none of its manifests names one."""
    assert [name for name, manifest in MANIFESTS.items() if "namespace" in manifest["metadata"]] == []


def test_kustomize_renders_the_base() -> None:
    """Kustomize builds the base, and what it renders is what the files say."""
    if shutil.which("kustomize"):
        built = run("kustomize", "build", str(BASE))
    elif shutil.which("kubectl"):
        built = run("kubectl", "kustomize", str(BASE))
    else:
        pytest.skip("neither kustomize nor kubectl is installed")
    assert built.returncode == 0, built.stderr
    rendered = {(m["kind"], m["metadata"]["name"]): m for m in yaml.safe_load_all(built.stdout)}
    assert rendered == {(m["kind"], m["metadata"]["name"]): m for m in MANIFESTS.values()}


@pytest.mark.parametrize("manifest", PODS)
def test_a_pod_meets_the_restricted_pod_security_standard(manifest: str) -> None:
    """A namespace that enforces the standard `restricted` admits each pod; and no file system is writable but /tmp."""
    pod, container = PODS[manifest], CONTAINERS[manifest]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/tmp"]  # noqa: S108 - a path in the pod
    assert "memory" in container["resources"]["limits"]
    assert len(pod["containers"]) == 1


@pytest.mark.parametrize("role", sorted(ROLES))
def test_a_role_gets_as_long_to_stop_in_both_deployments(role: str) -> None:
    """A role has the same time to finish its work under compose and in a pod."""
    grace = f"{PODS[f'{role}.yaml']['terminationGracePeriodSeconds']}s"
    assert OUR_SERVICES[role]["stop_grace_period"] == grace == "45s"


@pytest.mark.parametrize("role", sorted(ROLES))
def test_a_deployment_selects_its_own_pods(role: str) -> None:
    """The selector of each Deployment matches the labels of its pods, and those of no other role."""
    spec = MANIFESTS[f"{role}.yaml"]["spec"]
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"]["app.kubernetes.io/component"] == role
