"""Sends what schemathesis makes of a gateway's own OpenAPI document to one or more gateways, and holds every answer against that document.

    fuzz_api.py [--seed N] [--systematic N] [--random N] URL API_KEY [URL API_KEY ...]

For each operation: up to N requests that fit and N that do not, from the systematic ones of schemathesis (the document's examples, each
boundary of each member, each wrong type); up to N that fit, and half as many that do not, made at random: the latter take longest to make.
All gateways get the same requests, in one order for a seed, each with ids of objects that this gateway has: those it lists, and those that
earlier requests created. So later requests change, bill and delete what earlier ones made.

A fault is: a status >= 500, except 503 with Retry-After; a status, media type, header or body that is not documented; 2xx for a request that
breaks the document; a refusal as malformed (400 and the like) of one that fits it, except for what only the document's words say (UNSAID).

Prints one line of JSON, and exits with 0 whatever it found:
  cases       how many requests each gateway got
  operations  all of them
  excluded    those that are never called, each with the reason
  gateways    for each:
    requests, statuses     how many were answered, and by class
    covered, succeeded     the operations that got a request, and that answered one with 2xx
    refusals               of operations that did not, by code
    notFound               the share of 404
    faults                 the first 50 kinds, each with the first request and answer of its kind, and how many there were
    altered                how many of four alterations of one exchange were found; fewer: the checks check nothing
    stopped                why this program gave up, if it did
"""

import argparse
import json
import multiprocessing
import random
import re
import sys
import time
from collections import Counter, deque
from copy import deepcopy
from datetime import datetime, timedelta, timezone

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import FailureGroup

from fuzz_document import BREAKS, DATE, FITS, TIME, UNIQUE, Document

# Operations that nobody may call by chance.
EXCLUDED = {
    "setTestClock": "a clock set to the year 2999 makes everything due, and can never be set back",
}
# Objects that are not taken from the gateway's lists, only from what this program created.
OWN_ONLY = {
    "apiKey": "the key in use is among those listed; without it all answers are 401",
    "tenant": "the operator's own tenant is among those listed; suspended, it answers nothing but 403",
}
# Parameters with a value that is always the same.
FIXED = {("tailEvents", "waitSeconds"): "0"}  # otherwise an answer may take 25 s
# Refusals of a request's form, which one that fits must not get.
FORM = {400, 405, 406, 411, 413, 414, 415, 417, 431}

# What violations of a request that fits the document may say, since the document says it in words alone: schemas of OpenAPI 3.0 cannot, or
# generators of clients could not read them.
UNSAID = [
    # Members that others require or exclude.
    re.compile(r"is (required|not allowed) (for type \w+|with '?/[^']+'?)\.$"),
    # "Numbers: integers are up to 64 bits", also in data of any form.
    re.compile(r"is an integer beyond 64 bits;"),
    # "E-mail addresses are plain addresses": where a text may also be empty or an id, it has no format.
    re.compile(r"must be an? (plain )?e-mail address"),
]
CHECKED = ["status_code_conformance", "content_type_conformance", "response_headers_conformance", "response_schema_conformance"]
# Longest text that is made. Longer ones take seconds each to make; that they are refused is tested elsewhere.
TEXT_MAX = 1000
# Longest a gateway may ask for the same request again, in seconds, as in `tests/src`: its machine may be busy.
PATIENCE = 180
# After so many requests the ids are read again.
REREAD = 500
USUALLY = 0.9
# The last status of what has one.
ENDED = {"cancelled", "deactivated", "deleted", "ended"}


def read_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--systematic", type=int, default=2)
    parser.add_argument("--random", type=int, default=2)
    parser.add_argument("gateways", nargs="+")
    arguments = parser.parse_args()
    return arguments, list(zip(arguments.gateways[::2], arguments.gateways[1::2], strict=True))


def shuffled(value, dice):
    """The document in another order, with shorter texts: schemathesis goes through it in order, and only its first requests may be taken."""
    if isinstance(value, list):
        items = [shuffled(one, dice) for one in value]
        if items and all(isinstance(one, dict) and "in" in one for one in items):  # parameters
            dice.shuffle(items)
        return items
    if not isinstance(value, dict):
        return value
    members = [(name, shuffled(one, dice)) for name, one in value.items()]
    if all(isinstance(one, dict) for _, one in members):
        dice.shuffle(members)
    return {name: min(one, TEXT_MAX) if name == "maxLength" and isinstance(one, int) else one for name, one in members}


def load(document):
    """The document as schemathesis has it. Credentials are not varied: `gateway/api/tests` does that."""
    config = schemathesis.Config.from_dict({"generation": {"with-security-parameters": False}})
    return schemathesis.openapi.from_dict(document, config=config)


def make_cases(document, arguments):
    """All requests to send, in the order in which to send them."""
    dice = random.Random(arguments.seed)
    schema = load(shuffled(document, dice))
    quiet = settings(phases=[Phase.generate], database=None, deadline=None, suppress_health_check=list(HealthCheck))
    creations, cases = [], []
    for operation in sorted((one.ok() for one in schema.get_all_operations()), key=lambda one: one.label):
        name = operation.definition.raw["operationId"]
        if name in EXCLUDED:
            continue
        for mode in GenerationMode:
            systematic = schema.iter_coverage_cases(operation, generation_modes=[mode], generation_config=schema.config.generation)
            made = [case for case, _ in zip(systematic, range(arguments.systematic))]
            if wanted := arguments.random if mode == GenerationMode.POSITIVE else arguments.random // 2:
                made += drawn(operation.as_strategy(generation_mode=mode), arguments.seed, settings(quiet, max_examples=wanted))
            cases += [(name, case) for case in made]
            if mode == GenerationMode.POSITIVE and operation.method == "post" and "{" not in operation.path:
                creations += [(name, case) for case in made[:1]]
    dice.shuffle(cases)
    # First the documented example of each creation, twice since some need what others create. So later requests find something to change.
    return creations * 2 + cases


def drawn(strategy, number, quiet):
    """What a strategy of Hypothesis gives: the simplest first, the others at random."""
    made = []

    @seed(number)
    @quiet
    @given(strategy)
    def test(case):
        made.append(case)

    try:
        test()
    except Unsatisfiable:  # an operation without parameters has no requests that do not fit
        pass
    return made


class Objects:
    """The objects that a gateway has, by noun."""

    def __init__(self, document):
        self.document = document
        self.known = {noun: {} for noun in document.lists}
        self.recent = {noun: deque(maxlen=20) for noun in document.lists}
        self.now = datetime.now(timezone.utc)

    def learn(self, noun, found):
        members = {"id", "externalId", "name", "status", "accountId", *self.document.value_members[noun]}
        kept = {name: found[name] for name in members if isinstance(found.get(name), str)}
        self.known[noun][kept.get("id", kept.get("name"))] = kept

    def read(self, get):
        """Reads the first page of every list."""
        for noun, listing in self.document.lists.items():
            if noun in OWN_ONLY:
                continue
            self.known[noun].clear()
            query = {"limit": 200} if ("query", "limit") in listing.parameters else {}
            for found in get(listing.path, query)["items"]:
                self.learn(noun, found)

    def learn_from(self, transaction):
        """What a business transaction created, changed or deleted, and the business time."""
        for change in transaction.get("entities", []):
            noun = change["type"]
            if noun in self.known and change["action"] == "deleted":
                self.known[noun].pop(change["id"], None)
            elif noun in self.known:
                self.learn(noun, change.get("after") or {"id": change["id"]})
                self.recent[noun].append(change["id"])
        if "entities" in transaction and "occurredAt" in transaction:
            self.now = datetime.fromisoformat(transaction["occurredAt"][:19] + "+00:00")

    def choose(self, noun, dice, members):
        """An object that exists, and a name of it; two times None if there is none."""
        known = self.known.get(noun, {})
        recent = [known[one] for one in self.recent.get(noun, ()) if one in known]
        found = recent if recent and dice.random() < 0.5 else list(known.values())
        # Hardly anything can be done with what has ended.
        alive = [one for one in found if one.get("status") not in ENDED]
        if alive and dice.random() < USUALLY:
            found = alive
        if not found:
            return None, None
        chosen = dice.choice(found)
        names = [chosen[member] for member in sorted(members) if member in chosen]
        return (chosen, dice.choice(names)) if names else (None, None)

    def moment(self, dice):
        return self.now + dice.choice([timedelta(days=-40), timedelta(minutes=-1), timedelta(days=40)])


class Player:
    """Sends the cases to one gateway, one after the other."""

    def __init__(self, url, key, document, checks, seed):
        self.url, self.key, self.document, self.checks, self.seed = url, key, document, checks, seed
        self.session = requests.Session()
        self.session.trust_env = False  # the gateways are on this machine: no proxy
        self.objects = Objects(document)
        self.cursors = {}
        self.requests, self.statuses, self.faults = 0, Counter(), {}
        self.covered, self.succeeded, self.refusals, self.not_found = set(), set(), {}, 0
        self.stopped, self.sample = None, None
        # Part of all names, so that those of an earlier run are not taken.
        self.run = f"{time.time_ns():x}"[-10:]

    def get(self, path, query):
        answer = self.session.get(self.url + path, params=query, headers={"Authorization": f"Bearer {self.key}"}, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def play(self, cases):
        try:
            for number, (name, case) in enumerate(cases):
                if number % REREAD == 0:
                    self.objects.read(self.get)
                self.send(self.document.operations[name], case, random.Random(f"{self.seed} {number}"), number)
        except Exception as error:  # it is reported; the other gateway goes on
            self.stopped = f"{type(error).__name__}: {error}"

    def send(self, operation, case, dice, number):
        target = self.checks[operation.id]
        filled = target.Case(
            method=case.method,
            path_parameters=self.path_values(operation, case, dice),
            query=self.query_values(operation, case, dice),
            headers=self.header_values(case, dice, number),
            body=self.body_value(operation, case, dice, number),
            media_type=case.media_type,
        )
        began = time.monotonic()
        while True:
            try:
                answer = filled.call(base_url=self.url, session=self.session, headers={"Authorization": f"Bearer {self.key}"}, timeout=60)
            except requests.RequestException as error:
                self.fault("no answer", operation, filled, None, f"{type(error).__name__}: {error}")
                return
            # The gateway asks for the same request again, and has changed nothing.
            if answer.status_code != 503 or "retry-after" not in answer.headers:
                break
            if time.monotonic() - began > PATIENCE:
                self.fault(f"unavailable for {PATIENCE} s", operation, filled, answer, "")
                break
            time.sleep(1)
        self.requests += 1
        self.statuses[f"{answer.status_code // 100}xx"] += 1
        self.judge(operation, case, filled, answer)

    def usual(self, dice):
        return dice.random() < USUALLY

    def path_values(self, operation, case, dice):
        values = dict(case.path_parameters or {})
        for noun in operation.nouns:
            parameter = operation.parameters["path", noun]["schema"]
            _, value = self.objects.choose(noun, dice, self.document.value_members.get(noun, ()))
            if value is None and noun not in self.document.lists:
                value = operation.parameters["path", noun].get("example")
            if value is not None and self.usual(dice) and not self.document.errors(parameter, values.get(noun)):
                values[noun] = value
        return values

    def query_values(self, operation, case, dice):
        if not isinstance(case.query, dict):
            return case.query
        values = dict(case.query)
        for name, value in case.query.items():
            parameter = operation.parameters.get(("query", name))
            if parameter is None or not isinstance(value, str) or self.document.errors(parameter["schema"], value):
                continue
            if name == "cursor":
                values.pop(name)
                if operation.id in self.cursors and dice.random() < 0.5:
                    values[name] = self.cursors[operation.id]
                elif dice.random() < 0.2:
                    values[name] = value
                continue
            noun = self.document.wants(operation, name, parameter, parameter.get("example"))
            _, chosen = self.objects.choose(noun, dice, self.document.members(noun, parameter["schema"]))
            values[name] = chosen if chosen and self.usual(dice) else value
        for (wanted, name), value in FIXED.items():
            if wanted == operation.id:
                values[name] = value
        return values

    def header_values(self, case, dice, number):
        """An Idempotency-Key of its own, or none; conditions on the version mostly such that every version meets them."""
        headers = {}
        for name, value in dict(case.headers or {}).items():
            parameter = self.document.operations[case.operation.definition.raw["operationId"]].parameters.get(("header", name))
            fits = parameter is not None and not self.document.errors(parameter["schema"], value)
            if fits and name == "Idempotency-Key":
                value = f"{self.run}-{number}"
            elif fits and name in ("If-Match", "If-None-Match"):
                if dice.random() < 0.7:
                    continue
                value = "*" if self.usual(dice) else value
            headers[name] = value
        return headers

    def body_value(self, operation, case, dice, number):
        if operation.body is None or not isinstance(case.body, (dict, list)):
            return case.body
        body = deepcopy(case.body)
        fits = self.document.errors(operation.body["schema"], body) is None
        example = operation.example()
        if fits and isinstance(example, dict) and isinstance(body, dict) and dice.random() < 0.6:
            # A random value in an example: the rest of the request is not refused by a rule then.
            members = dice.sample(sorted(body), k=min(len(body), dice.randrange(3)))
            mixed = {**deepcopy(example), **{name: body[name] for name in members}}
            if self.document.errors(operation.body["schema"], mixed) is None:
                body = mixed
        owner = None
        # The account comes last: it is that of the other objects.
        places = sorted(self.document.places(operation, body, example=example), key=lambda place: place.wants == "account")
        for count, place in enumerate(places):
            chosen, value = self.value(place, dice, f"{self.run}-{number}-{count}")
            if place.wants == "account" and owner is not None:
                value = owner
            if value is None or not self.usual(dice):
                continue
            before, place.container[place.key] = place.container[place.key], value
            # What makes the request one that fits, or does not, stays.
            if (self.document.errors(operation.body["schema"], body) is None) != fits:
                place.container[place.key] = before
            elif chosen is not None:
                owner = chosen.get("accountId", owner)
        return body

    def value(self, place, dice, number):
        """The object that a place of a body is to name, if it names one, and the value."""
        if place.wants == UNIQUE:
            return None, f"{place.example or 'fuzz'}{number}"
        if place.wants in (TIME, DATE):
            moment = self.objects.moment(dice)
            return None, moment.date().isoformat() if place.wants == DATE else moment.isoformat()
        return self.objects.choose(place.wants, dice, self.document.members(place.wants, place.schema))

    def judge(self, operation, case, filled, answer):
        status = answer.status_code
        problem = self.read(answer)
        code = problem.get("code")
        if status >= 500 and not (status == 503 and "retry-after" in answer.headers):
            self.fault("server error", operation, filled, answer, code)
            return
        if case.method.upper() != operation.method:
            if status != 405 or "allow" not in answer.headers:
                self.fault("method not refused", operation, filled, answer, case.method)
            return
        verdict, reason = self.document.judge(operation, answer.request)
        if operation.address.match(answer.request.path_url.split("?")[0]):
            self.covered.add(operation.id)
            self.hold(operation, filled, answer)
        self.not_found += status == 404
        self.refusals.setdefault(operation.id, Counter())[code] += 1
        if 200 <= status < 300:
            self.succeeded.add(operation.id)
            self.learn(operation, answer)
            if status == 201 and verdict == FITS:
                self.sample = (operation, filled, answer)
            if verdict == BREAKS:
                self.fault("accepted invalid", operation, filled, answer, reason)
        if status in FORM and verdict == FITS and (refused := self.unexpected(operation, problem)):
            self.fault("refused valid", operation, filled, answer, "; ".join(refused))

    def unexpected(self, operation, problem):
        """What a problem says that the document does not."""
        # A cursor has to be one that the gateway gave, for the same list and filters.
        if problem.get("code") == "bad_cursor":
            return []
        violations = problem.get("errors") or [{"message": str(problem.get("code"))}]
        # OpenAPI 3.0 has no schema for the names of a map's members either, such as those of attributes.
        said = [one["message"] for one in violations if not self.document.is_name_in_map(operation, one.get("pointer", ""))]
        return [message for message in said if not any(unsaid.search(message) for unsaid in UNSAID)]

    def read(self, answer):
        try:
            value = json.loads(answer.content)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    def learn(self, operation, answer):
        found = self.read(answer)
        self.objects.learn_from(found)
        if "nextCursor" in found:
            self.cursors[operation.id] = found["nextCursor"]

    def hold(self, operation, filled, answer):
        """Holds an answer against the document."""
        try:
            filled.validate_response(answer, checks=CHECKS.get_by_names(CHECKED))
        except FailureGroup as group:
            for failure in group.exceptions:
                self.fault("undocumented answer", operation, filled, answer, f"{failure.title}: {failure.message}")
        names = self.document.undocumented_headers(operation, answer.status_code, answer.headers)
        if names:
            self.fault("undocumented header", operation, filled, answer, ", ".join(names))

    def fault(self, kind, operation, filled, answer, detail):
        code = self.read(answer).get("code") if answer is not None else None
        # Of one kind for one operation, the first is kept.
        known = self.faults.setdefault((kind, operation.id, answer and answer.status_code, code, str(detail)[:60]), {"count": 0})
        known["count"] += 1
        if known["count"] > 1:
            return
        request = answer.request if answer is not None else None
        body = request.body if request is not None else None
        known |= {
            "kind": kind,
            "operation": operation.id,
            "detail": str(detail)[:600],
            "request": {
                "method": filled.method,
                "path": request.path_url if request is not None else filled.formatted_path,
                "headers": {name: str(value) for name, value in (filled.headers or {}).items()},
                "body": (body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body or ""))[:2000],
            },
            "answer": {"status": answer.status_code, "body": answer.content.decode("utf-8", "replace")[:600]} if answer is not None else None,
        }

    def altered(self):
        """How many alterations of one exchange are found."""
        operation, filled, answer = self.sample
        faults, found = self.faults, 0
        for change in [{"status_code": 299}, {"headers": {**answer.headers, "x-odd": ["1"]}}, {"content": b"[]"}]:
            whole = {"status_code": answer.status_code, "headers": answer.headers, "content": answer.content, **change}
            self.faults = {}
            self.hold(operation, filled, schemathesis.Response(**whole, request=answer.request, elapsed=0, verify=True))
            found += bool(self.faults)
        self.faults = faults
        request = answer.request.copy()
        request.body = b'{"nonsense": 1}'
        return found + (self.document.judge(operation, request)[0] == BREAKS)

    def report(self):
        return {
            "url": self.url,
            "stopped": self.stopped,
            "requests": self.requests,
            "statuses": dict(sorted(self.statuses.items())),
            "notFound": round(self.not_found / max(self.requests, 1), 3),
            "covered": sorted(self.covered),
            "succeeded": sorted(self.succeeded),
            "refusals": {name: counted for name, counted in self.refusals.items() if name not in self.succeeded},
            "altered": self.altered() if self.sample else 0,
            "faults": list(self.faults.values())[:50],
        }


def in_processes(work, tasks):
    """The results of work(*task) for each task, all at the same time."""
    context = multiprocessing.get_context("fork")
    started = []
    for task in tasks:
        near, far = context.Pipe(duplex=False)
        process = context.Process(target=lambda task=task, far=far: far.send(work(*task)))
        process.start()
        far.close()
        started.append((process, near))
    results = [near.recv() for _, near in started]
    for process, _ in started:
        process.join()
    return results


def main():
    arguments, gateways = read_arguments()
    load_all_checks()
    read = {name: requests.get(f"{gateways[0][0]}/{name}", timeout=60).json() for name in ("openapi.json", "openapi-3.1.json")}
    began = time.monotonic()
    cases = make_cases(read["openapi.json"], arguments)
    made = time.monotonic()
    checks = {one.ok().definition.raw["operationId"]: one.ok() for one in load(read["openapi.json"]).get_all_operations()}

    # A process for each gateway, which has the cases from this one: they cannot be sent to it.
    def play(url, key):
        player = Player(url, key, Document(read["openapi-3.1.json"]), checks, arguments.seed)
        player.play(cases)
        return player.report()

    played = in_processes(play, gateways)
    report = {"seed": arguments.seed, "cases": len(cases), "operations": sorted(checks), "excluded": EXCLUDED}
    report["seconds"] = {"making": round(made - began, 1), "playing": round(time.monotonic() - made, 1)}
    print(json.dumps({**report, "gateways": played}))


if __name__ == "__main__":
    sys.exit(main())
