"""The manifests of Kubernetes: valid by its own schemas, and as safe as we say; what breaks each rule."""

import contextlib
import importlib
import io
import json
import math
import os
import re
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import referencing
import requests
from cryptography.fernet import Fernet
from jsonschema import Draft202012Validator
from kubernetes_validate.utils import schema_contents
from notify_common.enums import CallbackType, Channel
from notify_common.settings import EnvironmentSettings, ServiceSettings, is_secret, load_settings
from notify_local import envoy
from notify_local.backing import wait_until
from notify_providers.clients.registry import ADAPTERS
from notify_testing.waiting import WAIT_SECONDS
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from tests.deploy.manifests import KUBECTL, KUBERNETES, ROOT, Manifests, Pod, render
from tests.harness.house import House

VERSIONS = ("1.33", "1.34", "1.35", "1.36", "1.37")
"""Those that are maintained, and the one before."""

COMPONENTS = sorted(folder.name for folder in (KUBERNETES / "components").iterdir())

CUSTOM = {"cert-manager.io/v1", "keda.sh/v1alpha1"}
"""What has no schema in Kubernetes itself."""

PREFIXES = {
    "admin": "NOTIFY_ADMIN_",
    "api-gateway": "NOTIFY_GATEWAY_",
    "letters": "NOTIFY_LETTERS_",
    "notifications": "NOTIFY_NOTIFICATIONS_",
    "providers": "NOTIFY_PROVIDERS_",
}

SPARE_SECONDS = 5
"""For closing what is open, beside what is waited for."""

DATABASE = {"admin", "letters", "notifications", "providers"}

WAYS_OUT = {
    "edge": set(),
    "gateway-public": set(),
    "gateway-internal": set(),
    "admin": {"admin-database"},
    "notifications": {"notifications-database", "redis", "objects", "clamd"},
    "notifications-work": {"notifications-database", "redis", "objects"},
    "notifications-jobs": {"notifications-database", "redis", "objects"},
    "notifications-callbacks": {"notifications-database", "outside"},
    "letters": {"letters-database", "objects"},
    "letters-work": {"letters-database", "objects", "broker", "clamd"},
    "letters-render": {"letters-database", "objects", "broker"},
    "letters-submit": {"letters-database", "objects", "broker"},
    "letters-beat": {"broker"},
    "providers": {"providers-database"},
    "providers-work": {"providers-database", "objects", "outside"},
    "admin-migrate": {"admin-database"},
    "admin-seed": {"admin-database"},
    "notifications-migrate": {"notifications-database", "objects"},
    "letters-migrate": {"letters-database", "objects"},
    "providers-migrate": {"providers-database"},
}
"""What each process reaches beside names, monitoring and the house's own."""

CALLS_NOBODY = {"letters-beat"}
"""Servers and workers that make no calls, whatever their certificate would let them call."""


def settings_of(service: str) -> type[ServiceSettings]:
    """Return the class of a service's settings."""
    module = importlib.import_module(f"notify_{service.removeprefix('api-')}.settings")
    found: type[ServiceSettings] = getattr(
        module, "GatewaySettings" if service == "api-gateway" else "Settings"
    )
    return found


@pytest.fixture(scope="module", params=["dev", "production", *COMPONENTS])
def manifests(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Manifests:
    """Provide each overlay, and production with each component."""
    if request.param not in COMPONENTS:
        return Manifests(render(KUBERNETES / "overlays" / request.param))
    folder = tmp_path_factory.mktemp("overlay").resolve()
    for file in (KUBERNETES / "overlays" / "production").iterdir():
        text = file.read_text().replace("../..", os.path.relpath(KUBERNETES, folder))
        chosen = f"components: [{os.path.relpath(KUBERNETES, folder)}/components/{request.param}]"
        folder.joinpath(file.name).write_text(text.replace("components: []", chosen))
    return Manifests(render(folder))


@pytest.fixture(scope="module")
def production() -> Manifests:
    """Provide the overlay `production`."""
    return Manifests(render(KUBERNETES / "overlays" / "production"))


# --- schemas


def schema_problems(manifests: Manifests) -> list[str]:
    """Return what Kubernetes' schemas, or those below for what others define, find wrong."""
    return [line for manifest in manifests.all for line in _schema_problems(json.dumps(manifest))]


@cache
def _schema_problems(text: str) -> list[str]:
    """Return what is wrong with one manifest; most are the same in all overlays."""
    manifest = json.loads(text)
    name = f"{manifest['kind']} {manifest['metadata']['name']}"
    if manifest["apiVersion"] in CUSTOM:
        try:
            CUSTOM_RESOURCE.validate_python(manifest)
        except ValidationError as error:
            return [f"{name}: {error}"]
        return []
    return [
        f"{name}, Kubernetes {version}: {error.json_path} {error.message}"
        for version in VERSIONS
        for error in _validator(version, manifest["kind"], manifest["apiVersion"]).iter_errors(manifest)
    ]


@cache
def _definitions(version: str) -> referencing.Resource[Any]:
    folder = f"kubernetes-json-schema/v{version}.0-local-strict"
    return referencing.Resource.from_contents(schema_contents(f"{folder}/_definitions.json", version))


@cache
def _validator(version: str, kind: str, api_version: str) -> Draft202012Validator:
    """Return what `kubernetes_validate.validate` makes anew, in a second, for each manifest."""
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api_version)
    file = f"kubernetes-json-schema/v{version}.0-local-strict/{kind.lower()}-{group}.json"
    schema = schema_contents(file, version)
    registry: referencing.Registry[Any] = _definitions(version) @ referencing.Registry()
    return Draft202012Validator(schema, registry=registry)


class Strict(BaseModel):
    """What has these fields and no others."""

    model_config = ConfigDict(extra="forbid", strict=True)


Duration = Annotated[str, Field(pattern=r"^([0-9]+h)?([0-9]+m)?([0-9]+s)?$", min_length=2)]


class Metadata(Strict):
    name: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=63)]
    namespace: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class IssuerReference(Strict):
    name: str
    kind: Literal["Issuer", "ClusterIssuer"]
    group: Literal["cert-manager.io"]


class PrivateKey(Strict):
    algorithm: Literal["ECDSA"]
    size: Literal[256, 384]
    rotationPolicy: Literal["Always", "Never"]


class CertificateSpec(Strict):
    secretName: str
    issuerRef: IssuerReference
    duration: Duration
    renewBefore: Duration
    privateKey: PrivateKey
    dnsNames: Annotated[list[str], Field(min_length=1)] | None = None
    commonName: Annotated[str, Field(max_length=64)] | None = None
    isCA: bool = False
    usages: list[Literal["digital signature", "key encipherment", "server auth", "client auth"]] = []


class Certificate(Strict):
    """A Certificate of cert-manager.io/v1, as its reference describes it, as far as it is used here."""

    apiVersion: Literal["cert-manager.io/v1"]
    kind: Literal["Certificate"]
    metadata: Metadata
    spec: CertificateSpec


class Authority(Strict):
    secretName: str


class IssuerSpec(Strict):
    selfSigned: dict[str, Any] | None = None
    ca: Authority | None = None


class Issuer(Strict):
    """An Issuer of cert-manager.io/v1."""

    apiVersion: Literal["cert-manager.io/v1"]
    kind: Literal["Issuer"]
    metadata: Metadata
    spec: IssuerSpec


class Target(Strict):
    name: str


class Fallback(Strict):
    failureThreshold: Annotated[int, Field(ge=1)]
    replicas: Annotated[int, Field(ge=1)]


class PrometheusMetadata(Strict):
    serverAddress: Annotated[str, Field(pattern="^https?://")]
    query: str
    threshold: Annotated[str, Field(pattern="^[0-9]+$")]


class Trigger(Strict):
    type: Literal["prometheus"]
    metadata: PrometheusMetadata


class ScaledObjectSpec(Strict):
    scaleTargetRef: Target
    minReplicaCount: Annotated[int, Field(ge=1)]
    maxReplicaCount: Annotated[int, Field(ge=1)]
    pollingInterval: Annotated[int, Field(ge=1)]
    fallback: Fallback
    advanced: dict[Literal["horizontalPodAutoscalerConfig"], dict[Literal["behavior"], dict[str, Any]]]
    triggers: Annotated[list[Trigger], Field(min_length=1)]


class ScaledObject(Strict):
    """A ScaledObject of keda.sh/v1alpha1."""

    apiVersion: Literal["keda.sh/v1alpha1"]
    kind: Literal["ScaledObject"]
    metadata: Metadata
    spec: ScaledObjectSpec


CUSTOM_RESOURCE: TypeAdapter[Certificate | Issuer | ScaledObject] = TypeAdapter(
    Annotated[Certificate | Issuer | ScaledObject, Field(discriminator="kind")]
)


# --- rules


def image_problems(manifests: Manifests) -> list[str]:
    """Return images of which nobody can say which they are."""
    return [
        f"{pod.name}: {container['image']}"
        for pod in manifests.pods()
        for container in pod.containers
        if not re.search(r":(?!latest$)[\w.-]+$|@sha256:[0-9a-f]{64}$", container["image"])
    ]


def confinement_problems(manifests: Manifests) -> list[str]:
    """Return what is not as the restricted standard of pod security has it, with a read-only root."""
    found = []
    for pod in manifests.pods():
        rules = pod.spec.get("securityContext", {})
        wanted = {
            "is not root": rules.get("runAsNonRoot") is True and rules.get("runAsUser", 0) > 0,
            "seccomp": rules.get("seccompProfile") == {"type": "RuntimeDefault"},
            "no token": pod.spec.get("automountServiceAccountToken") is False,
            "no links": pod.spec.get("enableServiceLinks") is False,
            "nothing of the host": not {"hostNetwork", "hostPID", "hostIPC"} & pod.spec.keys(),
            "safe volumes": all(
                {"secret", "emptyDir", "configMap"} & volume.keys() for volume in pod.spec["volumes"]
            ),
            "bounded folders": all(
                "sizeLimit" in volume.get("emptyDir", {"sizeLimit": ""}) for volume in pod.spec["volumes"]
            ),
        }
        for container in pod.containers:
            own = container.get("securityContext", {})
            name = container["name"]
            wanted |= {
                f"{name}: read-only root": own.get("readOnlyRootFilesystem") is True,
                f"{name}: no escalation": own.get("allowPrivilegeEscalation") is False,
                f"{name}: no capabilities": own.get("capabilities") == {"drop": ["ALL"]},
                f"{name}: nothing else": own.keys()
                <= {"readOnlyRootFilesystem", "allowPrivilegeEscalation", "capabilities"},
            }
        found += [f"{pod.name}: {rule}" for rule, holds in wanted.items() if not holds]
    return found


def limit_problems(manifests: Manifests) -> list[str]:
    """Return containers that may take as much as they like, or less than they ask for."""
    found = []
    for pod in manifests.pods():
        for container in pod.containers:
            resources = container.get("resources", {})
            for what in ("cpu", "memory"):
                asked, most = (
                    _quantity(resources.get(kind, {}).get(what)) for kind in ("requests", "limits")
                )
                if not 0 < asked <= most < math.inf:
                    found.append(f"{pod.name}: {container['name']}: {what}")
    return found


def _quantity(text: str | int | None) -> float:
    if text is None:
        return math.inf
    number, unit = re.fullmatch(r"([0-9.]+)(m|Mi|Gi|)", str(text)).groups()  # type: ignore[union-attr] # a wrong one should fail
    return float(number) * {"m": 0.001, "": 1, "Mi": 2**20, "Gi": 2**30}[unit]


def probe_problems(manifests: Manifests) -> list[str]:
    """Return probes that are missing, or ask at a port where nobody listens."""
    found = []
    for pod in manifests.pods("Deployment"):
        told = manifests.environment(pod)
        ports = {port.get("name"): port["containerPort"] for port in pod.process.get("ports", [])}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            asked = pod.process.get(probe, {})
            if "grpc" in asked:
                listens = told[f"{PREFIXES[pod.service]}HEALTH_LISTEN"]
                well = (
                    listens == f"0.0.0.0:{asked['grpc']['port']}" and asked["grpc"]["port"] in ports.values()
                )
                well &= asked["grpc"].get("service") == (None if probe == "readinessProbe" else "liveness")
            elif "httpGet" in asked:
                well = asked["httpGet"]["port"] in ports
            elif "exec" in asked:
                heartbeat = told.get(f"{PREFIXES[pod.service]}WORKER_HEARTBEAT_FILE", "nowhere")
                well = heartbeat in " ".join(asked["exec"]["command"])
            else:
                well = False
            if not well:
                found.append(f"{pod.name}: {probe}")
    return found


def grace_problems(manifests: Manifests) -> list[str]:
    """Return processes that would be killed, or would end, before what they hold is finished."""
    killed = [
        f"{pod.name}: {pod.spec.get('terminationGracePeriodSeconds', 30)} s, wants {longest:.0f} s"
        for pod in manifests.pods("Deployment")
        if pod.spec.get("terminationGracePeriodSeconds", 30) < (longest := _end_seconds(pod))
    ]
    # The last request to come before everybody has connected anew may take this long to arrive.
    longest = float(envoy.connection_manager(_EDGE)["request_timeout"].removesuffix("s"))
    cut_off = [
        f"{pod.name}: ends {before:.0f} s after it is told to, wants {draining + longest:.0f} s"
        for pod in manifests.pods("Deployment")
        if pod.name == "edge"
        and (before := _hook_seconds(pod)) < (draining := float(_argument(pod, "--drain-time-s"))) + longest
    ]
    return killed + cut_off


_EDGE = envoy.listener(envoy.load("edge"), "edge")


def _argument(pod: Pod, name: str) -> str:
    command: list[str] = pod.process["command"]
    return command[command.index(name) + 1]


def _hook_seconds(pod: Pod) -> float:
    """Return how long a process goes on before it is told to end."""
    hook = pod.process.get("lifecycle", {}).get("preStop", {})
    before = float(hook.get("sleep", {}).get("seconds", 0))
    if "exec" in hook:
        before += sum(map(float, re.findall(r"sleep ([0-9]+)", hook["exec"]["command"][-1])))
    return before


def _end_seconds(pod: Pod) -> float:
    """Return how long a process may take to end after it is told to, hook included."""
    before = _hook_seconds(pod)
    if pod.service == "envoy":
        return before + SPARE_SECONDS
    command = pod.process["command"]

    def setting(name: str) -> float:
        return float(settings_of(pod.service).model_fields[name].default)

    if "celery" in command:
        return (2 * setting("lease_seconds") if "worker" in command else 0) + SPARE_SECONDS
    under_way = 0.0
    if "serve" in command:
        under_way = setting("drain_seconds")
    if "dispatch" in command[-1]:
        under_way = len(Channel) * (setting("provider_timeout_seconds") + 1)
    if "callbacks" in command[-1]:
        under_way = len(CallbackType) * (setting("callback_timeout_seconds") + 1)
    return before + setting("stop_grace_seconds") + under_way + SPARE_SECONDS


FAKES = {
    key: Fernet.generate_key().decode()
    for key in ("api-key-encryption-keys", "token-secret-key", "secrets-key")
} | {
    "database-url": "postgresql://user:password@database/name",
    "redis-url": "rediss://redis:6379/0",
    "broker-url": "rediss://broker:6379/0",
    "mmg-receipt-credentials": "user:password",
}


def setting_problems(manifests: Manifests, folder: Path) -> list[str]:
    """Return variables that no setting has, secrets that are no references, buckets that a process is told no
    name of, without which it refuses what should be in them, and what the settings refuse.
    """
    found = []
    for pod in manifests.pods():
        if pod.service == "envoy":
            continue
        told = manifests.environment(pod)
        known = dict(known_variables(pod.service))
        for name, value in told.items():
            if name not in known:
                found.append(f"{pod.name}: no setting {name}")
            elif known[name] and not value.startswith("secret "):
                found.append(f"{pod.name}: {name} is a secret")
            elif name.endswith("_FILE") and value.startswith("/etc/") and pod.secret_at(value) is None:
                found.append(f"{pod.name}: nothing is mounted for {name}")
        found += [f"{pod.name}: {name} is missing" for name in bucket_variables(pod.service) - told.keys()]
        found += [f"{pod.name}: {line}" for line in _refusals(pod.service, told, folder)]
    return found


def known_variables(service: str) -> Iterator[tuple[str, bool]]:
    """Yield the variables that a service's processes read, and whether each is a secret."""
    classes: list[type[EnvironmentSettings]] = [settings_of(service)]
    if service == "providers":
        classes += [adapter.settings for adapter in ADAPTERS]
    for cls in classes:
        for field, info in cls.model_fields.items():
            name = f"{cls.model_config.get('env_prefix', '')}{field}".upper()
            secret = is_secret(info.annotation)
            yield name, secret
            if secret:
                yield f"{name}_FILE", False
    yield "PROMETHEUS_MULTIPROC_DIR", False


def bucket_variables(service: str) -> set[str]:
    """Return the variables that name buckets, but those of a provider's adapter, which not everybody has."""
    cls = settings_of(service)
    prefix = cls.model_config.get("env_prefix", "")
    return {f"{prefix}{name}".upper() for name in cls.model_fields if name.endswith("_bucket")}


def _refusals(service: str, told: dict[str, str], folder: Path) -> list[str]:
    """Return what a service says of its settings with these variables, whose files hold something fitting."""
    environment = {}
    for name, value in told.items():
        environment[name] = "reference" if value.startswith("secret ") else value
        if name.endswith("_FILE") and value.startswith("/etc/"):
            file = folder / Path(value).name
            file.write_text(FAKES.get(file.name, f"{file.name} {'x' * 40}"))
            environment[name] = str(file)
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(said):
        for name in [name for name in os.environ if name.startswith("NOTIFY_")]:
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        with contextlib.suppress(SystemExit):
            load_settings(settings_of(service))
    return said.getvalue().splitlines()


def secret_problems(manifests: Manifests) -> list[str]:
    """Return Secrets and keys that neither cert-manager makes nor the guide tells an operator to make."""
    made = {one["spec"]["secretName"] for one in manifests.of("Certificate")}
    guide = (ROOT / "docs" / "deployment.md").read_text()
    told = {
        secret: set(re.findall(r"`([a-z-]+)`", keys))
        for secret, keys in re.findall(r"^ *\| `([a-z-]+)` \| (.*?) \|", guide, re.MULTILINE)
    }
    found = [f"a Secret is written down: {one['metadata']['name']}" for one in manifests.of("Secret")]
    for pod in manifests.pods():
        for volume in pod.spec["volumes"]:
            name = volume.get("secret", {}).get("secretName")
            if name is not None and name not in made and name not in told:
                found.append(f"{pod.name}: Secret {name}")
        for variable, value in manifests.environment(pod).items():
            if value.startswith("secret "):
                name, key = value.removeprefix("secret ").split("/")
            elif variable.endswith("_FILE") and (mounted := pod.secret_at(value)) and mounted not in made:
                name, key = mounted, Path(value).name
            else:
                continue
            if key not in told.get(name, set()):
                found.append(f"{pod.name}: key {key} of Secret {name}")
    return found


def arrow_problems(manifests: Manifests) -> list[str]:
    """Return who reaches whom although it may not call, and who may call and reaches nobody.

    What may be is what the services' own lists of callers say, which compare names in certificates.
    """
    pods = manifests.pods()
    callers = {
        service: {
            name
            for names in settings_of(service).model_fields["allowed_callers"].default.values()
            for name in names
        }
        for service in DATABASE
    }
    found = []

    def compare(name: str, labels: dict[str, str], target: Pod, wanted: set[int]) -> None:
        for direction in ("Egress", "Ingress"):
            if direction == "Ingress" and target.name == "edge":
                wanted = {8443}  # from anywhere
            if (ports := manifests.open_ports(direction, labels, target)) != wanted:
                found.append(f"{name} → {target.name}: {direction} {ports}, should be {wanted}")

    for target in pods:
        allowed = callers.get(target.name, set())
        for source in pods:
            is_caller = source.kind == "Deployment" and source.name not in CALLS_NOBODY | {"edge"}
            wanted = {6012} if is_caller and manifests.identity(source) in allowed else set()
            if (source.name, target.name) == ("edge", "gateway-public"):
                wanted = {6011}
            compare(source.name, source.labels, target, wanted)
        for person in ("operator", "observer", "stranger"):
            wanted = {6012} if person in allowed else set()
            compare(person, {"notify/calls-as": person}, target, wanted)
    names = {one["spec"]["dnsNames"][0] for one in manifests.of("Certificate") if "dnsNames" in one["spec"]}
    for name in sorted(set().union(*callers.values()) | DATABASE):
        if name not in names:
            found.append(f"no Certificate for {name}")
    return found


def exit_problems(manifests: Manifests) -> list[str]:
    """Return processes that get out to more, or less, than they need."""
    everyone = {"names", "monitoring"}
    closed = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    found = [] if any(one["spec"] == closed for one in manifests.of("NetworkPolicy")) else ["open by default"]
    return found + [
        f"{pod.name}: {sorted(manifests.ways_out(pod) ^ everyone ^ WAYS_OUT[pod.name])}"
        for pod in manifests.pods()
        if manifests.ways_out(pod) != everyone | WAYS_OUT[pod.name]
    ]


def process_problems(manifests: Manifests) -> list[str]:
    """Return processes that no Deployment starts, and Deployments of what is no process of the house.

    A worker's queues may be parted over Deployments.
    """
    declared = tomllib.loads((ROOT / "deploy" / "processes.toml").read_text())
    wanted: set[tuple[str, ...]] = set()
    folders: dict[tuple[str, ...], set[str]] = {}
    for process in declared["processes"].values():
        for part in command_parts(process["service"], process["command"]):
            wanted.add(part)
            folders[part] = set(process["writable"])
    found = []
    started: set[tuple[str, ...]] = set()
    for pod in manifests.pods("Deployment"):
        if pod.name == "edge":
            continue
        writable = {
            mount["mountPath"]
            for mount in pod.process["volumeMounts"]
            if "emptyDir" in pod.volume(mount["name"])
        }
        for part in command_parts(pod.service, pod.process["command"]):
            started.add(part)
            if not folders.get(part, set()) <= writable:
                found.append(f"{pod.name}: can't write {sorted(folders[part] - writable)}")
    found += [f"no Deployment does {' '.join(part)}" for part in sorted(wanted - started)]
    found += [f"no process is {' '.join(part)}" for part in sorted(started - wanted)]
    for service, (prefix, name) in {s: (PREFIXES[s], n) for s in DATABASE for n in ("GRPC",)}.items():
        told = manifests.environment(manifests.pod(service))
        for kind in (name, "HEALTH", "METRICS"):
            if told[f"{prefix}{kind}_LISTEN"] != f"0.0.0.0:{declared['ports'][kind.lower()]}":
                found.append(f"{service}: {kind}")
    return found


def command_parts(service: str, command: list[str]) -> Iterator[tuple[str, ...]]:
    """Yield what a command does, queue by queue."""
    if {"--queues", "-Q"} & set(command):
        for queue in command[-1].split(","):
            yield (service, *command[:-1], queue)
    else:
        yield (service, *command)


def care_problems(manifests: Manifests) -> list[str]:
    """Return Deployments unprepared for a node's end or more to do, and what is about no Deployment."""
    deployments = {pod.name: pod for pod in manifests.pods("Deployment")}
    found = []
    for kind in ("PodDisruptionBudget", "Service"):
        for manifest in manifests.of(kind):
            selector = manifest["spec"]["selector"]
            wanted = selector if kind == "PodDisruptionBudget" else {"matchLabels": selector}
            about = [name for name, pod in deployments.items() if _chosen(wanted, pod.labels)]
            if len(about) != 1:
                found.append(f"{kind} {manifest['metadata']['name']} is about {about}")
            elif kind == "Service":
                named = {port.get("name") for port in deployments[about[0]].process.get("ports", [])}
                found += [
                    f"Service {manifest['metadata']['name']}: {port['targetPort']}"
                    for port in manifest["spec"]["ports"]
                    if port["targetPort"] not in named
                ]
    budgets = {one["metadata"]["name"] for one in manifests.of("PodDisruptionBudget")}
    found += [f"{name}: no PodDisruptionBudget" for name in sorted(deployments.keys() - budgets)]
    scaled = [
        one["spec"]["scaleTargetRef"]["name"]
        for one in manifests.of("HorizontalPodAutoscaler", "ScaledObject")
    ]
    if scaled:
        found += [
            f"{name}: not scaled" for name in sorted(deployments.keys() - {"letters-beat"} - set(scaled))
        ]
        found += [f"{name}: scaled twice or not there" for name in {*scaled} if scaled.count(name) > 1]
        found += [f"{name}: is not there" for name in {*scaled} - deployments.keys()]
        found += [
            f"{name}: says how many"
            for name in scaled
            if "replicas" in manifests.get("Deployment", name)["spec"]
        ]
    for name, pod in deployments.items():
        keys = {rule["topologyKey"] for rule in pod.spec.get("topologySpreadConstraints", [])}
        if keys != {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}:
            found.append(f"{name}: not spread")
    return found


def _chosen(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in selector["matchLabels"].items())


def order_problems(manifests: Manifests) -> list[str]:
    """Return what the roll-out would start too early, or never."""
    found = []
    for manifest in manifests.all:
        step = manifest["metadata"].get("labels", {}).get("notify/step")
        name = manifest["metadata"]["name"]
        wanted = {"Deployment": {"run"}, "HorizontalPodAutoscaler": {"run"}, "ScaledObject": {"run"}}
        if manifest["kind"] == "Job":
            wanted["Job"] = {"seed"} if name.endswith("-seed") else {"migrate"}
        if step not in wanted.get(manifest["kind"], {None}):
            found.append(f"{manifest['kind']} {name}: {step}")
    rollout = (KUBERNETES / "rollout.sh").read_text()
    services = {one["metadata"]["labels"].get("notify/service") for one in manifests.of("Deployment")}
    [listed] = re.findall(r"^for service in (.*); do$", rollout, re.MULTILINE)
    return found + [f"{service}: in no step" for service in services ^ set(listed.split())]


RULES: dict[str, Callable[[Manifests, Path], list[str]]] = {
    "schemas": lambda manifests, _: schema_problems(manifests),
    "images": lambda manifests, _: image_problems(manifests),
    "confined": lambda manifests, _: confinement_problems(manifests),
    "limited": lambda manifests, _: limit_problems(manifests),
    "probes": lambda manifests, _: probe_problems(manifests),
    "grace": lambda manifests, _: grace_problems(manifests),
    "settings": setting_problems,
    "secrets": lambda manifests, _: secret_problems(manifests),
    "arrows": lambda manifests, _: arrow_problems(manifests),
    "ways out": lambda manifests, _: exit_problems(manifests),
    "processes": lambda manifests, _: process_problems(manifests),
    "care": lambda manifests, _: care_problems(manifests),
    "order": lambda manifests, _: order_problems(manifests),
}


@pytest.mark.parametrize("rule", RULES)
def test_every_overlay_and_component_keeps_it(rule: str, manifests: Manifests, tmp_path: Path) -> None:
    assert RULES[rule](manifests, tmp_path) == []


# --- what each rule is for


def container(manifests: Manifests, name: str) -> dict[str, Any]:
    """Return the process's container in a manifest, to be changed."""
    kind = "Job" if name.endswith(("-migrate", "-seed")) else "Deployment"
    found: dict[str, Any] = manifests.get(kind, name)["spec"]["template"]["spec"]["containers"][0]
    return found


def template(manifests: Manifests, name: str) -> dict[str, Any]:
    """Return the pod in a Deployment, to be changed."""
    found: dict[str, Any] = manifests.get("Deployment", name)["spec"]["template"]
    return found


def tell(manifests: Manifests, name: str, variable: str, value: str) -> None:
    """Set a variable of a process."""
    container(manifests, name).setdefault("env", []).append({"name": variable, "value": value})


def end_after(manifests: Manifests, seconds: int) -> None:
    """Have the edge end so long after it began to send its clients away."""
    command = container(manifests, "edge")["lifecycle"]["preStop"]["exec"]["command"]
    command[-1] = re.sub(r"sleep [0-9]+", f"sleep {seconds}", command[-1])


def forget(manifests: Manifests, kind: str, name: str) -> None:
    """Remove a manifest."""
    manifests.all.remove(manifests.get(kind, name))


def settings_map(manifests: Manifests, service: str) -> dict[str, str]:
    """Return the variables that all processes of a service are told, to be changed."""
    [found] = [
        one for one in manifests.of("ConfigMap") if one["metadata"]["name"].startswith(f"{service}-settings")
    ]
    data: dict[str, str] = found["data"]
    return data


def callers_of(manifests: Manifests, service: str) -> list[str]:
    """Return the callers that a policy lets in, to be changed."""
    ingress = manifests.get("NetworkPolicy", f"{service}-callers")["spec"]["ingress"]
    found: list[str] = ingress[0]["from"][0]["podSelector"]["matchExpressions"][0]["values"]
    return found


CALLING = {"notify/calls-as": "letters"}
NEW = {"notify/service": "new"}

SPOILED: list[tuple[str, str, Callable[[Manifests], object]]] = [
    ("schemas", "replica", lambda m: m.get("Deployment", "admin")["spec"].update(replica=2)),
    (
        "schemas",
        "maxUnavailable",
        lambda m: m.get("PodDisruptionBudget", "admin")["spec"].update(maxUnavailable=[]),
    ),
    ("schemas", "usages", lambda m: m.get("Certificate", "admin")["spec"].update(usages=["sign everything"])),
    ("schemas", "renewAfter", lambda m: m.get("Certificate", "admin")["spec"].update(renewAfter="1h")),
    (
        "schemas",
        "treshold",
        lambda m: m.get("ScaledObject", "providers-work")["spec"]["triggers"][0]["metadata"].update(
            treshold="1"
        ),
    ),
    ("images", "admin:latest", lambda m: container(m, "admin").update(image="notify/admin:latest")),
    ("images", "notify/admin", lambda m: container(m, "admin").update(image="notify/admin")),
    (
        "confined",
        "is not root",
        lambda m: template(m, "admin")["spec"]["securityContext"].update(runAsUser=0),
    ),
    (
        "confined",
        "is not root",
        lambda m: template(m, "admin")["spec"]["securityContext"].pop("runAsNonRoot"),
    ),
    ("confined", "seccomp", lambda m: template(m, "edge")["spec"]["securityContext"].pop("seccompProfile")),
    (
        "confined",
        "read-only root",
        lambda m: container(m, "letters-migrate")["securityContext"].update(readOnlyRootFilesystem=False),
    ),
    (
        "confined",
        "no capabilities",
        lambda m: container(m, "edge")["securityContext"]["capabilities"].update(add=["NET_BIND_SERVICE"]),
    ),
    ("confined", "nothing else", lambda m: container(m, "edge")["securityContext"].update(privileged=True)),
    (
        "confined",
        "safe volumes",
        lambda m: template(m, "letters")["spec"]["volumes"].append(
            {"name": "host", "hostPath": {"path": "/"}}
        ),
    ),
    ("confined", "no token", lambda m: template(m, "letters")["spec"].pop("automountServiceAccountToken")),
    (
        "confined",
        "read-only root",
        lambda m: template(m, "letters")["spec"].update(initContainers=[{"name": "first", "image": "x"}]),
    ),
    ("limited", "memory", lambda m: container(m, "providers")["resources"]["limits"].pop("memory")),
    ("limited", "cpu", lambda m: container(m, "providers-migrate")["resources"].pop("requests")),
    ("limited", "memory", lambda m: container(m, "admin")["resources"]["requests"].update(memory="9Gi")),
    ("probes", "readinessProbe", lambda m: container(m, "admin")["readinessProbe"]["grpc"].update(port=6012)),
    ("probes", "livenessProbe", lambda m: container(m, "admin")["livenessProbe"]["grpc"].pop("service")),
    ("probes", "startupProbe", lambda m: container(m, "letters-work").pop("startupProbe")),
    (
        "probes",
        "readinessProbe",
        lambda m: tell(m, "letters-beat", "NOTIFY_LETTERS_WORKER_HEARTBEAT_FILE", "/tmp/x"),
    ),
    ("probes", "livenessProbe", lambda m: tell(m, "admin", "NOTIFY_ADMIN_HEALTH_LISTEN", "127.0.0.1:6014")),
    (
        "grace",
        "providers-work",
        lambda m: template(m, "providers-work")["spec"].update(terminationGracePeriodSeconds=30),
    ),
    ("grace", "edge", lambda m: template(m, "edge")["spec"].update(terminationGracePeriodSeconds=20)),
    ("grace", "edge: ends 25 s", lambda m: end_after(m, 25)),
    (
        "grace",
        "letters-submit",
        lambda m: template(m, "letters-submit")["spec"].update(terminationGracePeriodSeconds=30),
    ),
    (
        "settings",
        "no setting NOTIFY_ADMIN_GRPC_LISTN",
        lambda m: tell(m, "admin", "NOTIFY_ADMIN_GRPC_LISTN", "x"),
    ),
    (
        "settings",
        "NOTIFY_PROVIDERS_MMG_API_KEY is a secret",
        lambda m: tell(m, "providers", "NOTIFY_PROVIDERS_MMG_API_KEY", "x"),
    ),
    (
        "settings",
        "nothing is mounted",
        lambda m: tell(m, "admin", "NOTIFY_ADMIN_PASSWORD_PEPPER_FILE", "/etc/elsewhere/password-pepper"),
    ),
    (
        "settings",
        "NOTIFY_LETTERS_BROKER_URL is required",
        lambda m: settings_map(m, "letters").pop("NOTIFY_LETTERS_BROKER_URL_FILE"),
    ),
    (
        "settings",
        "password_pepper is required",
        lambda m: settings_map(m, "admin").pop("NOTIFY_ADMIN_PASSWORD_PEPPER_FILE"),
    ),
    (
        "settings",
        "NOTIFY_LETTERS_LOGO_BUCKET is missing",
        lambda m: settings_map(m, "letters").pop("NOTIFY_LETTERS_LOGO_BUCKET"),
    ),
    (
        "settings",
        "HTTP_PROCESSES",
        lambda m: tell(m, "gateway-public", "NOTIFY_GATEWAY_HTTP_PROCESSES", "many"),
    ),
    (
        "secrets",
        "key my-own",
        lambda m: tell(m, "providers", "NOTIFY_PROVIDERS_SES_SECRET_KEY_FILE", "/etc/notify/secrets/my-own"),
    ),
    (
        "secrets",
        "Secret others",
        lambda m: template(m, "admin")["spec"]["volumes"].append(
            {"name": "more", "secret": {"secretName": "others"}}
        ),
    ),
    (
        "secrets",
        "written down",
        lambda m: m.all.append({"kind": "Secret", "metadata": {"name": "mine"}, "stringData": {"a": "b"}}),
    ),
    (
        "arrows",
        "notifications-callbacks → providers",
        lambda m: callers_of(m, "providers").append("callbacks-worker"),
    ),
    ("arrows", "notifications → letters", lambda m: callers_of(m, "letters").remove("notifications")),
    ("arrows", "stranger → notifications", lambda m: callers_of(m, "notifications").append("stranger")),
    (
        "arrows",
        "stranger → admin",
        lambda m: m.get("NetworkPolicy", "admin-callers")["spec"]["ingress"][0].pop("from"),
    ),
    (
        "arrows",
        "letters-beat → admin",
        lambda m: template(m, "letters-beat")["metadata"]["labels"].update(CALLING),
    ),
    ("arrows", "no Certificate for observer", lambda m: forget(m, "Certificate", "observer")),
    (
        "ways out",
        "letters-render: ['outside']",
        lambda m: template(m, "letters-render")["metadata"]["labels"].update(
            {"notify/reaches-outside": "true"}
        ),
    ),
    ("ways out", "open by default", lambda m: forget(m, "NetworkPolicy", "nothing")),
    ("ways out", "providers-work", lambda m: forget(m, "NetworkPolicy", "outside")),
    (
        "processes",
        "no Deployment does letters python -m celery",
        lambda m: forget(m, "Deployment", "letters-beat"),
    ),
    (
        "processes",
        "no process is admin python -m notify_admin reign",
        lambda m: container(m, "admin")["command"].__setitem__(3, "reign"),
    ),
    ("processes", "can't write", lambda m: container(m, "letters")["volumeMounts"].clear()),
    ("processes", "admin: METRICS", lambda m: tell(m, "admin", "NOTIFY_ADMIN_METRICS_LISTEN", "0.0.0.0:1")),
    (
        "care",
        "letters-beat: no PodDisruptionBudget",
        lambda m: forget(m, "PodDisruptionBudget", "letters-beat"),
    ),
    ("care", "providers-work: not scaled", lambda m: forget(m, "ScaledObject", "providers-work")),
    (
        "care",
        "Service admin is about []",
        lambda m: m.get("Service", "admin")["spec"].update(selector={"a": "b"}),
    ),
    (
        "care",
        "Service admin: web",
        lambda m: m.get("Service", "admin")["spec"]["ports"][0].update(targetPort="web"),
    ),
    ("care", "admin: says how many", lambda m: m.get("Deployment", "admin")["spec"].update(replicas=2)),
    ("care", "edge: not spread", lambda m: template(m, "edge")["spec"].pop("topologySpreadConstraints")),
    ("order", "Job admin-seed", lambda m: m.get("Job", "admin-seed")["metadata"]["labels"].clear()),
    ("order", "new: in no step", lambda m: m.get("Deployment", "edge")["metadata"]["labels"].update(NEW)),
]
"""A rule, what it says, and what breaks it."""


@pytest.mark.parametrize(("rule", "says", "spoil"), SPOILED)
def test_it_notices_what_breaks_it(
    rule: str, says: str, spoil: Callable[[Manifests], object], production: Manifests, tmp_path: Path
) -> None:
    spoiled = production.copy()
    spoil(spoiled)
    assert says in "\n".join(RULES[rule](spoiled, tmp_path))


def test_every_rule_can_be_broken() -> None:
    assert {rule for rule, _, _ in SPOILED} == RULES.keys()


# --- the roll-out

KUBECTL_STUB = """#!/bin/sh
# Takes notes instead of changing a cluster; kustomize is the real one.
case "$*" in
  kustomize*) exec {kubectl} "$@" ;;
  *get\\ jobs*step=migrate*) echo job/admin-migrate; echo job/letters-migrate ;;
  *get\\ jobs*) echo job/admin-seed ;;
  *get\\ deployments*) echo deployment/some ;;
  *wait*{failing}*condition=complete*) exit 1 ;;
  *wait*{failing}*condition=failed*) exit 0 ;;
  *wait*condition=failed*) exit 1 ;;
esac
echo "$*" >> {notes}
"""


def roll_out(folder: Path, failing: str = "nothing") -> tuple[int, list[str], str]:
    """Run the roll-out with a Job that fails; return its status, what it told kubectl, what it said."""
    folder.joinpath("kubectl").write_text(
        KUBECTL_STUB.format(kubectl=KUBECTL, failing=failing, notes=folder / "notes")
    )
    folder.joinpath("kubectl").chmod(0o755)
    done = subprocess.run(
        [KUBERNETES / "rollout.sh", KUBERNETES / "overlays" / "production"],
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )
    notes = folder.joinpath("notes").read_text().splitlines()
    changes = [note for note in notes if note.startswith("apply") or " delete " in note]
    return done.returncode, [note.split("--selector ")[-1] for note in changes], done.stderr


def test_a_roll_out_migrates_before_processes_and_starts_who_is_called_first(tmp_path: Path) -> None:
    status, steps, _ = roll_out(tmp_path)
    assert status == 0
    assert steps == [
        "notify/step notin (migrate, seed, run)",
        "notify/step=migrate --ignore-not-found --wait",
        "notify/step=migrate",
        "notify/step=seed --ignore-not-found --wait",
        "notify/step=seed",
        *(
            f"notify/step=run,notify/service={service}"
            for service in ("admin", "providers", "letters", "notifications", "api-gateway", "edge")
        ),
    ]


@pytest.mark.parametrize("failing", ["letters-migrate", "admin-seed"])
def test_where_a_migration_fails_no_process_is_touched(failing: str, tmp_path: Path) -> None:
    status, steps, said = roll_out(tmp_path, failing)
    assert status == 1
    assert not [step for step in steps if "step=run" in step]
    assert f"job/{failing} failed; nothing was rolled out" in said


# --- the running house


def test_scaling_goes_by_metrics_that_there_are(house: House, production: Manifests) -> None:
    """Each query names a metric, with a worker, that a process of the house exports."""
    asked = set()
    for scaled in production.of("ScaledObject"):
        [trigger] = scaled["spec"]["triggers"]
        query = re.fullmatch(r'max\((\w+)\{worker(=~?)"([^"]+)"\}\)', trigger["metadata"]["query"])
        assert query, trigger
        metric, operator, worker = query.groups()
        asked.add((metric, worker if operator == "=~" else re.escape(worker)))
    assert asked

    def missing() -> set[tuple[str, str]]:
        exported = {(sample.name, sample.labels.get("worker", "")) for sample in samples(house)}
        return {
            (metric, worker)
            for metric, worker in asked
            if not any(name == metric and re.fullmatch(worker, value) for name, value in exported)
        }

    assert wait_until(lambda: not missing(), WAIT_SECONDS), missing()


def samples(house: House) -> Iterator[Sample]:
    """Yield all that the house's workers export."""
    for name in house.stack.processes:
        if not name.endswith(("-work", "-callbacks", "-jobs")):
            continue
        log = (house.stack.folder / "logs" / f"{name}.log").read_text().splitlines()
        started = [json.loads(line) for line in log if '"started"' in line][-1]
        scraped = requests.get(f"http://127.0.0.1:{started['port']}/metrics", timeout=WAIT_SECONDS).text
        for family in text_string_to_metric_families(scraped):
            yield from family.samples
