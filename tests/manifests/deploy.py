"""The files in deploy/ for Kubernetes, Istio, Envoy Gateway and systemd."""

import configparser
import re
import shutil
import subprocess
import tempfile
import pathlib

import claims
import definitions
import jsonschema
import world
import yaml
from world import each, one, test

DEPLOY = world.ROOT / "deploy"


def documents_of(name):
    return world.read((DEPLOY / name).read_text())


@each(*((str(file.relative_to(DEPLOY)), file) for folder in ("istio", "envoy-gateway") for file in sorted((DEPLOY / folder).glob("*.yaml"))))
def every_manifest_is_valid(name, file):
    for document in world.read(file.read_text()):
        if name == "istio/istiod-values.yaml":
            jsonschema.validate(document, definitions.MESH)
        else:
            world.validate(document)


@test
def istio_asks_the_provider_that_the_mesh_has():
    (mesh,) = documents_of("istio/istiod-values.yaml")
    names = {provider["name"] for provider in mesh["meshConfig"]["extensionProviders"]}
    for file in ("istio/authorization-policy.yaml", "istio/ambient.yaml"):
        policy = one(documents_of(file), "AuthorizationPolicy")
        assert policy["spec"]["provider"]["name"] in names
        assert policy["spec"]["rules"] == [{}], "about every request: which ones pass is claimgate's to say"
    gateway = one(documents_of("istio/ambient.yaml"), "Gateway")
    (target,) = policy["spec"]["targetRefs"]
    assert (target["kind"], target["name"]) == ("Gateway", gateway["metadata"]["name"])
    assert "selector" not in policy["spec"], "ztunnel would refuse it"


@test
def the_same_headers_are_reserved_everywhere():
    envoy = yaml.safe_load((DEPLOY / "envoy/filter.yaml").read_text())
    (reserved,) = [one for one in envoy["http_filters"] if one["name"] == "reserved-headers"]
    (patch,) = one(documents_of("istio/reserved-headers.yaml"), "EnvoyFilter")["spec"]["configPatches"]
    assert patch["patch"]["value"] == reserved
    matchers = [one["remove_on_match"]["key_matcher"] for one in reserved["typed_config"]["mutations"]["request_mutations"]]
    policy = one(documents_of("envoy-gateway/client-traffic-policy.yaml"), "ClientTrafficPolicy")
    removed = policy["spec"]["headers"]["earlyRequestHeaders"]["removeOnMatch"]
    assert removed == [{"type": "Prefix", "value": matchers[0]["prefix"]},
                       {"type": "RegularExpression", "value": matchers[1]["safe_regex"]["regex"]}]


@test
def the_grant_lets_the_security_policy_refer_to_claimgate():
    documents = documents_of("envoy-gateway/security-policy.yaml")
    policy, grant = one(documents, "SecurityPolicy"), one(documents, "ReferenceGrant")
    (backend,) = policy["spec"]["extAuth"]["grpc"]["backendRefs"]
    assert grant["metadata"]["namespace"] == backend["namespace"]
    assert [source["namespace"] for source in grant["spec"]["from"]] == [policy["metadata"]["namespace"]]
    assert [target["name"] for target in grant["spec"]["to"]] == [backend["name"]]


@test
def the_security_policy_names_a_rule_that_the_configuration_has():
    extensions = one(documents_of("envoy-gateway/security-policy.yaml"), "SecurityPolicy")["spec"]["extAuth"]["contextExtensions"]
    (named,) = [extension["value"] for extension in extensions if extension["name"] == "claimgate.rule"]
    assert len(extensions) == 1, "claimgate reads no other"
    (configuration,) = documents_of("kubernetes/claimgate.yaml")
    assert named in {rule["name"] for rule in configuration["rules"]}


@test
def the_kustomize_base_is_whole_and_keeps_every_promise():
    (base,) = documents_of("kubernetes/kustomization.yaml")
    folder = DEPLOY / "kubernetes"
    (generated,) = base["configMapGenerator"]
    named = {*base["resources"], *generated["files"], "kustomization.yaml"}
    assert named == {file.name for file in folder.iterdir()}, "every file is used, every used file is there"
    documents = [document for file in base["resources"] for document in documents_of(f"kubernetes/{file}")]
    for document in documents:
        world.validate(document)
    template = one(documents, "Deployment")["spec"]["template"]
    spec, labels = template["spec"], template["metadata"]["labels"]
    (container,) = spec["containers"]
    claims.pod_is_secure(spec)
    claims.claimgate_runs(spec, container)
    claims.service_speaks_grpc(one(documents, "Service"), labels)
    assert spec["serviceAccountName"] == one(documents, "ServiceAccount")["metadata"]["name"]
    assert one(documents, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"].items() <= labels.items()
    mounted, file = claims.configuration_is_mounted(spec, container)
    assert (mounted["configMap"]["name"], [file]) == (generated["name"], generated["files"])
    text = (folder / file).read_text()
    world.check(text)
    configuration = yaml.safe_load(text)
    claims.listens_where_asked(configuration, container)
    claims.state_directory_is_writable(spec, container, configuration["state_dir"])


@test
def the_systemd_unit_runs_claimgate_without_any_privilege():
    unit = configparser.ConfigParser(strict=False, interpolation=None, delimiters="=")
    unit.optionxform = str
    unit.read(DEPLOY / "claimgate.service")
    service = unit["Service"]
    arguments = service["ExecStart"].split()[1:]
    assert arguments[0] == "serve"
    assert {argument.partition("=")[0] for argument in arguments[1:]} <= claims.SERVE_OPTIONS
    drain = sum(int(claims.value_of(arguments, f"--drain-{part}")) for part in ("delay", "deadline"))
    assert int(re.fullmatch(r"(\d+)s", service["TimeoutStopSec"]).group(1)) > drain
    for setting, value in {"DynamicUser": "yes", "NoNewPrivileges": "yes", "ProtectSystem": "strict",
                           "CapabilityBoundingSet": "", "StateDirectory": "claimgate", "StateDirectoryMode": "0700"}.items():
        assert service[setting] == value, setting
    # 2 is claimgate's word for a configuration that is wrong.
    assert service["RestartPreventExitStatus"] == "2"


@test
def systemd_itself_finds_nothing_wrong_with_the_unit():
    if not shutil.which("systemd-analyze"):
        print("note: there is no systemd-analyze here, so systemd itself has not read deploy/claimgate.service")
        return
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "claimgate.service"
        # It looks for the program, too.
        file.write_text((DEPLOY / "claimgate.service").read_text().replace("/usr/local/bin/claimgate", world.CLAIMGATE))
        verified = subprocess.run(["systemd-analyze", "verify", file], capture_output=True, text=True, timeout=60)
        assert verified.returncode == 0 and "claimgate.service" not in verified.stderr, verified.stderr
        version = subprocess.run(["systemd-analyze", "--version"], capture_output=True, text=True, timeout=60, check=True)
        if int(re.search(r"\d+", version.stdout).group()) < 250:
            return  # it can rate installed services only
        # 100 is a service that may do everything; this is what is left to this one.
        rated = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", file],
                               capture_output=True, text=True, timeout=60)
        assert rated.returncode == 0, rated.stdout[-200:] + rated.stderr
