"""What the tests use: the registry of tests, what they counted, the files that are tested, and how a query is read. Decides
nothing itself."""

import json
import os
import pathlib
import re
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLAIMGATE = str(pathlib.Path(os.environ["CLAIMGATE"]).resolve())
ALERTS = ROOT / "deploy/observability/alerts.yaml"
DASHBOARD = ROOT / "deploy/observability/dashboard.json"

sys.path.append(str(ROOT / "tests/leaks"))
import kept  # noqa: E402,F401  for the search of tests/leaks

TESTS = []
COUNTS = {}


def test(function):
    """Registers a test."""
    TESTS.append(function)
    return function


def alerts():
    """The rules, in their order."""
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    return group["rules"]


def dashboard():
    return json.loads(DASHBOARD.read_text())


def selectors(expression):
    """Every series that a query names: (metric, {label: (operator, value)})."""
    found = []
    for metric, inside in re.findall(r"\b(claimgate_[a-z_]+)(?:\{([^}]*)\})?", without_strings_of_labels(expression)):
        matchers = re.findall(r'([a-z_]+)\s*(=~|!~|!=|=)\s*"([^"]*)"', inside)
        found.append((metric, {label: (operator, value) for label, operator, value in matchers}))
    return found


def without_strings_of_labels(expression):
    """A name of a metric in quotes is none."""
    return re.sub(r'(=~|!~|!=|=)\s*"claimgate_[^"]*"', r'\1""', expression)


def documented():
    """Every metric of deploy/metrics.md, which a unit test holds against the code, with its labels."""
    text = (ROOT / "deploy/metrics.md").read_text()
    rows = re.findall(r"^\| `(claimgate_[a-z_]+)` \| (\w+) \|([^|]*)\|", text, re.MULTILINE)
    return {metric: (kind, set(re.findall(r"`(\w+)`", labels))) for metric, kind, labels in rows}


def base(metric):
    """Of one series of a histogram, the histogram."""
    return re.sub(r"_(bucket|sum|count)$", "", metric)
