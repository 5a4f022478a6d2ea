"""Manifests of Kubernetes as they are rendered, and what they come to: pods, settings, who reaches whom."""

import copy
import subprocess
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
KUBECTL = Path(sysconfig.get_path("scripts")) / "kubectl"

Manifest = dict[str, Any]


def render(folder: Path) -> list[Manifest]:
    """Return what `kubectl kustomize` makes of a folder, in its order."""
    done = subprocess.run([KUBECTL, "kustomize", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [manifest for manifest in yaml.load_all(done.stdout, yaml.CSafeLoader) if manifest]


@dataclass(frozen=True, slots=True)
class Pod:
    """What a Deployment or a Job starts."""

    name: str
    kind: str
    labels: dict[str, str]
    spec: dict[str, Any]

    @property
    def containers(self) -> list[dict[str, Any]]:
        """All of its containers; the process itself is the one named `notify`."""
        found: list[dict[str, Any]] = [*self.spec.get("initContainers", []), *self.spec["containers"]]
        return found

    @property
    def process(self) -> dict[str, Any]:
        """The container of the process."""
        [found] = [each for each in self.spec["containers"] if each["name"] == "notify"]
        return dict(found)

    @property
    def service(self) -> str:
        """The service whose image it is, such as `letters`."""
        return str(self.process["image"]).rsplit("/", 1)[1].split(":")[0].split("@")[0]

    def volume(self, name: str) -> dict[str, Any]:
        """Return one of its volumes; KeyError if there is none."""
        return {each["name"]: each for each in self.spec["volumes"]}[name]  # type: ignore[no-any-return]

    def secret_at(self, path: str) -> str | None:
        """Return the Secret that is mounted at the folder of the file `path`."""
        for mount in self.process["volumeMounts"]:
            if str(Path(path).parent) == mount["mountPath"]:
                secret = self.volume(mount["name"]).get("secret")
                return secret["secretName"] if secret else None
        return None


@dataclass(frozen=True, slots=True)
class Manifests:
    """A whole deployment, rendered."""

    all: list[Manifest] = field(default_factory=list)

    def copy(self) -> Self:
        """Return one to spoil."""
        return type(self)(copy.deepcopy(self.all))

    def of(self, *kinds: str) -> Iterator[Manifest]:
        """Yield those of these kinds."""
        return (manifest for manifest in self.all if manifest["kind"] in kinds)

    def get(self, kind: str, name: str) -> Manifest:
        """Return one of them."""
        [found] = [manifest for manifest in self.of(kind) if manifest["metadata"]["name"] == name]
        return found

    def pods(self, *kinds: str) -> list[Pod]:
        """Return what Deployments and Jobs start."""
        found = []
        for manifest in self.of(*(kinds or ("Deployment", "Job"))):
            template = manifest["spec"]["template"]
            name = manifest["metadata"]["name"]
            found.append(Pod(name, manifest["kind"], template["metadata"]["labels"], template["spec"]))
        return found

    def pod(self, name: str) -> Pod:
        """Return the one of that name."""
        [found] = [pod for pod in self.pods() if pod.name == name]
        return found

    def environment(self, pod: Pod) -> dict[str, str]:
        """Return what its process is told; `secret <name>/<key>` for what is read from a Secret."""
        told: dict[str, str] = {}
        for source in pod.process.get("envFrom", []):
            told |= self.get("ConfigMap", source["configMapRef"]["name"])["data"]
        for variable in pod.process.get("env", []):
            if "value" in variable:
                told[variable["name"]] = variable["value"]
            else:
                reference = variable["valueFrom"]["secretKeyRef"]
                told[variable["name"]] = f"secret {reference['name']}/{reference['key']}"
        return told

    def identity(self, pod: Pod) -> str:
        """Return the name in the certificate that its process shows."""
        secret = pod.volume("tls")["secret"]["secretName"]
        [certificate] = [one for one in self.of("Certificate") if one["spec"]["secretName"] == secret]
        return str(certificate["spec"]["dnsNames"][0])

    def open_ports(self, direction: str, source: dict[str, str], target: Pod) -> set[int]:
        """Return the ports of `target` to which a pod with the labels `source` in the same namespace is let
        out (`Egress`), or from which it is let in (`Ingress`)."""
        ports = {port["containerPort"] for each in target.containers for port in each.get("ports", [])}
        subject, other = (source, target.labels) if direction == "Egress" else (target.labels, source)
        return {port for port in ports if self._allows(direction, subject, other, target, port)}

    def _allows(
        self, direction: str, subject: dict[str, str], other: dict[str, str], target: Pod, port: int
    ) -> bool:
        policies = [
            policy["spec"]
            for policy in self.of("NetworkPolicy")
            if direction in policy["spec"]["policyTypes"] and selects(policy["spec"]["podSelector"], subject)
        ]
        if not policies:
            return True
        for spec in policies:
            for rule in spec.get(direction.lower(), []):
                peers = rule.get("to" if direction == "Egress" else "from")
                if peers is not None and not any(
                    "podSelector" in peer
                    and "namespaceSelector" not in peer
                    and selects(peer["podSelector"], other)
                    for peer in peers
                ):
                    continue
                if any(_is_port(allowed["port"], target, port) for allowed in rule["ports"]):
                    return True
        return False

    def ways_out(self, pod: Pod) -> set[str]:
        """Return the policies that let a pod out to what is not the house's own."""
        return {
            policy["metadata"]["name"]
            for policy in self.of("NetworkPolicy")
            if "Egress" in policy["spec"]["policyTypes"]
            and selects(policy["spec"]["podSelector"], pod.labels)
            for rule in policy["spec"].get("egress", [])
            for peer in rule["to"]
            if "ipBlock" in peer or "namespaceSelector" in peer
        }


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Tell whether a label selector means these labels."""
    unknown = set(selector) - {"matchLabels", "matchExpressions"}
    assert not unknown, unknown
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    for expression in selector.get("matchExpressions", []):
        assert expression["operator"] == "In", expression
        if labels.get(expression["key"]) not in expression["values"]:
            return False
    return True


def _is_port(named: str | int, pod: Pod, number: int) -> bool:
    if isinstance(named, int):
        return named == number
    return any(
        port.get("name") == named and port["containerPort"] == number
        for container in pod.containers
        for port in container.get("ports", [])
    )
