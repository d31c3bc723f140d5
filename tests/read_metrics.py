"""Reads metrics from stdin as strictly as OpenMetrics 1.0 is written, by a
parser that is not ours, and prints them as JSON: an object of families, each
with its type and its samples (name, labels, value)."""

import json
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

families = {}
for family in text_string_to_metric_families(sys.stdin.read()):
    assert family.name not in families, family.name
    assert family.documentation, family.name
    samples = [(sample.name, sample.labels, sample.value) for sample in family.samples]
    families[family.name] = {"type": family.type, "samples": samples}
json.dump(families, sys.stdout)
