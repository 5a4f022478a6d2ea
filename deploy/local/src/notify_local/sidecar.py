"""Envoy between a service and those that it calls: `deploy/envoy/sidecar.yaml` on one machine."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from notify_testing.certs import CertificateFiles

from notify_local import envoy
from notify_local.backing import StartFailed

_LONGEST_SOCKET_PATH = 100


def socket(folder: Path, context: str) -> Path:
    """Return where the sidecar of this folder takes calls of a context.

    Raises StartFailed where the kernel has no room for such a path.
    """
    path = folder / f"{context}.sock"
    if len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:
        raise StartFailed(f"{path} is longer than the path of a socket may be; name another --run-folder")
    return path


def write_config(
    folder: Path,
    certificate: CertificateFiles,
    ports: Mapping[str, Sequence[int]],
    watch_port: int,
    *,
    source: Path = envoy.FOLDER,
) -> Path:
    """Write production's configuration, changed into one of this machine, into `folder`; return its path.

    It differs in its addresses alone. `ports` are those of the contexts that are called, at 127.0.0.1; it
    shows `certificate`. Production's configuration is in `source`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    followed = {name: folder / f"{name}.yaml" for name in ("certificate", "authority")}
    own, authority = (envoy.load(name, source) for name in followed)
    own["resources"][0]["tls_certificate"] = {
        "certificate_chain": {"filename": str(certificate.cert)},
        "private_key": {"filename": str(certificate.key)},
        "watched_directory": {"path": str(certificate.cert.parent)},
    }
    authority["resources"][0]["validation_context"] = {
        "trusted_ca": {"filename": str(certificate.ca)},
        "watched_directory": {"path": str(certificate.ca.parent)},
    }
    envoy.write(own, followed["certificate"])
    envoy.write(authority, followed["authority"])
    config = envoy.load("sidecar", source)
    resources = config["static_resources"]
    for cluster in list(resources["clusters"]):
        name = cluster["name"]
        if name == "envoy_admin":
            continue
        listener = envoy.listener(config, name)
        if name not in ports:
            resources["listeners"].remove(listener)
            resources["clusters"].remove(cluster)
            continue
        listener["address"]["pipe"]["path"] = str(socket(folder, name))
        envoy.send_to(cluster, ports[name])
        tls = cluster["transport_socket"]["typed_config"]["common_tls_context"]
        for secret in (
            *tls["tls_certificate_sds_secret_configs"],
            tls["combined_validation_context"]["validation_context_sds_secret_config"],
        ):
            secret["sds_config"]["path_config_source"]["path"] = str(followed[secret["name"]])
    envoy.watch_at(config, watch_port, socket(folder, "envoy-admin"))
    return envoy.write(config, folder / "sidecar.yaml")
