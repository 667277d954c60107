"""Finds what in openapi/openapi.json would break a client of the last release: the document at the newest tag v*.

Usage: python3 tools/check-openapi-changes.py [OLD NEW | --self-test]
Prints `rule place`, the place as a JSON pointer into the new document, or into the old one for what is gone. Exits with 1 if anything breaks.

- Operations stay, with their operationId, their ways to authenticate, and the media types, successes and headers of successes.
- What was accepted stays accepted. A parameter or member of a request does not go, become required or lose `nullable`; it keeps its
  type, format (an integer may grow) and default. Bounds do not tighten, a pattern does not change, an enum and a oneOf only grow.
- What clients read stays as it was. A member of an answer does not go, become optional or nullable, and keeps its type and format.

Answers are open: new members, values of an enum, variants of a oneOf, refusals, and looser bounds break nobody.
"""
import copy
import functools
import json
import pathlib
import subprocess
import sys

DOCUMENT = "openapi/openapi.json"
CASES = pathlib.Path(__file__).parent.parent / "openapi/rules/changes.json"
# Changes of the next release that are meant, as they are printed, each with its reason. Emptied at the release.
MEANT = {}

METHODS = ("get", "put", "post", "delete", "patch", "head", "options", "trace")
UPPER = ("maxLength", "maximum", "maxItems", "maxProperties")
LOWER = ("minLength", "minimum", "minItems", "minProperties")
# Old and new type or format of a request; in answers the other way round.
WIDER = {("integer", "number"), ("int32", "int64")}


def step(place, *names):
    """The JSON pointer of a part below `place`."""
    return "/".join([place, *(str(name).replace("~", "~0").replace("/", "~1") for name in names)])


class Part:
    """A part of a document with its place. References are followed, and a schema has what its `allOf` has."""

    def __init__(self, document, value, place):
        while "$ref" in value:
            place, value = value["$ref"][1:], document
            for name in place.split("/")[1:]:
                value = value[name.replace("~1", "/").replace("~0", "~")]
        self.document, self.place = document, place
        # Values by name, each with the place of what has it.
        self.own, self.members, self.required = {}, {}, set()
        for n, base in enumerate(value.get("allOf", [])):
            base = Part(document, base, step(place, "allOf", n))
            self.own |= base.own
            self.members |= base.members
            self.required |= base.required
        self.own |= {name: (below, step(place, name)) for name, below in value.items()}
        self.members |= {name: (below, step(place, "properties", name)) for name, below in value.get("properties", {}).items()}
        self.required |= set(value["required"]) if isinstance(value.get("required"), list) else set()

    def get(self, name, otherwise=None):
        return self.own.get(name, (otherwise, None))[0]

    def at(self, name):
        return self.own.get(name, (None, step(self.place, name)))[1]

    def below(self, name):
        return Part(self.document, *self.own[name])

    def member(self, name):
        return Part(self.document, *self.members[name])

    def named(self, name):
        """The parts of an object by name, or of a list: those that are references by theirs, others by their number."""
        below, place = self.own.get(name, ({}, ""))
        pairs = below.items() if isinstance(below, dict) else enumerate(below)
        return {(key if isinstance(below, dict) else one.get("$ref", key)): Part(self.document, one, step(place, key)) for key, one in pairs}


class Comparison:
    def __init__(self, old, new):
        self.old, self.new = Part(old, old, ""), Part(new, new, "")
        self.found, self.done = set(), set()

    def breaks(self, rule, place):
        self.found.add(f"{rule} {place}")

    def operations(self, root):
        """Every operation by path and method, with its parameters by place and name."""
        for path, item in root.named("paths").items():
            for method in (method for method in METHODS if method in item.own):
                operation = item.below(method)
                parameters = [one for part in (item, operation) for one in part.named("parameters").values()]
                yield (path, method), operation, {(one.get("in"), one.get("name")): one for one in parameters}

    def run(self):
        """What breaks, in order."""
        new = {key: (operation, parameters) for key, operation, parameters in self.operations(self.new)}
        for key, was, had in self.operations(self.old):
            if key in new:
                self.operation(was, new[key][0], had, new[key][1])
            else:
                self.breaks("operation-removed", was.place)
        return sorted(self.found)

    def operation(self, was, now, had, has):
        if was.get("operationId") != now.get("operationId"):
            self.breaks("operation-renamed", now.at("operationId"))
        before, after = was.get("security", self.old.get("security", [])), now.get("security", self.new.get("security", []))
        if any(way not in after for way in before) or (after and not before):
            self.breaks("security-removed", now.at("security"))
        for key in had.keys() - has.keys():
            self.breaks("parameter-removed", had[key].place)
        for key, parameter in has.items():
            if parameter.get("required") and not (key in had and had[key].get("required")):
                self.breaks("parameter-required", parameter.place)
            if key in had:
                self.schema(had[key].below("schema"), parameter.below("schema"), True)
        self.body(was, now)
        self.answers(was.named("responses"), now.named("responses"))

    def body(self, was, now):
        before, after = (part.below("requestBody") if "requestBody" in part.own else None for part in (was, now))
        if after and after.get("required") and not (before and before.get("required")):
            self.breaks("body-required", after.place)
        if before and after:
            self.content(before, after, True)
        elif before:
            self.breaks("body-removed", before.place)

    def answers(self, before, after):
        for status, answer in before.items():
            if status in after:
                self.content(answer, after[status], False)
                kept = {name.lower() for name in after[status].named("headers")}
                for name, header in answer.named("headers").items():
                    if status.startswith("2") and name.lower() not in kept:
                        self.breaks("header-removed", step(answer.place, "headers", name))
            elif status.startswith("2"):
                self.breaks("success-removed", answer.place)

    def content(self, before, after, request):
        kept = after.named("content")
        for media, was in before.named("content").items():
            if media not in kept:
                self.breaks("media-type-removed", was.place)
            elif "schema" in was.own and "schema" in kept[media].own:
                self.schema(was.below("schema"), kept[media].below("schema"), request)

    def schema(self, was, now, request):
        """Compares a schema of a request or an answer, once."""
        key = (was.place, now.place, request)
        if key in self.done:
            return
        self.done.add(key)
        for keyword in ("type", "format"):
            before, after = was.get(keyword), now.get(keyword)
            wider = (before, after) if request else (after, before)
            dropped = request and after is None
            if before != after and wider not in WIDER and not dropped:
                self.breaks(f"{keyword}-changed", now.at(keyword))
        narrower, wider = (now, was) if request else (was, now)
        if wider.get("nullable") and not narrower.get("nullable"):
            self.breaks("nullable-changed", now.place)
        for name in was.members.keys() - now.members.keys():
            self.breaks("member-removed", was.members[name][1])
        for name in sorted(now.required - was.required if request else was.required & now.members.keys() - now.required):
            self.breaks("member-required" if request else "member-optional", now.members.get(name, (None, now.place))[1])
        if request:
            self.tightened(was, now)
        for name in was.members.keys() & now.members.keys():
            self.schema(was.member(name), now.member(name), request)
        for keyword in ("items", "additionalProperties"):
            if isinstance(was.get(keyword), dict) and isinstance(now.get(keyword), dict):
                self.schema(was.below(keyword), now.below(keyword), request)
        for keyword in ("oneOf", "anyOf"):
            before, after = was.named(keyword), now.named(keyword)
            if bool(before) != bool(after) or (request and before.keys() - after.keys()):
                self.breaks("variants-changed", now.at(keyword))
            for name in before.keys() & after.keys():
                self.schema(before[name], after[name], request)

    def tightened(self, was, now):
        """What of a request is refused that was accepted."""
        for keyword in UPPER + LOWER:
            before, after = was.get(keyword), now.get(keyword)
            tighter = after is not None and (before is None or (after < before if keyword in UPPER else after > before))
            if tighter and (keyword, after) not in {("minLength", 0), ("minItems", 0), ("minProperties", 0)}:
                self.breaks("bound-tightened", now.at(keyword))
        for keyword in ("pattern", "multipleOf", "uniqueItems", "exclusiveMinimum", "exclusiveMaximum"):
            if now.get(keyword) and now.get(keyword) != was.get(keyword):
                self.breaks("bound-tightened", now.at(keyword))
        if "enum" in now.own and ("enum" not in was.own or set(was.get("enum")) - set(now.get("enum"))):
            self.breaks("enum-narrowed", now.at("enum"))
        if was.get("default") != now.get("default"):
            self.breaks("default-changed", now.at("default"))
        if now.get("additionalProperties") is False and was.get("additionalProperties") is not False:
            self.breaks("members-closed", now.place)


def last_release():
    """The newest tag v* of this history and its document; `None` if there is none."""
    def git(*arguments):
        return subprocess.run(["git", *arguments], capture_output=True, text=True)
    tags = git("tag", "--list", "v*", "--sort=-version:refname", "--merged").stdout.split()
    shown = git("show", f"{tags[0]}:{DOCUMENT}") if tags else None
    return (tags[0], json.loads(shown.stdout)) if shown and shown.returncode == 0 else None


def self_test():
    """Plays the cases of CASES: each puts values at pointers of a document, or takes away what is there (null)."""
    cases = json.loads(CASES.read_text())
    for case in cases["cases"]:
        document = copy.deepcopy(cases["document"])
        for pointer, value in case["set"].items():
            *way, last = (name.replace("~1", "/") for name in pointer.split("/")[1:])
            part = functools.reduce(lambda part, name: part[name], way, document)
            part.pop(last) if value is None else part.update({last: value})
        found = Comparison(cases["document"], document).run()
        assert found == case["breaks"], f"{case['name']}: {found}"
    print(f"{len(cases['cases'])} cases")


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    if len(sys.argv) == 3:
        old, new = (json.loads(pathlib.Path(path).read_text()) for path in sys.argv[1:])
    elif len(sys.argv) == 1:
        release = last_release()
        if not release:
            return print(f"{DOCUMENT}: no release with a document yet, nothing to compare with")
        old, new = release[1], json.loads(pathlib.Path(DOCUMENT).read_text())
    else:
        sys.exit("usage: python3 tools/check-openapi-changes.py [OLD NEW | --self-test]")
    found = [line for line in Comparison(old, new).run() if line not in MEANT]
    print("\n".join(found), end="\n" if found else "")
    sys.exit(bool(found))


main()
