"""The chart: each file of ci/, the configuration that it writes, and what it refuses. What every test of the chart uses is here, too."""

import copy
import json
import re

import claims
import world
import yaml
from world import each, one, render, test

CI = sorted((world.CHART / "ci").glob("*-values.yaml"))
BASE = yaml.safe_load((world.CHART / "ci/deployment-values.yaml").read_text())
DEFAULTS = yaml.safe_load((world.CHART / "values.yaml").read_text())


EC_KEY = {"kty": "EC", "crv": "P-256", "kid": "example", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
          "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}


def base(**values):
    """The least values that are a whole installation, and these."""
    return {**copy.deepcopy(BASE), **values}


@each(*((file.name, file) for file in CI))
def the_chart_is_linted_strictly(_, file):
    code, out, err = world.helm("lint", "--strict", str(world.CHART), "--values", str(file))
    assert code == 0 and "WARNING" not in out and "Fail" not in err, out + err


@test
def there_are_values_for_every_mode():
    modes = {yaml.safe_load(file.read_text()).get("type", "deployment") for file in CI}
    assert modes == {"deployment", "daemonset", "sidecar"}


@each(*((file.name, file) for file in CI))
def what_is_rendered_keeps_every_promise(_, file):
    values = yaml.safe_load(file.read_text())
    documents = render(values)
    names = [(document["kind"], document["metadata"]["name"]) for document in documents]
    assert len(names) == len(set(names)), names
    keeps_every_promise(documents, values)


def keeps_every_promise(documents, values):
    """All that is claimed of a release, whatever its values are."""
    if values.get("type") == "sidecar":
        return sidecar_keeps_every_promise(documents, values.get("sidecar", {}).get("socketPath"))
    (workload,) = [document for document in documents if document["kind"] in ("Deployment", "DaemonSet")]
    template = workload["spec"]["template"]
    spec, labels = template["spec"], template["metadata"]["labels"]
    container = one_claimgate(spec["containers"])
    assert workload["spec"]["selector"]["matchLabels"].items() <= labels.items()
    claims.pod_is_secure(spec, [container])
    tls = values.get("tls", {})
    claims.claimgate_runs(spec, container, scheme="HTTPS" if tls.get("admin") else None)
    (service,) = [d for d in documents if d["kind"] == "Service" and not d["metadata"]["name"].endswith("-metrics")]
    claims.service_speaks_grpc(service, labels)
    for account in (document for document in documents if document["kind"] == "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False
        assert account["metadata"]["name"] == spec["serviceAccountName"]
    for pod in (document for document in documents if document["kind"] == "Pod"):
        claims.pod_is_secure({**pod["spec"], "volumes": []})
        assert not service["spec"]["selector"].items() <= pod["metadata"]["labels"].items(), "asked like a claimgate"
    mounted, file = claims.configuration_is_mounted(spec, container)
    if "secret" in mounted or values.get("existingConfigMap"):
        assert not [d for d in documents if d["kind"] == "ConfigMap"], "a configuration that nobody reads"
        return None
    configuration = configuration_in(documents, mounted, file)
    claims.listens_where_asked(configuration, container)
    certificates = {claims.certificate_is_mounted(spec, container, configuration["listen"][listener])
                    for listener in ("tls", "admin_tls") if listener in configuration["listen"]}
    assert bool(certificates) == bool(tls.get("enabled")) and ("admin_tls" in configuration["listen"]) == bool(tls.get("admin"))
    for made in (document for document in documents if document["kind"] == "Certificate"):
        assert {made["spec"]["secretName"]} == certificates
    if values.get("persistence", {}).get("enabled", True):
        claims.state_directory_is_writable(spec, container, configuration["state_dir"])
    return configuration


def sidecar_keeps_every_promise(documents, socket=None):
    assert world.kinds(documents) == ["ConfigMap", "ConfigMap"], "there is no workload of its own"
    snippets_ = sidecar_of(documents)
    assert snippets_.keys() == {"pod.yaml", "envoy.yaml", *(["envoy-container.yaml"] if socket else [])}
    part = snippets_["pod.yaml"]
    envoy = {"name": "envoy", "image": "envoy", **snippets_.get("envoy-container.yaml", {})}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "with-envoy"},
           "spec": {**part["spec"], "containers": [envoy]}}
    # Native sidecars are there since 1.29.
    world.validate(pod, versions=("1.29", world.KUBERNETES[-1]))
    spec = part["spec"]
    container = one_claimgate(spec["initContainers"])
    assert container["restartPolicy"] == "Always", "a sidecar, and nothing that Envoy waits for until it ends"
    assert not {"runAsUser", "runAsNonRoot"} & spec["securityContext"].keys(), "Envoy keeps its own user"
    assert all(volume["name"].startswith("claimgate-") for volume in spec["volumes"]), "Envoy's pod has volumes of its own"
    claims.container_is_secure(container["securityContext"])
    claims.pod_volumes_are_safe(spec)
    claims.claimgate_runs(spec, container, ports=["admin"] if socket else ["grpc", "admin"])
    mounted, file = claims.configuration_is_mounted(spec, container)
    configuration = configuration_in(documents, mounted, file)
    claims.listens_where_asked(configuration, container, host="127.0.0.1", socket=socket)
    if socket:
        mount = claims.socket_is_shared(spec, container, socket)
        assert envoy["volumeMounts"] == [{**mount, "readOnly": True}], "the same volume, at the same place"
    address = endpoint(snippets_["envoy.yaml"])
    assert address == ({"pipe": {"path": socket}} if socket else {"socket_address": {"address": "127.0.0.1", "port_value": 9191}})
    claims.state_directory_is_writable(spec, container, configuration["state_dir"])
    return configuration


def sidecar_of(documents):
    """What the sidecar's ConfigMap has for others, by key."""
    (data,) = [document["data"] for document in documents if "pod.yaml" in document["data"]]
    return {name: world.read(text)[0] for name, text in data.items()}


def endpoint(cluster):
    """The one address of a cluster of Envoy's."""
    (locality,) = cluster["load_assignment"]["endpoints"]
    (one_of_it,) = locality["lb_endpoints"]
    return one_of_it["endpoint"]["address"]


def one_claimgate(containers):
    (container,) = [container for container in containers if container["name"] == "claimgate"]
    return container


def configuration_in(documents, mounted, file):
    """Read by claimgate itself, too."""
    text = one(documents, "ConfigMap", mounted["configMap"]["name"])["data"][file]
    world.check(text)
    return yaml.safe_load(text)


def workload_of(documents):
    return next(document for document in documents if document["kind"] in ("Deployment", "DaemonSet"))


def pod_of(documents):
    return workload_of(documents)["spec"]["template"]["spec"]


def container_of(documents):
    return one_claimgate(workload_of(documents)["spec"]["template"]["spec"]["containers"])


@test
def a_changed_configuration_makes_new_pods_where_it_should_and_the_same_one_does_not():
    def checksum(values):
        return workload_of(render(values))["spec"]["template"]["metadata"]["annotations"]["checksum/config"]

    values = base(restartOnConfigChange=True)
    changed = copy.deepcopy(values)
    changed["config"]["answers"] = {"reason_header": False}
    assert checksum(values) == checksum({**values, "log": {"level": "debug"}}) != checksum(changed)


@test
def the_configuration_may_be_text_and_is_evaluated():
    text = yaml.safe_dump(BASE["config"]).replace("https://accounts.example.com", "https://{{ .Release.Name }}.example.com")
    documents = render({"config": f"# ours\n{text}"})
    assert keeps_every_promise(documents, {})["issuers"][0]["issuer"] == "https://release.example.com"
    assert one(documents, "ConfigMap")["data"]["claimgate.yaml"].startswith("# ours\n"), "comments are kept"


@test
def an_inline_elliptic_key_arrives_whole():
    # To Helm's YAML `y` is true, and an EC key has a member of that name.
    values = base()
    values["config"]["issuers"][0].update(keys=[{"jwks": {"keys": [EC_KEY]}}], algorithms=["ES256"])
    assert "Write \"y\"" in world.refusal(values)
    as_text = {"config": yaml.safe_dump(values["config"])}
    assert keeps_every_promise(render(as_text), {})["issuers"][0]["keys"][0]["jwks"]["keys"] == [EC_KEY]


@test
def what_the_configuration_says_itself_is_left_alone():
    values = base()
    values["config"]["listen"] = {"grpc": "[::]:9191"}
    configuration = configuration_in(render(values), {"configMap": {"name": "release-claimgate"}}, "claimgate.yaml")
    assert configuration["listen"] == {"grpc": "[::]:9191", "admin": "0.0.0.0:9193"}


@test
def a_configuration_of_somebody_else_is_read_where_it_is():
    documents = render({"existingConfigMap": "theirs", "existingKey": "a.yaml"})
    keeps_every_promise(documents, {"existingConfigMap": "theirs"})
    spec = workload_of(documents)["spec"]["template"]["spec"]
    mounted, file = claims.configuration_is_mounted(spec, container_of(documents))
    assert (mounted["configMap"]["name"], file) == ("theirs", "a.yaml")
    secret = render({"existingSecret": "theirs"})
    volume = claims.volume(workload_of(secret)["spec"]["template"]["spec"], "claimgate-config")
    assert volume["secret"] == {"secretName": "theirs", "defaultMode": 0o440}


@each(
    ("no configuration", {}, "config.issuers and config.rules are needed"),
    ("no mapping", {"config": "a: [b"}, "config is no YAML mapping"),
    ("two configurations", {"existingConfigMap": "a", "existingSecret": "b"}, "one of the two"),
    ("a third one", {"existingSecret": "b", "config": {"rules": []}}, "one of the three"),
    ("a drain cut short", base(terminationGracePeriodSeconds=20), "terminationGracePeriodSeconds"),
    ("two kinds of budget", base(podDisruptionBudget={"minAvailable": 1}), "minAvailable or maxUnavailable"),
    ("daemons that scale", base(type="daemonset", autoscaling={"enabled": True}), "autoscaling is for type: deployment"),
    ("a claim for one", base(persistence={"claim": {"enabled": True}}), "ReadWriteMany"),
    ("an alert that is not", base(prometheusRule={"enabled": True, "overrides": {"Claimgate": {}}}), "there is no alert Claimgate"),
    ("a misspelled name", base(replicas=3), "replicas"),
    ("a misspelled name below", base(image={"repo": "x"}), "repo"),
    ("a wrong type", base(replicaCount="two"), "replicaCount"),
    ("a digest that is none", base(image={"digest": "sha256:abc"}), "digest"),
    ("another mode", base(type="statefulset"), "type"),
    ("a socket of a deployment", base(sidecar={"socketPath": "/run/claimgate/authz.sock"}), "sidecar.socketPath is for type: sidecar"),
    ("a socket at the root", base(type="sidecar", sidecar={"socketPath": "/authz.sock"}), "socketPath"),
    ("a socket too long", base(type="sidecar", sidecar={"socketPath": f"/run/{'a' * 104}"}), "socketPath"),
    ("TLS in one pod", base(type="sidecar", tls={"enabled": True, "existingSecret": "a"}), "no network between"),
    ("TLS without a certificate", base(tls={"enabled": True}), "whose certificate?"),
    ("a certificate for nothing", base(certManager={"certSpec": {"issuerRef": {"name": "a"}}}), "is not used"),
    ("two certificates", base(tls={"enabled": True, "existingSecret": "a"}, certManager={"certSpec": {"issuerRef": {"name": "a"}}}),
     "is not used"),
    ("clients without TLS", base(tls={"clients": {"verify": True}}), "tls.clients take tls.enabled"),
    ("names without proof", base(tls={"enabled": True, "existingSecret": "a", "clients": {"allowedSANs": ["a"]}}), "nobody has proved"),
    ("text that listens without TLS", {"config": f"listen: {{admin: '0.0.0.0:9193'}}\n{yaml.safe_dump(BASE['config'])}",
                                       "tls": {"enabled": True, "existingSecret": "a"}}, "has a listen without tls"),
    ("a probe that asks elsewhere", base(livenessProbe={"enabled": True, "httpGet": {"path": "/"}}), "httpGet"),
)
def wrong_values_are_refused_with_a_reason(_, values, reason):
    told = world.refusal(values)
    assert reason in told, told


@test
def the_schema_and_the_defaults_know_the_same_names():
    schema = json.loads((world.CHART / "values.schema.json").read_text())

    def compare(schema, values, place):
        properties = schema.get("properties")
        if not properties or schema.get("additionalProperties") is not False:
            return
        assert set(values) == set(properties) - {"global"}, (place, set(values) ^ set(properties))
        for name, value in values.items():
            if isinstance(value, dict):
                compare(properties[name], value, f"{place}.{name}")

    compare(schema, DEFAULTS, "values")


@test
def the_chart_has_the_version_of_the_program():
    chart = yaml.safe_load((world.CHART / "Chart.yaml").read_text())
    version = re.search(r'^version = "(.*)"', (world.ROOT / "Cargo.toml").read_text(), re.MULTILINE).group(1)
    assert chart["appVersion"] == version
    assert chart["kubeVersion"] == f">={world.KUBERNETES[0]}.0-0"
