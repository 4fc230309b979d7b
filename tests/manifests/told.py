"""What the chart tells others: Prometheus, by alerts and monitors; `helm test`; and people, by its notes."""

import json
import re
import shutil
import tempfile
import textwrap

import chart
import definitions
import jsonschema
import world
import yaml
from world import each, one, render, test

OBSERVED = world.ROOT / "deploy/observability"


@each(("alerts.yaml",), ("dashboard.json",))
def the_chart_has_what_is_shipped_without_it(name):
    """Helm reads nothing outside of a chart."""
    assert (world.CHART / "files" / name).read_bytes() == (OBSERVED / name).read_bytes(), f"cp deploy/observability/{name} helm/claimgate/files/"


@test
def by_default_the_alerts_are_those_that_are_shipped_but_for_whose_series_they_are_about():
    (shipped,) = yaml.safe_load((OBSERVED / "alerts.yaml").read_text())["groups"]
    documents = render(chart.base(prometheusRule={"enabled": True, "selector": 'job="claimgate"'}))
    (group,) = one(documents, "PrometheusRule")["spec"]["groups"]
    by_pod = [{**alert, "annotations": {**alert["annotations"], "summary": alert["annotations"]["summary"].replace(".instance", ".pod")}}
              for alert in shipped["rules"]]
    assert group["rules"] == by_pod


@test
def every_alert_is_about_the_pods_of_this_release_only():
    # That its metrics, labels and words are claimgate's is tested with those that are shipped.
    (group,) = one(render(chart.base(prometheusRule={"enabled": True})), "PrometheusRule")["spec"]["groups"]
    for alert in group["rules"]:
        series = re.findall(r"\b(?:claimgate|process)_[a-z_]+(\{[^}]*\})?", alert["expr"])
        assert series and all('namespace="authz",pod=~"release-claimgate-.*"' in selector for selector in series), alert["expr"]


@test
def thresholds_and_the_place_of_the_runbook_are_values():
    given = {"staleRatio": 0.75, "unknownKidsPerSecond": 20, "deniedRatio": 0.25, "p99Seconds": 0.00001}
    rule = {"enabled": True, "thresholds": given, "runbookPrefix": "https://runbooks.example.com/"}
    (group,) = one(render(chart.base(prometheusRule=rule)), "PrometheusRule")["spec"]["groups"]
    alerts = {alert["alert"]: alert for alert in group["rules"]}
    names = ("ClaimgateNoSuccessfulRefresh", "ClaimgateUnknownKids", "ClaimgateDenialsJump", "ClaimgateSlow")
    assert [float(alerts[name]["expr"].rpartition(" > ")[2]) for name in names] == list(given.values())
    url = "https://runbooks.example.com/deploy/runbooks/alerts.md#claimgateslow"
    assert alerts["ClaimgateSlow"]["annotations"]["runbook_url"] == url


@test
def the_dashboard_arrives_whole_where_grafanas_sidecar_looks():
    dashboards = {"enabled": True, "annotations": {"grafana_folder": "Access"}}
    made = one(render(chart.base(dashboards=dashboards)), "ConfigMap", "release-claimgate-dashboard")
    assert made["metadata"]["labels"]["grafana_dashboard"] == "1" and made["metadata"]["annotations"] == {"grafana_folder": "Access"}
    assert json.loads(made["data"]["claimgate.json"]) == json.loads((OBSERVED / "dashboard.json").read_text())


@test
def alerts_can_be_changed_turned_off_and_added_to():
    overrides = {"ClaimgateSlow": {"for": "1h", "severity": "info"}, "ClaimgateKeysStale": {"enabled": False}}
    rule = {"enabled": True, "overrides": overrides, "extraRules": [{"record": "a", "expr": "b"}], "selector": 'job="x"'}
    (group,) = one(render(chart.base(prometheusRule=rule)), "PrometheusRule")["spec"]["groups"]
    alerts = {alert.get("alert", alert.get("record")): alert for alert in group["rules"]}
    assert "ClaimgateKeysStale" not in alerts and "a" in alerts
    assert alerts["ClaimgateSlow"]["for"] == "1h" and alerts["ClaimgateSlow"]["labels"] == {"severity": "info"}
    assert 'claimgate_build_info{job="x"}' in alerts["ClaimgateAbsent"]["expr"]


@test
def monitors_find_the_admin_port_and_nothing_else_has_it():
    documents = render(chart.base(metrics={"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}}))
    service = one(documents, "Service", "release-claimgate-metrics")
    monitor = one(documents, "ServiceMonitor")["spec"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    other = one(documents, "Service", "release-claimgate")
    assert not monitor["selector"]["matchLabels"].items() <= other["metadata"]["labels"].items()
    assert monitor["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"] != "grpc"
    assert service["spec"]["ports"][0]["targetPort"] == "admin"
    pods = one(documents, "PodMonitor")["spec"]
    assert pods["podMetricsEndpoints"][0]["port"] == "admin"
    assert pods["selector"]["matchLabels"].items() <= chart.workload_of(documents)["spec"]["template"]["metadata"]["labels"].items()


@test
def the_test_pod_asks_through_the_service():
    documents = render(chart.base(service={"port": 50051}))
    pod = one(documents, "Pod")
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    arguments = pod["spec"]["containers"][0]["args"]
    assert (arguments[0], arguments[-1]) == ("probe", "release-claimgate.authz:50051")
    options = {argument.partition("=")[0] for argument in arguments[1:-1]}
    assert options <= world.options_of("probe")


@test
def the_notes_have_snippets_that_fit_the_release():
    notes = notes_of(chart.base(service={"port": 50051}))
    (mesh,), (policy,), (security,) = (world.read(snippet) for snippet in snippets(notes))
    jsonschema.validate(mesh, definitions.MESH)
    (provider,) = mesh["meshConfig"]["extensionProviders"]
    assert provider["envoyExtAuthzGrpc"]["service"] == "release-claimgate.authz.svc.cluster.local"
    assert provider["envoyExtAuthzGrpc"]["port"] == 50051
    world.validate(policy)
    world.validate(security)
    assert policy["spec"]["provider"]["name"] == provider["name"]
    assert security["spec"]["extAuth"]["grpc"]["backendRefs"] == [{"name": "release-claimgate", "port": 50051}]
    sidecar = notes_of(chart.base(type="sidecar"))
    assert "release-claimgate-sidecar" in sidecar and "127.0.0.1:9191" in sidecar
    path = "/run/claimgate/authz.sock"
    assert path in notes_of(chart.base(type="sidecar", sidecar={"socketPath": path}))


@test
def the_notes_say_how_envoys_ask_over_tls():
    def rules(**clients):
        secure = chart.base(tls={"enabled": True, "existingSecret": "theirs", "clients": clients})
        *_, rule, policy = (world.read(snippet)[0] for snippet in snippets(notes_of(secure)))
        world.validate(rule)
        world.validate(policy)
        assert rule["spec"]["host"] == "release-claimgate.authz.svc.cluster.local"
        # A name that the chart's own certificate has.
        assert rule["spec"]["trafficPolicy"]["tls"]["subjectAltNames"] == [policy["spec"]["validation"]["hostname"]]
        (target,) = policy["spec"]["targetRefs"]
        assert (target["kind"], target["name"]) == ("Service", "release-claimgate")
        return rule["spec"]["trafficPolicy"]["tls"]

    made = chart.base(tls={"enabled": True}, certManager={"certSpec": {"issuerRef": {"name": "mesh"}}})
    names = one(render(made), "Certificate")["spec"]["dnsNames"]
    assert set(rules()["subjectAltNames"]) <= set(names) and rules()["mode"] == "SIMPLE"
    mutual = rules(verify=True)
    assert mutual["mode"] == "MUTUAL" and {"clientCertificate", "privateKey"} <= mutual.keys()


def notes_of(values):
    """`helm template` leaves the notes out, and everything else asks a cluster: a copy of the chart has them in a ConfigMap."""
    with tempfile.TemporaryDirectory() as folder:
        copied = shutil.copytree(world.CHART, f"{folder}/claimgate")
        shutil.copy(f"{copied}/templates/NOTES.txt", f"{copied}/notes.txt")
        with open(f"{copied}/templates/notes.yaml", "w") as file:
            file.write("kind: Notes\ntext: {{ tpl (.Files.Get \"notes.txt\") . | quote }}\n")
        code, out, err = world.helm("template", "release", copied, "--namespace", "authz", values=values)
    assert code == 0, err
    return one(world.read(out), "Notes")["text"]


def snippets(text):
    """The indented YAML in a text for people: what begins with a key that a manifest or a mesh begins with."""
    blocks = re.findall(r"(?:^  .*\n|^\n(?=  ))+", text, re.MULTILINE)
    blocks = (textwrap.dedent(block).strip() for block in blocks)
    return [block for block in blocks if re.match(r"(apiVersion|meshConfig):", block)]
