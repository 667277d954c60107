"""Reads metrics as Prometheus' own client library does, strictly, and prints what the naming guide forbids.

    read_metrics.py < METRICS

Prints one line of JSON:
  families   names of the metric families
  faults     what is wrong, by https://prometheus.io/docs/practices/naming/
"""

import json
import re
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

BASE_UNITS = {"", "seconds", "bytes", "ratio"}
NO_UNITS = ("milliseconds", "minutes", "hours", "days", "kilobytes", "megabytes", "percent", "ms", "us", "ns")

families = list(text_string_to_metric_families(sys.stdin.read()))
faults = []
for family in families:
    name = family.name
    if not re.fullmatch(r"billwire_[a-z][a-z0-9_]*", name):
        faults.append(f"{name}: not snake case with the prefix billwire_")
    if not family.documentation or family.documentation.endswith(".."):
        faults.append(f"{name}: no help, or it ends oddly: {family.documentation!r}")
    if family.unit not in BASE_UNITS:
        faults.append(f"{name}: {family.unit} is no base unit")
    if name.rsplit("_", 1)[-1] in NO_UNITS:
        faults.append(f"{name}: ends with a unit that is no base unit")
    if family.type != "counter" and re.search(r"_(total|count|sum|bucket|info)$", name):
        faults.append(f"{name}: ends with a suffix that samples of other types have")
    if family.type == "unknown":
        faults.append(f"{name}: has no type")
    for sample in family.samples:
        for label in sample.labels:
            if label != "le" and not re.fullmatch(r"[a-z][a-z_]*", label):
                faults.append(f"{name}: label {label} is not snake case")
            if label in ("tenant", "endpoint", "queue", "account"):
                faults.append(f"{name}: label {label} has values without bound")
print(json.dumps({"families": [family.name for family in families], "faults": faults}))
