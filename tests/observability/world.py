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
OBSERVED = ROOT / "deploy/observability"
# By job: the alerts, the dashboard, and the page with the metrics that are its own. What every process of claimgate says is on the
# first of the pages.
ALERTS = {"claimgate": OBSERVED / "alerts.yaml", "claimgate-issuer": OBSERVED / "issuer-alerts.yaml"}
DASHBOARDS = {"claimgate": OBSERVED / "dashboard.json", "claimgate-issuer": OBSERVED / "issuer-dashboard.json"}
PAGES = {"claimgate": ROOT / "deploy/metrics.md", "claimgate-issuer": ROOT / "deploy/issuer.md"}

sys.path.append(str(ROOT / "tests/leaks"))
import kept  # noqa: E402,F401  for the search of tests/leaks

TESTS = []
COUNTS = {}


def test(function):
    """Registers a test."""
    TESTS.append(function)
    return function


def each_job(function):
    """Registers a test for each job."""
    for job in ALERTS:
        def one(job=job):
            function(job)
        one.__name__ = f"{function.__name__}_{job}"
        TESTS.append(one)
    return function


def alerts(job=None):
    """The rules of a job, in their order; those of all, one job after the other."""
    if job is None:
        return [alert for job in ALERTS for alert in alerts(job)]
    (group,) = yaml.safe_load(ALERTS[job].read_text())["groups"]
    assert group["name"] == job
    return group["rules"]


def dashboard(job):
    return json.loads(DASHBOARDS[job].read_text())


def selectors(expression):
    """Every series that a query names: (metric, {label: (operator, value)})."""
    found = []
    for metric, inside in re.findall(r"\b((?:claimgate|process)_[a-z_]+)(?:\{([^}]*)\})?", without_strings_of_labels(expression)):
        matchers = re.findall(r'([a-z_]+)\s*(=~|!~|!=|=)\s*"([^"]*)"', inside)
        found.append((metric, {label: (operator, value) for label, operator, value in matchers}))
    return found


def without_strings_of_labels(expression):
    """A name of a metric in quotes is none."""
    return re.sub(r'(=~|!~|!=|=)\s*"claimgate_[^"]*"', r'\1""', expression)


def documented(job=None):
    """Every metric of a job's page, or of all, which unit tests hold against the code, with its labels."""
    pages = PAGES.values() if job is None else [PAGES[job]]
    text = "".join(page.read_text() for page in pages)
    rows = re.findall(r"^\| `((?:claimgate|process)_[a-z_]+)` \| (\w+) \|([^|]*)\|", text, re.MULTILINE)
    return {metric: (kind, set(re.findall(r"`(\w+)`", labels))) for metric, kind, labels in rows}


def base(metric):
    """Of one series of a histogram, the histogram."""
    return re.sub(r"_(bucket|sum|count)$", "", metric)
