"""What an OpenAPI 3.1 document says about requests, answers and references, for fuzz_api.py. It knows the gateway by its document alone.

Requests are judged as they are sent: method, address, headers and bytes. So it does not matter what their maker meant them to be.
"""

import json
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from jsonschema_rs import Draft202012Validator, RegexOptions, Registry

# Headers that any HTTP server may send, and that a document need not list.
COMMON_HEADERS = {"allow", "cache-control", "connection", "content-encoding", "content-length", "content-type", "date", "transfer-encoding"}
COMMON_HEADERS |= {"vary", "x-content-type-options"}

# Names of references that are neither the name of a path parameter nor have an example.
ALIASES = {"payer": "account", "ids": "delivery"}

# What a request can be.
FITS, BREAKS, UNKNOWN = "fits", "breaks", "unknown"


@dataclass
class Operation:
    id: str
    method: str
    path: str
    definition: dict
    parameters: dict = field(default_factory=dict)  # by (place, name)
    body: dict | None = None  # the JSON media type of the request's body

    def __post_init__(self):
        names = re.findall(r"\{(\w+)\}", self.path)
        self.nouns = names
        self.address = re.compile("^" + re.sub(r"\\\{\w+\\\}", "([^/]*)", re.escape(self.path)) + "$")
        self.parameters = {(one["in"], one["name"]): one for one in self.definition.get("parameters", [])}
        request = self.definition.get("requestBody")
        self.body = request["content"]["application/json"] if request else None
        self.body_required = bool(request and request.get("required"))

    def example(self):
        """The request body of the document's example."""
        return self.body.get("example") if self.body else None


# What a member's value is besides a reference to a noun.
UNIQUE, TIME, DATE = "unique", "date-time", "date"


@dataclass
class Place:
    """A place in a request body that wants a value of this gateway."""

    container: object
    key: object
    wants: str  # a noun, UNIQUE, TIME or DATE
    schema: dict
    example: object


def first(value):
    return (value[0] if value else None) if isinstance(value, list) else value


class Document:
    def __init__(self, document):
        self.document = document
        self.registry = Registry([("urn:document", document)])
        self.validators = {}
        self.operations = {}
        for path, methods in document["paths"].items():
            for method, definition in methods.items():
                operation = Operation(definition["operationId"], method.upper(), path, definition)
                self.operations[operation.id] = operation
        self.lists = {}  # noun -> operation that lists its objects
        self.example_nouns = {}  # id or external id of an example -> noun
        self.value_members = {}  # noun -> members of an object that a path parameter takes
        for operation in self.operations.values():
            self.learn_nouns(operation)

    def learn_nouns(self, operation):
        """Path parameters name the nouns: `/v1/accounts/{account}` takes what `GET /v1/accounts` lists."""
        for noun in operation.nouns:
            before = operation.path[: operation.path.index("/{" + noun + "}")]
            listing = self.document["paths"].get(before, {}).get("get")
            items = self.answer_example(listing).get("items") if listing else None
            if not items:
                continue
            item = items[0]
            example = str(operation.parameters["path", noun].get("example"))
            self.lists[noun] = self.operations[listing["operationId"]]
            members = self.value_members.setdefault(noun, {"id"} & item.keys())
            members.update(name for name, value in item.items() if value == example)
            for value in [example, item.get("id")]:
                if value is not None:
                    self.example_nouns[value] = noun

    def answer_example(self, definition):
        return definition["responses"].get("200", {}).get("content", {}).get("application/json", {}).get("example", {})

    def resolve(self, schema):
        """The schema with what its `$ref` and `allOf` say."""
        while "$ref" in schema:
            (_, *steps) = schema["$ref"].split("/")
            target = self.document
            for step in steps:
                target = target[step]
            schema = {**target, **{name: value for name, value in schema.items() if name != "$ref"}}
        for part in [*schema.get("allOf", []), *(one for one in schema.get("anyOf", []) + schema.get("oneOf", []) if one.get("type") != "null")]:
            part = self.resolve(part)
            schema = {**part, **schema, "properties": {**part.get("properties", {}), **schema.get("properties", {})}}
        return schema

    def wants(self, operation, name, schema, example):
        """What a member or query parameter wants: see Place. None: any value."""
        own = self.lists.get(re.sub(r"Id$", "", name))
        described = schema.get("description", "")
        if name == "externalId" or re.search(r"\bunique\b", described) or (own and operation.method == "POST" and own.path == operation.path):
            return UNIQUE
        if schema.get("format") in (TIME, DATE):
            return schema["format"]
        noun = self.example_nouns.get(str(first(example)))
        singular = re.sub(r"(Ids?|s)$", "", name)
        return noun or next((one for one in (name, singular, ALIASES.get(name)) if one in self.lists), None)

    def places(self, operation, value, schema=None, example=None):
        """The places of a request body that want a value of this gateway."""
        schema = self.resolve(operation.body["schema"] if schema is None else schema)
        if isinstance(value, list) and "items" in schema:
            for item in value:
                yield from self.places(operation, item, schema["items"], first(example))
        if not isinstance(value, dict):
            return
        for name, described in schema.get("properties", {}).items():
            if name not in value:
                continue
            described = self.resolve(described)
            shown = example.get(name) if isinstance(example, dict) else None
            wants = self.wants(operation, name, described, shown)
            found = value[name]
            if wants is not None and isinstance(found, str):
                yield Place(value, name, wants, described, shown)
            elif wants in self.lists and isinstance(found, list) and all(isinstance(one, str) for one in found):
                items = {**described["items"], "description": described.get("description", "")}
                yield from (Place(found, place, wants, items, first(shown)) for place in range(len(found)))
            else:
                yield from self.places(operation, found, described, shown)

    def members(self, noun, schema):
        """Which members of an object name it where this schema stands."""
        if schema.get("description", "").startswith("Names of"):
            return {"name"}
        return {"id"} if "[0-9a-fA-F]" in schema.get("pattern", "") else self.value_members.get(noun, set())

    def errors(self, schema, value):
        """The first way in which a value breaks a schema of this document, or None."""
        key = id(schema)
        if key not in self.validators:
            rooted = self.rooted(schema)
            validator = Draft202012Validator(rooted, registry=self.registry, validate_formats=True, pattern_options=RegexOptions())
            self.validators[key] = (validator, schema)
        error = next(iter(self.validators[key][0].iter_errors(value)), None)
        return error and f"{'/'.join(map(str, error.instance_path))}: {error.message}"[:300]

    def rooted(self, schema):
        if isinstance(schema, dict):
            return {name: "urn:document" + value if name == "$ref" else self.rooted(value) for name, value in schema.items()}
        return [self.rooted(one) for one in schema] if isinstance(schema, list) else schema

    def judge(self, operation, request):
        """What a request is by the document, and why. `request` is one of the library requests, prepared."""
        verdicts = [self.judge_path(operation, request), self.judge_query(operation, request)]
        verdicts += [self.judge_headers(operation, request), self.judge_body(operation, request)]
        for wanted in (UNKNOWN, BREAKS):
            for verdict, reason in verdicts:
                if verdict == wanted:
                    return verdict, reason
        return FITS, None

    def judge_path(self, operation, request):
        match = operation.address.match(urlsplit(request.url).path)
        if match is None or "" in match.groups() or {".", ".."} & set(match.groups()):
            return UNKNOWN, "the address is another operation's, or nobody's"
        for noun, text in zip(operation.nouns, match.groups()):
            try:
                value = unquote(text, errors="strict")
            except UnicodeDecodeError:
                return BREAKS, f"{noun} is not UTF-8"
            if error := self.errors(operation.parameters["path", noun]["schema"], value):
                return BREAKS, f"{noun}: {error}"
        return FITS, None

    def judge_query(self, operation, request):
        try:
            pairs = parse_qsl(urlsplit(request.url).query, keep_blank_values=True, errors="strict")
        except UnicodeDecodeError:
            return BREAKS, "the query is not UTF-8"
        values = {}
        for name, text in pairs:
            values.setdefault(name, []).append(text)
        for name, texts in values.items():
            parameter = operation.parameters.get(("query", name))
            if parameter is None:
                return BREAKS, f"there is no parameter {name!r}"
            schema = parameter["schema"]
            if schema.get("type") == "array":
                value = texts
            elif len(texts) > 1:
                return BREAKS, f"{name} is repeated"
            elif schema.get("type") == "integer":
                value = int(texts[0]) if re.fullmatch(r"0|-?[1-9][0-9]*", texts[0], re.ASCII) else texts[0]
                if value == texts[0] and re.fullmatch(r"\s*[+-]?[0-9.]+\s*", value):
                    return UNKNOWN, f"whether {value!r} is an integer"
            else:
                value = texts[0]
            if error := self.errors(schema, value):
                return BREAKS, f"{name}: {error}"
        missing = [name for (place, name), one in operation.parameters.items() if place == "query" and one.get("required") and name not in values]
        return (BREAKS, f"{missing[0]} is missing") if missing else (FITS, None)

    def judge_headers(self, operation, request):
        for (place, name), parameter in operation.parameters.items():
            value = request.headers.get(name) if place == "header" else None
            if value is None:
                continue
            text = value.decode("latin-1") if isinstance(value, bytes) else value
            if error := self.errors(parameter["schema"], text.strip(" \t")):
                return BREAKS, f"{name}: {error}"
        return FITS, None

    def judge_body(self, operation, request):
        if operation.body is None:
            return (UNKNOWN, "a body that is not described") if request.body else (FITS, None)
        if not request.body:
            return (BREAKS, "the body is missing") if operation.body_required else (FITS, None)
        media_type = request.headers.get("Content-Type", "")
        media_type = media_type.decode("latin-1") if isinstance(media_type, bytes) else media_type
        if media_type.lower() != "application/json":
            plain = media_type.split(";")[0].strip().lower() == "application/json"
            return (UNKNOWN if plain else BREAKS), f"the Content-Type {media_type!r}"
        try:
            value = json.loads(request.body)
        except ValueError as error:
            return BREAKS, f"no JSON: {error}"
        if value is None and not operation.body_required:
            return UNKNOWN, "null, which generated clients send for a body that is left out"
        error = self.errors(operation.body["schema"], value)
        return (BREAKS, f"body/{error}") if error else (FITS, None)

    def is_name_in_map(self, operation, pointer):
        """Whether a JSON pointer into a request body is at a member whose name the sender chooses."""
        (_, *steps) = pointer.split("/")
        schema = self.resolve(operation.body["schema"]) if operation.body else {}
        for place, step in enumerate(steps):
            if step in schema.get("properties", {}):
                schema = self.resolve(schema["properties"][step])
            elif "items" in schema:
                schema = self.resolve(schema["items"])
            else:
                return place == len(steps) - 1 and isinstance(schema.get("additionalProperties"), dict)
        return False

    def undocumented_headers(self, operation, status, headers):
        """Headers of an answer that neither the document nor HTTP itself knows."""
        answer = operation.definition["responses"].get(str(status), {})
        described = {name.lower() for name in self.resolve(answer).get("headers", {})}
        return sorted(name for name in map(str.lower, headers) if name not in described | COMMON_HEADERS)
