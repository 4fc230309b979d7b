"""What the tests use: the registry of tests, Helm, claimgate, and the validation of any manifest. Decides nothing itself."""

import copy
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import jsonschema
import kubernetes_validate
import yaml

import definitions

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "helm/claimgate"
HELM = os.environ["HELM"]
CLAIMGATE = str(pathlib.Path(os.environ["CLAIMGATE"]).resolve())
SCHEMA = json.loads((ROOT / "deploy/claimgate.schema.json").read_text())

sys.path.append(str(ROOT / "tests/leaks"))
import kept  # noqa: E402  for the search of tests/leaks

# The oldest Kubernetes that Chart.yaml admits, and the newest whose schemas there are.
KUBERNETES = ("1.27", "1.37")

TESTS = []
VALIDATED = RENDERED = CHECKED = 0


def test(function):
    """Registers a test."""
    TESTS.append((function.__name__, function))
    return function


def each(*cases):
    """Registers a test for each case; a case is a tuple whose first part names it."""

    def register(function):
        for case in cases:
            TESTS.append((f"{function.__name__}: {case[0]}", lambda case=case: function(*case)))
        return function

    return register


def helm(*arguments, values=None):
    """Runs Helm; values, a mapping, are given as a file. Returns (exit code, stdout, stderr)."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        if values is not None:
            yaml.safe_dump(values, file)  # `y` without quotes, as people write it
            file.flush()
            arguments = (*arguments, "--values", file.name)
        # Neither a cluster nor this user's configuration of Helm may have a part in it.
        environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "KUBECONFIG": "/nonexistent"}
        done = subprocess.run([HELM, *arguments], capture_output=True, text=True, env=environment, timeout=60, cwd=ROOT)
    return done.returncode, done.stdout, done.stderr


def render(values, *arguments):
    """The chart's documents. Each is validated, and every claim that holds for all of them is tested."""
    global RENDERED
    code, out, err = helm("template", "release", str(CHART), "--namespace", "authz", *arguments, values=values)
    assert code == 0, err
    RENDERED += 1
    documents = read(out)
    for document in documents:
        validate(document)
    return documents


def refusal(values):
    """What Helm says when it refuses these values."""
    code, _, err = helm("template", "release", str(CHART), values=values)
    assert code != 0, "rendered"
    return err


def read(text):
    """All YAML documents of a text, each a mapping without a key given twice."""
    documents = [document for document in yaml.load_all(text, Loader=StrictLoader) if document is not None]
    assert all(isinstance(document, dict) for document in documents), documents
    return documents


class StrictLoader(yaml.SafeLoader):
    """Refuses a key that is given twice: PyYAML takes the last, Kubernetes refuses the manifest."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        assert len(keys) == len(set(keys)), f"a key is given twice in {keys}{node.start_mark}"
        return super().construct_mapping(node, deep)


def validate(document, versions=KUBERNETES):
    """Against Kubernetes' own schemas; what is no part of Kubernetes, against ours."""
    global VALIDATED
    name = f"{document['kind']} {document['metadata']['name']}"
    labels = document["metadata"].get("labels", {}).values()
    assert all(re.fullmatch(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?", value) for value in labels), (name, labels)
    kind = (document["apiVersion"].rsplit("/", 1)[0], document["kind"])
    if kind in definitions.CUSTOM:
        jsonschema.validate(document, definitions.CUSTOM[kind])
    else:
        for version in versions:
            kubernetes_validate.validate(without_newer_fields(document, version), version, strict=True)
    VALIDATED += 1


def without_newer_fields(document, version):
    """An old API server drops these fields, which is what they were made for; their schema does not know them yet."""
    if document["kind"] == "Service" and version == "1.27" and "trafficDistribution" in document["spec"]:
        document = copy.deepcopy(document)
        del document["spec"]["trafficDistribution"]
    return document


def check(configuration):
    """A configuration that `claimgate check` and the JSON Schema take for right; a wrong one fails the test."""
    global CHECKED
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(configuration)
        file.flush()
        done = kept.done(subprocess.run([CLAIMGATE, "check", file.name], capture_output=True, text=True, timeout=30))
    assert done.returncode == 0, f"{done.stderr}\nin\n{configuration}"
    jsonschema.validate(yaml.load(configuration, Loader=StrictLoader), SCHEMA)
    CHECKED += 1


def is_accepted(configuration):
    """What claimgate and what its JSON Schema say of a configuration, a mapping."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(json.dumps(configuration))
        file.flush()
        done = kept.done(subprocess.run([CLAIMGATE, "check", file.name], capture_output=True, text=True, timeout=30))
    assert done.returncode in (0, 2), done.stderr
    return done.returncode == 0, jsonschema.Draft202012Validator(SCHEMA).is_valid(configuration)


def options_of(subcommand):
    """The long options that a subcommand knows."""
    done = subprocess.run([CLAIMGATE, subcommand, "--help"], capture_output=True, text=True, timeout=30, check=True)
    return set(re.findall(r"--[a-z][a-z-]*", done.stdout))


def one(documents, kind, name=None):
    """The one document of this kind, and of this name if it is given."""
    found = [d for d in documents if d["kind"] == kind and (name is None or d["metadata"]["name"] == name)]
    assert len(found) == 1, f"{len(found)} {kind} {name or ''}"
    return found[0]


def kinds(documents):
    """The kinds, sorted, each as often as it is there."""
    return sorted(document["kind"] for document in documents)
