"""Asks every query of the dashboards, and every series that an alert names, of a real Prometheus that scrapes running claimgates."""

import json
import math
import re

import dashboard
import world
from service import Running
from world import each_job, test

# What no claimgate says unless it has a bug; and an issuer only if more secrets come at once than 64 and a few.
NEVER = {'reason="internal"', 'result="internal"', 'result="overloaded"'}
# Long enough for everything that happened.
VALUES = {"$instance": ".*", "$issuer": ".*", "$__rate_interval": "5m"}


@each_job
def every_query_of_the_dashboard_is_answered(job):
    answered = dashboard_is_answered(Running.now().prometheus, job)
    world.COUNTS["dashboard queries answered"] = world.COUNTS.get("dashboard queries answered", 0) + answered


@each_job
def every_variable_of_the_dashboard_has_values(job):
    variables_are_answered(Running.now().prometheus, job)


@test
def every_series_that_an_alert_names_is_there():
    world.COUNTS["series of alerts found"] = alerts_are_answered(Running.now().prometheus)


def dashboard_is_answered(prometheus, job):
    empty, count = [], 0
    for title, expression in dashboard.queries(job):
        expression = filled_in(expression, job)
        if title.startswith("annotation"):
            # A change is a moment: it was there at some time of the last minutes.
            answer = prometheus.query(f"max_over_time(({expression})[10m:1s])")
        else:
            answer = prometheus.query(expression)
        count += 1
        # What is put in for nothing (`or vector(0)`) is no answer.
        for metric, matchers in world.selectors(expression):
            series = f"{metric}{{{','.join(label + operator + json.dumps(value) for label, (operator, value) in matchers.items())}}}"
            if not prometheus.query(series):
                empty.append(f"{title}: there is no {series}")
        if not any(math.isfinite(value) for _, value in answer):
            empty.append(f"{title}: {expression} is {answer}")
    assert not empty, "\n".join(empty)
    return count


def variables_are_answered(prometheus, job):
    for variable in world.dashboard(job)["templating"]["list"]:
        if variable["type"] != "query":
            continue
        series, label = re.fullmatch(r"label_values\((.*), (\w+)\)", filled_in(variable["definition"], job)).groups()
        assert prometheus.values(label, series), variable["definition"]


def alerts_are_answered(prometheus):
    """Every series that one is about, each alternative of a regular expression by itself. Thresholds are the business of `rules`."""
    found, absent = set(), []
    for alert in world.alerts():
        for metric, matchers in world.selectors(alert["expr"]):
            for series in alternatives(metric, matchers):
                if prometheus.query(series):
                    found.add(series)
                else:
                    absent.append(f"{alert['alert']}: {series}")
    absent = [line for line in absent if not any(series in line for series in NEVER)]
    assert not absent, "\n".join(absent)
    broken = [rule for rule in prometheus.rules() if rule["health"] != "ok"]
    assert not broken and len(prometheus.rules()) == len(world.alerts()), broken
    return len(found)


def alternatives(metric, matchers):
    """The series that a selector is about; what it leaves out need not be there, but the label has to."""
    each = [[]]
    for label, (operator, value) in matchers.items():
        wanted = {"=": [f'{label}="{value}"'], "=~": [f'{label}="{word}"' for word in value.split("|")]}
        each = [[*labels, one] for labels in each for one in wanted.get(operator, [f'{label}!=""'])]
    return [f"{metric}{{{','.join(labels)}}}" for labels in each]


def filled_in(expression, job):
    for name, value in {**VALUES, "$job": job}.items():
        expression = expression.replace(name, value)
    assert "$" not in expression, expression
    return expression
