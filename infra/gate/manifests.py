"""The Kubernetes base, rendered by kustomize and held against the schemas of Kubernetes."""

from typing import Any

import kubernetes_validate
import yaml

from infra.gate.check import CheckFailed, run_program
from infra.local.topology import TOPOLOGY

BASE = "infra/k8s/base"
VERSION = "1.37"
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def check() -> str:
    """Render and validate every resource, and look for what each service needs.

    Raises:
        CheckFailed: A resource is not valid, or a service lacks something.
    """
    rendered = run_program("kubectl", ["kustomize", BASE])
    resources: list[dict[str, Any]] = list(yaml.safe_load_all(rendered))
    problems = [problem for resource in resources for problem in _invalid(resource)]
    problems += _missing(resources)
    if problems:
        raise CheckFailed("\n".join(problems))
    return f"{len(resources)} resources"


def _invalid(resource: dict[str, Any]) -> list[str]:
    name = f"{resource['kind']}/{resource['metadata']['name']}"
    try:
        kubernetes_validate.validate(resource, VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [f"{name}: {error.message} at {'/'.join(map(str, error.path))}"]
    return []


def _missing(resources: list[dict[str, Any]]) -> list[str]:
    """Return what the topology has and the base has not."""
    named = {(resource["kind"], resource["metadata"]["name"]): resource for resource in resources}
    problems = []
    for service in TOPOLOGY.services:
        problems += [
            f"the base has no {kind} {service.name}"
            for kind in ("Deployment", "Service")
            if (kind, service.name) not in named
        ]
        if deployment := named.get(("Deployment", service.name)):
            problems += _lacking(service.name, deployment)
    return problems


def _lacking(name: str, deployment: dict[str, Any]) -> list[str]:
    pod = deployment["spec"]["template"]["spec"]
    problems = [
        f"{name}: container {container['name']} has no {part}"
        for container in pod["containers"]
        for part in (*PROBES, "resources", "securityContext")
        if part not in container
    ]
    if not pod.get("securityContext", {}).get("runAsNonRoot"):
        problems.append(f"{name}: the pod may run as root")
    return problems
