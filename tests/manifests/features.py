"""The chart's features: each on and off, where it shows, and that it takes nothing else away."""

import chart
import claims
import world
import yaml
from world import each, one, render, test

# A feature: its name, the values that turn it on, and what is then there (kinds), over what chart.BASE gives.
EVERY = ["ConfigMap", "Deployment", "Pod", "PodDisruptionBudget", "Service", "ServiceAccount"]
FEATURES = (
    ("autoscaling", {"autoscaling": {"enabled": True}}, ["HorizontalPodAutoscaler"]),
    ("a claim", {"persistence": {"claim": {"enabled": True, "accessModes": ["ReadWriteMany"]}}}, ["PersistentVolumeClaim"]),
    ("an existing claim", {"persistence": {"existingClaim": "{{ .Release.Name }}-keys"}}, []),
    ("extra objects", {"extraObjects": [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}}]}, ["Namespace"]),
    ("a network policy", {"networkPolicy": {"enabled": True}}, ["NetworkPolicy"]),
    ("a service for metrics", {"metrics": {"service": {"enabled": True}}}, ["Service"]),
    ("a service monitor", {"metrics": {"serviceMonitor": {"enabled": True}}}, ["Service", "ServiceMonitor"]),
    ("a pod monitor", {"metrics": {"podMonitor": {"enabled": True}}}, ["PodMonitor"]),
    ("alerts", {"prometheusRule": {"enabled": True}}, ["PrometheusRule"]),
    ("a dashboard", {"dashboards": {"enabled": True}}, ["ConfigMap"]),
    ("no test", {"test": {"enabled": False}}, ["-Pod"]),
    ("no service account", {"serviceAccount": {"create": False}}, ["-ServiceAccount"]),
    ("no budget", {"podDisruptionBudget": {"enabled": False}}, ["-PodDisruptionBudget"]),
    ("one replica", {"replicaCount": 1}, ["-PodDisruptionBudget"]),
    ("nothing kept", {"persistence": {"enabled": False}}, []),
    ("no probes", {probe: {"enabled": False} for probe in ("startupProbe", "livenessProbe", "readinessProbe")}, []),
    ("other ports", {"ports": {"grpc": 7001, "admin": 7002}, "service": {"port": 50051}}, []),
    ("a restart", {"restartOnConfigChange": True}, []),
    ("headless", {"service": {"clusterIP": "None"}}, []),
    ("TLS", {"tls": {"enabled": True, "existingSecret": "theirs"}}, ["-Pod"]),
    ("TLS for admin", {"tls": {"enabled": True, "existingSecret": "theirs", "admin": True}}, ["-Pod"]),
    ("mutual TLS", {"tls": {"enabled": True, "existingSecret": "theirs", "clients": {"verify": True, "allowedSANs": ["envoy.example"]}}},
     ["-Pod"]),
    ("a certificate", {"tls": {"enabled": True}, "certManager": {"certSpec": {"issuerRef": {"name": "mesh"}}}}, ["Certificate", "-Pod"]),
)


@each(*FEATURES)
def a_feature_adds_what_it_says_and_nothing_else(name, values, difference):
    documents = render(chart.base(**values))
    expected = sorted(set(EVERY) - {kind[1:] for kind in difference if kind[0] == "-"})
    expected += [kind for kind in difference if kind[0] != "-"]
    assert world.kinds(documents) == sorted(expected), world.kinds(documents)
    if name != "no probes":
        chart.keeps_every_promise(documents, values)


@test
def without_any_feature_there_is_the_least():
    documents = render(chart.base())
    assert world.kinds(documents) == EVERY
    assert "state_dir" in chart.keeps_every_promise(documents, {})
    assert "annotations" not in chart.workload_of(documents)["spec"]["template"]["metadata"], "a change restarts nothing"


@test
def features_show_where_they_should():
    scaled = render(chart.base(autoscaling={"enabled": True}))
    assert "replicas" not in chart.workload_of(scaled)["spec"], "two would set it"
    assert not {"startupProbe", "livenessProbe"} & chart.container_of(render(chart.base(
        startupProbe={"enabled": False}, livenessProbe={"enabled": False}))).keys()
    forgetful = chart.keeps_every_promise(render(chart.base(persistence={"enabled": False})), {"persistence": {"enabled": False}})
    assert "state_dir" not in forgetful
    daemons = render(chart.base(type="daemonset"))
    assert one(daemons, "Service")["spec"]["internalTrafficPolicy"] == "Local", "asked by the Envoys of its node only"
    spread = chart.workload_of(render(chart.base()))["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert all(one["labelSelector"]["matchLabels"] for one in spread)
    assert "topologySpreadConstraints" not in chart.pod_of(render(chart.base(topologySpreadConstraints=[])))


# Values that go into the pod as they are: the value, where it is then (a key of the pod's or of claimgate's container), and an example.
POD = (
    ("nodeSelector", "pod", "nodeSelector", {"disk": "fast"}),
    ("tolerations", "pod", "tolerations", [{"key": "infra", "operator": "Exists"}]),
    ("affinity", "pod", "affinity", {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}),
    ("priorityClassName", "pod", "priorityClassName", "system-cluster-critical"),
    ("imagePullSecrets", "pod", "imagePullSecrets", [{"name": "pull"}]),
    ("hostAliases", "pod", "hostAliases", [{"ip": "192.0.2.1", "hostnames": ["accounts.example.com"]}]),
    ("dnsConfig", "pod", "dnsConfig", {"options": [{"name": "ndots", "value": "1"}]}),
    ("initContainers", "pod", "initContainers", [{"name": "first", "image": "first"}]),
    ("lifecycle", "container", "lifecycle", {"preStop": {"sleep": {"seconds": 1}}}),
    ("extraEnv", "container", "env", [{"name": "A", "value": "b"}]),
    ("envFrom", "container", "envFrom", [{"secretRef": {"name": "environment"}}]),
)


@each(*POD)
def a_value_of_the_pod_is_in_it_and_not_there_by_default(name, place, key, value):
    def shown(documents):
        return (chart.container_of(documents) if place == "container" else chart.pod_of(documents)).get(key)

    versions = ("1.30", world.KUBERNETES[-1]) if name == "lifecycle" else world.KUBERNETES  # `sleep` came then
    code, out, err = world.helm("template", "release", str(world.CHART), values=chart.base(**{name: value}))
    assert code == 0, err
    documents = world.read(out)
    for document in documents:
        world.validate(document, versions)
    assert shown(documents) == value
    assert shown(render(chart.base())) is None


@test
def what_is_put_beside_what_the_chart_has_takes_nothing_away():
    extra = {"extraContainers": [{"name": "second", "image": "second"}], "extraVolumes": [{"name": "more", "emptyDir": {}}],
             "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}], "extraArgs": ["--reflection"],
             "podLabels": {"mesh": "no"}, "podAnnotations": {"note": "none"}, "commonLabels": {"team": "a"},
             "commonAnnotations": {"owner": "b"}, "minReadySeconds": 3, "revisionHistoryLimit": 1,
             "strategy": {"type": "Recreate"}, "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}}}
    plain, documents = render(chart.base()), render(chart.base(**extra))
    chart.keeps_every_promise(documents, {})
    before, after = chart.pod_of(plain), chart.pod_of(documents)
    assert after["containers"][1:] == extra["extraContainers"]
    assert after["volumes"] == before["volumes"] + extra["extraVolumes"]
    assert chart.container_of(documents)["volumeMounts"] == chart.container_of(plain)["volumeMounts"] + extra["extraVolumeMounts"]
    assert chart.container_of(documents)["args"] == chart.container_of(plain)["args"] + extra["extraArgs"]
    assert chart.container_of(documents)["resources"] == extra["resources"]
    spec = chart.workload_of(documents)["spec"]
    assert (spec["minReadySeconds"], spec["revisionHistoryLimit"], spec["strategy"]) == (3, 1, {"type": "Recreate"})
    metadata = spec["template"]["metadata"]
    assert metadata["labels"]["mesh"] == "no" and metadata["annotations"] == {"note": "none"}
    for document in documents:
        assert document["metadata"]["labels"]["team"] == "a" and document["metadata"]["annotations"]["owner"] == "b"


@test
def what_scales_and_what_protects_is_about_the_pods_of_the_release():
    values = chart.base(autoscaling={"enabled": True, "minReplicas": 3, "targetMemoryUtilizationPercentage": 80},
                  networkPolicy={"enabled": True, "ingress": {"from": [{"podSelector": {}}]}})
    documents = render(values)
    workload, pods = chart.workload_of(documents), chart.workload_of(documents)["spec"]["selector"]
    scaler = one(documents, "HorizontalPodAutoscaler")["spec"]
    assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": workload["metadata"]["name"]}
    assert [metric["resource"]["name"] for metric in scaler["metrics"]] == ["cpu", "memory"] and scaler["minReplicas"] == 3
    budget = one(documents, "PodDisruptionBudget")["spec"]
    assert budget["selector"] == pods and budget["maxUnavailable"] == 1
    policy = one(documents, "NetworkPolicy")["spec"]
    assert policy["podSelector"] == pods and policy["policyTypes"] == ["Ingress", "Egress"]
    asked, scraped = policy["ingress"]
    ports = {port["name"]: port["containerPort"] for port in chart.container_of(documents)["ports"]}
    assert asked == {"ports": [{"port": ports["grpc"], "protocol": "TCP"}], "from": [{"podSelector": {}}]}
    assert scraped == {"ports": [{"port": ports["admin"], "protocol": "TCP"}]}
    assert {port["port"] for rule in policy["egress"] for port in rule["ports"]} == {53, 443}, "names and providers"
    anywhere = one(render(chart.base(networkPolicy={"enabled": True, "egress": None})), "NetworkPolicy")["spec"]
    assert anywhere["policyTypes"] == ["Ingress"] and "egress" not in anywhere


@test
def the_image_and_the_account_are_the_ones_that_are_named():
    def image(**given):
        return chart.container_of(render(chart.base(image=given)))["image"]

    assert image() == f"claimgate:{yaml.safe_load((world.CHART / 'Chart.yaml').read_text())['appVersion']}"
    assert image(registry="registry.example.com", repository="a/b", tag="1") == "registry.example.com/a/b:1"
    assert image(tag="1", digest=f"sha256:{'0' * 64}") == f"claimgate@sha256:{'0' * 64}", "what is written comes before what is called so"
    documents = render(chart.base(serviceAccount={"name": "runner", "annotations": {"a": "b"}}))
    assert one(documents, "ServiceAccount", "runner")["metadata"]["annotations"] == {"a": "b"}
    assert chart.pod_of(documents)["serviceAccountName"] == "runner"
    assert chart.pod_of(render(chart.base(serviceAccount={"create": False})))["serviceAccountName"] == "default"
    assert one(render(chart.base(fullnameOverride="authz")), "Deployment")["metadata"]["name"] == "authz"


@test
def tls_shows_where_it_should_and_what_is_given_comes_first():
    values = chart.base(tls={"enabled": True, "existingSecret": "theirs", "admin": True, "minVersion": "1.3", "mountPath": "/certificates",
                       "clients": {"verify": True, "ca": "authorities.pem", "allowedSANs": ["spiffe://{{ .Release.Name }}/*"]}},
                  metrics={"serviceMonitor": {"enabled": True, "tlsConfig": {"serverName": "a"}}})
    documents = render(values)
    listen = chart.keeps_every_promise(documents, values)["listen"]
    files = {"cert_file": "/certificates/tls.crt", "key_file": "/certificates/tls.key", "min_version": "1.3"}
    assert listen["admin_tls"] == files, "the kubelet has no certificate to show"
    assert listen["tls"] == {**files, "client_ca_file": "/certificates/authorities.pem", "allowed_client_sans": ["spiffe://release/*"]}
    (scraped,) = one(documents, "ServiceMonitor")["spec"]["endpoints"]
    assert (scraped["scheme"], scraped["tlsConfig"]) == ("https", {"serverName": "a"})
    plain = render(chart.base(metrics={"podMonitor": {"enabled": True}}))
    assert "scheme" not in one(plain, "PodMonitor")["spec"]["podMetricsEndpoints"][0]
    values["config"]["listen"] = {"tls": {"min_version": "1.2"}, "max_connection_age": "5m"}
    listen = chart.keeps_every_promise(render(values), values)["listen"]
    assert listen["tls"]["min_version"] == "1.2" and listen["max_connection_age"] == "5m"
    theirs = render({"existingConfigMap": "theirs", "tls": {"enabled": True, "existingSecret": "certificates"}})
    spec = chart.workload_of(theirs)["spec"]["template"]["spec"]
    assert claims.volume(spec, "claimgate-tls")["secret"]["secretName"] == "certificates", "there for their listen.tls"
