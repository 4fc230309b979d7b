"""The runbook: a section for each alert and for nothing else, with the same five answers, that the alert's link leads to."""

import re

import world
from world import test

RUNBOOK = "deploy/runbooks/alerts.md"
ANSWERS = ["Means", "Users", "Look", "Do", "Page"]


@test
def every_alert_leads_to_its_section_of_the_runbook():
    sections = re.split(r"^## ", (world.ROOT / RUNBOOK).read_text(), flags=re.MULTILINE)[1:]
    sections = {title: body for title, _, body in (section.partition("\n") for section in sections)}
    assert list(sections) == [alert["alert"] for alert in world.alerts()], "the same, in the same order"
    for alert in world.alerts():
        # As GitHub and others make an anchor of a heading.
        assert alert["annotations"]["runbook_url"] == f"{RUNBOOK}#{alert['alert'].lower()}"
        body = sections[alert["alert"]]
        assert re.findall(r"^\*\*(\w+)\.\*\*", body, re.MULTILINE) == ANSWERS, alert["alert"]
        page = re.search(r"^\*\*Page\.\*\* (\w+)", body, re.MULTILINE).group(1)
        severity = alert["labels"]["severity"]
        assert (page == "Yes") == (severity == "critical"), f"{alert['alert']} is {severity}"
    world.COUNTS["runbook sections"] = len(sections)
