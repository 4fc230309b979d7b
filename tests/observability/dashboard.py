"""The dashboards' JSON, as far as it can be read without Grafana: that nothing is there twice, overlaps or leads nowhere, and that
they show every metric that there is. `answered` asks their queries."""

import itertools
import re

import world
from world import each_job, test

# Grafana's own.
BUILT_IN = {"__rate_interval", "__interval", "__range"}
COLUMNS = 24


@each_job
def panels_have_a_place_and_a_name_of_their_own(job):
    panels = world.dashboard(job)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] >= 0 and place["w"] > 0 and place["h"] > 0 and place["x"] + place["w"] <= COLUMNS, panel["title"]
        assert (panel["type"] == "row") == ("targets" not in panel), panel["title"]
    for one, other in itertools.combinations(panels, 2):
        a, b = one["gridPos"], other["gridPos"]
        apart = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"] or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert apart, f"{one['title']} overlaps {other['title']}"
    rows = [panel for panel in panels if panel["type"] == "row"]
    for title, among in (("rows", rows), ("panels", [panel for panel in panels if panel not in rows])):
        assert len({panel["title"] for panel in among}) == len(among), f"two {title} have the same title"
    # A row's panels are those below it: the list is in the order of reading.
    order = [(panel["gridPos"]["y"], panel["gridPos"]["x"]) for panel in panels]
    assert order == sorted(order)


@each_job
def every_query_is_asked_of_the_chosen_prometheus_and_every_variable_is_there(job):
    board = world.dashboard(job)
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    assert len(variables) == len(board["templating"]["list"])
    assert (variables["datasource"]["type"], variables["datasource"]["query"]) == ("datasource", "prometheus")
    asked = {"type": "prometheus", "uid": "${datasource}"}
    queried = [variable for variable in variables.values() if variable["type"] == "query"]
    parts = [*queried, *board["annotations"]["list"]]
    for panel in board["panels"]:
        targets = panel.get("targets", [])
        assert len({target["refId"] for target in targets}) == len(targets)
        parts += [panel, *targets] if targets else []
    assert all(part["datasource"] == asked for part in parts)
    used = set(re.findall(r"\$\{?(\w+)", world.DASHBOARDS[job].read_text())) - {"__all"}
    assert used <= variables.keys() | BUILT_IN, used - variables.keys() - BUILT_IN
    assert variables.keys() <= used, f"not used: {variables.keys() - used}"
    # Each is asked with those before it only.
    names = list(variables)
    for place, variable in enumerate(queried, start=names.index(queried[0]["name"])):
        assert set(re.findall(r"\$(\w+)", variable["definition"])) <= set(names[:place]), variable["name"]
        assert variable["query"] == {"query": variable["definition"], "refId": variable["name"]}


@each_job
def it_shows_every_metric_with_labels_that_it_has_and_of_the_chosen_processes_only(job):
    known, own, shown = world.documented(), world.documented(job), set()
    assert len(own) > 10 and len(known) > 50, known
    for title, expression in queries(job):
        for metric, matchers in world.selectors(expression):
            kind, labels = known[world.base(metric)]
            shown.add(world.base(metric))
            assert matchers.pop("job") == ("=~", "$job") and matchers.pop("instance") == ("=~", "$instance"), title
            assert matchers.keys() <= labels, (title, matchers.keys() - labels)
            assert (kind == "histogram") == (metric != world.base(metric)), f"{title}: {metric} is a {kind}"
    missing = own.keys() - shown
    assert not missing, f"on no panel: {missing}"


@test
def no_two_dashboards_take_each_others_place():
    for member in ("uid", "title"):
        assert len({world.dashboard(job)[member] for job in world.DASHBOARDS}) == len(world.DASHBOARDS), member


def queries(job):
    """(what for, PromQL) of each."""
    board = world.dashboard(job)
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            yield f"{panel['title']} {target['refId']}", target["expr"]
    for annotation in board["annotations"]["list"]:
        yield f"annotation {annotation['name']}", annotation["expr"]
