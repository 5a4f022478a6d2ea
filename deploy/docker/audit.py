"""Says what the platform is built from: `python deploy/docker/audit.py [--folder FOLDER]` (`make audit`).

Every package of the lock has hashes, and a licence that `licences.toml` allows; one that tells none fails.
With a folder, one bill of materials (CycloneDX, JSON) a service is written into it, of what its image holds;
the same commit gives the same bytes.
"""

import argparse
import importlib.metadata
import sys
import tomllib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import install
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.dependency import Dependency
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from license_expression import (  # type: ignore[import-untyped] # ships no type information
    ExpressionError,
    get_spdx_licensing,
)
from packageurl import PackageURL

RULES: Final = Path(__file__).with_name("licences.toml")
LICENSING: Final = get_spdx_licensing()
_NAMESPACE: Final = uuid.UUID("6f1c0f5e-8a3c-5c55-9d3e-3f6f2b4f0c11")


@dataclass(frozen=True, slots=True)
class Rules:
    """What licences.toml says."""

    allowed: Mapping[str, str]
    """SPDX id -> reason."""
    packages: Mapping[str, str]
    """Package -> licence, where its metadata tell none."""
    elsewhere: Mapping[str, str]
    """The same, for packages that are not installed here."""

    @classmethod
    def read(cls, path: Path = RULES) -> "Rules":
        """Read the file."""
        content = tomllib.loads(path.read_text())
        return cls(content["allowed"], content["packages"], content["elsewhere"])


def licence(name: str, rules: Rules) -> str | None:
    """Return the licence of a package as an SPDX expression, or None where nothing tells it."""
    if name in rules.packages:
        return rules.packages[name]
    try:
        metadata = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        return rules.elsewhere.get(name)
    for field in ("license_expression", "license"):
        text = metadata.json.get(field)
        if isinstance(text, str) and _is_spdx(text):
            return text
    return None


def _is_spdx(text: str) -> bool:
    try:
        return not LICENSING.validate(text).errors
    except ExpressionError:
        return False


def is_allowed(expression: str, rules: Rules) -> bool:
    """Return whether one may live by an expression: all parts of an AND, one part of an OR."""
    parsed = LICENSING.parse(expression)

    def holds(node: object) -> bool:
        if isinstance(node, LICENSING.AND):
            return all(holds(part) for part in node.args)
        if isinstance(node, LICENSING.OR):
            return any(holds(part) for part in node.args)
        return str(node) in rules.allowed

    return holds(parsed)


def audit(lock: install.Lock, rules: Rules) -> tuple[dict[str, str], list[str]]:
    """Return the licence of each package of the lock, and what is wrong, a sentence each."""
    found: dict[str, str] = {}
    wrong: list[str] = []
    for name in lock.entries:
        expression = licence(name, rules)
        if expression is None:
            wrong.append(f"{name} tells no licence: read its licence file, and say it in {RULES.name}")
            continue
        found[name] = expression
        if not is_allowed(expression, rules):
            wrong.append(f"{name} has the licence {expression}, which {RULES.name} does not allow")
    for name in sorted((rules.packages.keys() | rules.elsewhere.keys()) - lock.entries.keys()):
        wrong.append(f"{RULES.name} names {name}, which is not in the lock")
    used = {key for text in found.values() for key in map(str, LICENSING.license_symbols(text, unique=True))}
    for name in sorted(rules.allowed.keys() - used):
        wrong.append(f"{RULES.name} allows {name}, which no package has")
    return found, wrong


def bill_of_materials(service: str, lock: install.Lock, licences: Mapping[str, str], made: datetime) -> str:
    """Return the CycloneDX document of what a service's image holds beside its base."""
    names = lock.closure([f"notify-{service}"])
    own = install.own_distributions(service)
    components = {name: _component(name, lock, licences[name]) for name in names}
    components |= {name: _own_component(name) for name in own}
    bom = Bom(components=[component for name, component in components.items() if name != f"notify-{service}"])
    bom.metadata.component = components[f"notify-{service}"]
    bom.metadata.timestamp = made
    needs = {name: lock.needs.get(name, set()) for name in names}
    needs |= {name: set(map(install.name_of, install.dependencies(name))) for name in own}
    needs[f"notify-{service}"] |= set(names) - {one for some in needs.values() for one in some}
    for name, component in components.items():
        on = [Dependency(components[one].bom_ref) for one in needs[name] if one in components]
        bom.dependencies.add(Dependency(component.bom_ref, dependencies=on))
    content = "\n".join(f"{name} {component.version}" for name, component in sorted(components.items()))
    bom.serial_number = uuid.uuid5(_NAMESPACE, f"{service} {made.isoformat()} {content}")
    document: str = JsonV1Dot6(bom).output_as_string(indent=2)
    return document


def _component(name: str, lock: install.Lock, expression: str) -> Component:
    version = lock.version(name)
    purl = PackageURL("pypi", name=name, version=version)
    hashes = [HashType(alg=HashAlgorithm.SHA_256, content=one) for one in sorted(lock.hashes(name))]
    return Component(
        name=name,
        version=version,
        type=ComponentType.LIBRARY,
        purl=purl,
        bom_ref=purl.to_string(),
        licenses=[LicenseExpression(expression)],
        # the files that the lock lets it be installed from
        external_references=[
            ExternalReference(
                type=ExternalReferenceType.DISTRIBUTION, url=XsUri(purl.to_string()), hashes=hashes
            )
        ],
    )


def _own_component(name: str) -> Component:
    version = tomllib.loads((install.OWN[name] / "pyproject.toml").read_text())["project"]["version"]
    kind = ComponentType.LIBRARY if name in ("notify-common", "notify-protos") else ComponentType.APPLICATION
    return Component(name=name, version=version, type=kind, bom_ref=f"{name}@{version}")


def main() -> int:
    """Command line entry; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--folder", type=Path, help="where bills of materials are written, <service>.cdx.json"
    )
    parser.add_argument(
        "--made",
        type=datetime.fromisoformat,
        default="1970-01-01T00:00:00+00:00",
        help="the time that they bear, such as that of the commit",
    )
    asked = parser.parse_args()
    lock = install.Lock(install.LOCK.read_text())
    licences, wrong = audit(lock, Rules.read())
    for sentence in wrong:
        sys.stderr.write(f"audit: {sentence}\n")
    if wrong:
        return 1
    sys.stdout.write(f"{len(licences)} packages, each with hashes and an allowed licence\n")
    if asked.folder is not None:
        asked.folder.mkdir(parents=True, exist_ok=True)
        for service in tomllib.loads((install.ROOT / "deploy" / "processes.toml").read_text())["services"]:
            document = bill_of_materials(service, lock, licences, asked.made)
            problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(document)
            if problem is not None:
                sys.stderr.write(f"audit: the bill of {service} is not CycloneDX: {problem}\n")
                return 1
            file = asked.folder / f"{service}.cdx.json"
            file.write_text(document)
            sys.stdout.write(f"{file}: {document.count(chr(34) + 'bom-ref' + chr(34))} components\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
