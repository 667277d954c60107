"""Reads a compose file as far as that goes without an engine: it parses, names no key that does not exist at the top or in a
service, and everything a service refers to (services, secrets, volumes, networks, mounted files, the Dockerfile) is there.

    check-compose.py FILE
"""

import os
import sys

import yaml

path = sys.argv[1]
folder = os.path.dirname(path)
found = []


class Strict(yaml.SafeLoader):
    """YAML that holds a key only once."""


def mapping(loader, node):
    keys = [key.value for key, _ in node.value]
    for key in {key for key in keys if keys.count(key) > 1}:
        found.append(f"'{key}' stands twice{node.start_mark}")
    return loader.construct_mapping(node, deep=True)


Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
with open(path, encoding="utf-8") as file:
    document = yaml.load(file, Strict)

TOP = {"name", "services", "networks", "volumes", "secrets", "configs"}
SERVICE = set(
    """build cap_add cap_drop command configs container_name cpus depends_on deploy entrypoint env_file environment expose extra_hosts
    healthcheck hostname image init labels logging mem_limit networks pids_limit ports profiles read_only restart secrets security_opt
    shm_size stop_grace_period stop_signal sysctls tmpfs ulimits user volumes working_dir""".split()
)
HEALTH = {"test", "interval", "timeout", "retries", "start_period", "start_interval", "disable"}


def known(what, keys, allowed):
    for key in keys or ():
        if key not in allowed:
            found.append(f"{what}: there is no key '{key}'")


def refers(service, kind, name):
    if name not in (document.get(kind) or {}):
        found.append(f"service {service}: {kind} has no '{name}'")


known(path, document, TOP)
services = document["services"]
for name, service in services.items():
    known(f"service {name}", service, SERVICE)
    known(f"service {name}, healthcheck", service.get("healthcheck"), HEALTH)
    if "image" not in service and "build" not in service:
        found.append(f"service {name} has neither image nor build")
    for other, how in (service.get("depends_on") or {}).items():
        if other not in services:
            found.append(f"service {name} depends on '{other}', which does not exist")
        elif how["condition"] == "service_healthy" and "healthcheck" not in services[other]:
            found.append(f"service {name} waits for '{other}' to be healthy, which has no healthcheck")
    for kind in ("secrets", "networks", "configs"):
        for used in service.get(kind) or ():
            refers(name, kind, used["source"] if isinstance(used, dict) else used)
    for volume in service.get("volumes") or ():
        source = volume.split(":")[0]
        if source.startswith((".", "/")):
            if not os.path.exists(os.path.join(folder, source)):
                found.append(f"service {name} mounts {source}, which does not exist")
        else:
            refers(name, "volumes", source)
    build = service.get("build")
    if build and not os.path.exists(os.path.join(folder, build["context"], build["dockerfile"])):
        found.append(f"service {name} is built from {build['dockerfile']}, which does not exist")

for kind in ("secrets", "volumes", "networks"):
    used = str([service.get(kind) for service in services.values()])
    for name in document.get(kind) or ():
        if name not in used:
            found.append(f"{kind}: nobody uses '{name}'")
    if kind == "secrets":
        for name, secret in (document.get(kind) or {}).items():
            if not secret["file"].startswith("./secrets/"):
                found.append(f"secret {name} does not stand in ./secrets, which git ignores")

for line in found:
    print("  ", line)
sys.exit(bool(found))
