"""Holds the tree to the bans and licences of deny.toml with what cargo itself says, where cargo-deny is not installed.

What it leaves to cargo-deny: advisories, yanked versions, and the licence texts behind what a crate declares.
"""

import json
import re
import subprocess
import sys

try:
    import tomllib
except ImportError:
    print("   skipped: this Python is older than 3.11 and reads no TOML")
    sys.exit()

with open("deny.toml", "rb") as file:
    rules = tomllib.load(file)
found = []

metadata = json.loads(subprocess.run(["cargo", "metadata", "--format-version", "1"], capture_output=True, text=True, check=True).stdout)
names = {package["id"]: package["name"] for package in metadata["packages"]}

# What is really built, for any of the supported targets: `cargo metadata` also lists what optional features would bring.
built = set()
for target in rules["graph"]["targets"]:
    tree = ["cargo", "tree", "--workspace", "--edges", "normal,build,dev", "--target", target, "--prefix", "none", "--format", "{p}"]
    for line in subprocess.run(tree, capture_output=True, text=True, check=True).stdout.splitlines():
        if line.strip():
            name, version = line.split()[:2]
            built.add((name, version.removeprefix("v")))

for ban in rules["bans"]["deny"]:
    if ban["crate"] not in {name for name, _ in built}:
        continue
    if "wrappers" not in ban:
        found.append(f"{ban['crate']} is banned ({ban['reason']}); `cargo tree --target all -i {ban['crate']}` shows who brings it")
        continue
    for node in metadata["resolve"]["nodes"]:
        user = names[node["id"]]
        version = next(package["version"] for package in metadata["packages"] if package["id"] == node["id"])
        uses = any(names[dependency["pkg"]] == ban["crate"] for dependency in node["deps"])
        if uses and (user, version) in built and user not in ban["wrappers"]:
            found.append(f"{user} depends on {ban['crate']}, which is for {', '.join(ban['wrappers'])} alone: {ban['reason']}")


def allowed(expression):
    """An SPDX expression holds when its licences, read as true where deny.toml allows them, make it true.

    Only `and`, `or`, brackets, True and False reach eval: every other word becomes one of the last two.
    """
    expression = re.sub(r"\s*/\s*", " OR ", expression)
    tokens = re.findall(r"\(|\)|[^\s()]+(?:\s+WITH\s+[^\s()]+)?", expression)
    words = {"AND": "and", "OR": "or", "(": "(", ")": ")"}
    return eval(" ".join(words.get(token, str(token in rules["licenses"]["allow"])) for token in tokens))


for package in metadata["packages"]:
    if package["source"] is not None and (package["name"], package["version"]) in built:
        if not package["license"]:
            found.append(f"{package['name']} {package['version']} declares no licence by name")
        elif not allowed(package["license"]):
            found.append(f"{package['name']} {package['version']}: licence {package['license']} is not allowed by deny.toml")
    if package["source"] not in (None, "registry+https://github.com/rust-lang/crates.io-index"):
        found.append(f"{package['name']} comes from {package['source']}")

for line in sorted(set(found)):
    print("  ", line)
sys.exit(bool(found))
