"""The alert rules: that promtool takes them, and that each fires in the worlds of `cases` where it should and in no other."""

import json
import pathlib
import re
import subprocess
import tempfile

import world
from cases import CASES
from issuer_cases import CASES as ISSUER_CASES
from world import test


@test
def promtool_takes_the_rules():
    for job, file in world.ALERTS.items():
        said = promtool("check", "rules", "--lint=all", "--lint-fatal", str(file))
        assert f"SUCCESS: {len(world.alerts(job))} rules found" in said, said


@test
def every_alert_fires_when_it_should_and_not_else():
    alerts = {alert["alert"]: alert for alert in world.alerts()}
    assert len(alerts) == len(world.alerts()), "two have the same name"
    all_cases = {**CASES, **ISSUER_CASES}
    assert alerts.keys() == all_cases.keys(), alerts.keys() ^ all_cases.keys()
    groups, fired, quiet = [], 0, 0
    for name, cases in all_cases.items():
        assert any("labels" in case for case in cases) and any("labels" not in case for case in cases), f"{name}: one of each"
        for case in cases:
            groups.append(group(alerts[name], case))
            fired, quiet = fired + ("labels" in case), quiet + ("labels" not in case)
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "alerts.test.yaml")
        file.write_text(json.dumps({"rule_files": [str(file) for file in world.ALERTS.values()], "evaluation_interval": "1m", "tests": groups}))
        said = promtool("test", "rules", str(file))
    assert "SUCCESS" in said, said
    world.COUNTS["alert rules tested"] = len(alerts)
    world.COUNTS["worlds in which an alert fires"] = fired
    world.COUNTS["worlds in which it does not"] = quiet


def group(alert, case):
    """A test as promtool reads it."""
    expected = []
    if "labels" in case:
        told = {**alert["annotations"], "summary": case["summary"]}
        expected = [{"exp_labels": {**alert["labels"], **case["labels"]}, "exp_annotations": told}]
    return {
        "name": f"{alert['alert']} at minute {case['at']}",
        "interval": "1m",
        "input_series": [{"series": series, "values": values} for series, values in case["series"]],
        "alert_rule_test": [{"eval_time": f"{case['at']}m", "alertname": alert["alert"], "exp_alerts": expected}],
    }


@test
def every_alert_says_what_how_bad_and_where_to_read_on():
    for alert in world.alerts():
        assert alert.keys() == {"alert", "expr", "for", "labels", "annotations"}, alert
        assert alert["labels"].keys() == {"severity"} and alert["labels"]["severity"] in ("critical", "warning", "info"), alert
        told = alert["annotations"]
        assert told.keys() == {"summary", "description", "runbook_url"}, alert
        assert "{{" not in told["description"], "the same each time: what differs is in the summary"
        assert len(told["summary"]) < 160, told["summary"]


@test
def every_alert_is_about_metrics_labels_and_words_that_there_are():
    known, code = world.documented(), words_of_the_code()
    for job, alert in ((job, alert) for job in world.ALERTS for alert in world.alerts(job)):
        named = world.selectors(alert["expr"])
        assert named, alert["alert"]
        for metric, matchers in named:
            _, labels = known[world.base(metric)]
            assert matchers.pop("job", None) == ("=", job), f"{alert['alert']}: {metric} of any job"
            assert matchers.keys() <= labels, (alert["alert"], metric, matchers.keys() - labels)
            for _, value in matchers.values():
                assert set(value.split("|")) <= code, (alert["alert"], value)


def words_of_the_code():
    """Whatever stands in quotes in claimgate, the words of label values among it."""
    return {word for file in (world.ROOT / "src").rglob("*.rs") for word in re.findall(r'"([a-z_]+)"', file.read_text())}


def promtool(*arguments):
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
