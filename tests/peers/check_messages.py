"""Holds all events of an installation against what it publishes about them: the AsyncAPI document, and the JSON Schema that each event names.
It knows nothing else of the messages.

    check_messages.py URL API_KEY

Prints one line of JSON:
  messages   how many events were checked
  types      the event types they were of
  faults     what does not fit, the first hundred
  altered    how many of the two found an altered message
"""

import json
import re
import sys
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

from jsonschema import Draft202012Validator, FormatChecker

base, key = sys.argv[1:]


def read(path, headers=()):
    with urlopen(Request(base + path, headers=dict(headers)), timeout=60) as answer:
        return json.load(answer)


def events():
    """All events, page by page."""
    query = {"limit": 200}
    while True:
        page = read("/v1/events?" + urlencode(query), [("Authorization", f"Bearer {key}")])
        yield from page["items"]
        if "nextCursor" not in page:
            return
        query["cursor"] = page["nextCursor"]


def validator(schema):
    return Draft202012Validator(schema, format_checker=FormatChecker())


# Without a key: anyone may read both.
document = read("/asyncapi.json")
channels = []
for channel in document["channels"].values():
    # An event's type is what stands between the tenant and the slot in its subject.
    address = channel["address"].removeprefix("billing.{tenant}.").removesuffix(".{slot}.{orderingKey}")
    (message,) = channel["messages"].values()
    message = document["components"]["messages"][message["$ref"].rsplit("/", 1)[1]]
    payload = validator({**message["payload"], "components": document["components"]})
    channels.append((re.compile(re.sub(r"\\\{\w+\\\}", r"[A-Za-z0-9_-]+", re.escape(address))), payload))


def described(kind):
    """The one message of the document that has this type."""
    found = [payload for address, payload in channels if address.fullmatch(kind)]
    return found[0] if len(found) == 1 else None


by_schema, faults, checked, types = {}, [], 0, set()
for event in events():
    checked += 1
    types.add(event["type"])
    path = urlsplit(event["dataschema"]).path
    if path not in by_schema:
        by_schema[path] = validator(read(path))
    if described(event["type"]) is None:
        faults.append(f"{event['type']} is not one message of the AsyncAPI document")
        continue
    for where, one in (("asyncapi", described(event["type"])), (path, by_schema[path])):
        faults += [f"{event['id']} {where} {error.json_path}: {error.message[:200]}" for error in one.iter_errors(event)]
# That a fault is found: the last event with a state of another form.
event["data"] = {**event["data"], **{state: {"id": 7} for state in ("before", "after") if state in event["data"]}}
altered = sum(1 for one in (described(event["type"]), by_schema[path]) if any(one.iter_errors(event)))
print(json.dumps({"messages": checked, "types": sorted(types), "faults": faults[:100], "altered": altered}))
