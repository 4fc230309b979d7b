"""The container that the chart describes, run here as a process: its arguments, its configuration, its probes, and beside a real
Envoy the socket between the two. On loopback and on free ports; what only a cluster has (users, volumes, a network) is not there."""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import chart
import claims
import world
import yaml
from world import test

# Nothing that is waited for takes this long unless it never comes.
PATIENCE = 20


@test
def what_the_chart_starts_serves_is_found_ready_by_its_own_probes_and_ends_in_good_order():
    with tempfile.TemporaryDirectory() as folder:
        grpc, admin = free_ports()
        documents = world.render(values_for(folder, ports={"grpc": grpc, "admin": admin}))
        with started(chart.container_of(documents), documents, folder) as process:
            assert_serving(f"127.0.0.1:{grpc}")
            process.terminate()
            assert process.wait(PATIENCE) == 0


@test
def what_the_sidecar_starts_is_asked_by_envoy_through_its_socket():
    with tempfile.TemporaryDirectory() as folder:
        admin, ingress = free_ports()
        socket_path = f"{folder}/run/authz.sock"
        pathlib.Path(folder, "run").mkdir()
        documents = world.render(values_for(folder, type="sidecar", sidecar={"socketPath": socket_path}, ports={"admin": admin}))
        parts = chart.sidecar_of(documents)
        with started(chart.one_claimgate(parts["pod.yaml"]["spec"]["initContainers"]), documents, folder):
            assert_serving(f"unix://{socket_path}")
            # As the chart's ConfigMap says: the shipped configuration, and its cluster with the address that is there.
            configuration = yaml.safe_load((world.ROOT / "deploy/envoy/sidecar.yaml").read_text())
            resources = configuration["static_resources"]
            (listener,) = resources["listeners"]
            listener["address"]["socket_address"] = {"address": "127.0.0.1", "port_value": ingress}
            (cluster,) = [cluster for cluster in resources["clusters"] if cluster["name"] == "claimgate"]
            cluster.update(parts["envoy.yaml"])
            file = pathlib.Path(folder, "envoy.yaml")
            file.write_text(json.dumps(configuration))
            envoy = [os.environ["ENVOY"], "--use-dynamic-base-id", "--concurrency", "1", "--log-level", "error", "-c", str(file)]
            with running(envoy, folder, "envoy") as process:
                refused = answer(f"http://127.0.0.1:{ingress}/", process)
                assert refused.code == 401 and refused.headers["x-ext-auth-reason"] == "missing_token", refused.headers


def values_for(folder, **values):
    """An installation that needs no provider, with its volume in `folder`."""
    whole = chart.base(drain={"delaySeconds": 0, "deadlineSeconds": 5}, persistence={"mountPath": f"{folder}/volume"}, **values)
    whole["config"]["issuers"][0].update(keys=[{"jwks": {"keys": [chart.EC_KEY]}}], algorithms=["ES256"])
    whole["config"] = yaml.safe_dump(whole["config"])
    return whole


@contextlib.contextmanager
def started(container, documents, folder):
    """What the container runs, until its own probes find it ready."""
    pathlib.Path(folder, "volume").mkdir()
    (text,) = [d["data"]["claimgate.yaml"] for d in documents if "claimgate.yaml" in d.get("data", {})]
    configuration = yaml.safe_load(text)
    configuration["listen"] = {name: address.replace("0.0.0.0", "127.0.0.1") for name, address in configuration["listen"].items()}
    file = pathlib.Path(folder, "claimgate.yaml")
    file.write_text(json.dumps(configuration))
    mounted = f"--config={claims.value_of(container['args'], '--config')}"
    arguments = [f"--config={file}" if argument == mounted else argument for argument in container["args"]]
    with running([world.CLAIMGATE, *arguments], folder, "claimgate") as process:
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            url = f"http://{configuration['listen']['admin']}{container[probe]['httpGet']['path']}"
            until = time.monotonic() + PATIENCE
            while (code := answer(url, process).code) != 200:
                assert time.monotonic() < until, f"{url}: {code}"
                time.sleep(0.02)
        yield process


@contextlib.contextmanager
def running(command, folder, name):
    """A process that is ended with the `with`; what it logged is told if that fails."""
    log = pathlib.Path(folder, f"{name}.log")
    with log.open("w") as written, subprocess.Popen(command, stdout=written, stderr=written) as process:
        try:
            yield process
        except AssertionError as error:
            raise AssertionError(f"{error}\n{log.read_text()}") from error
        finally:
            process.kill()
            process.wait()
            world.kept.printed(log.read_text(errors="replace"), of="service" if name == "claimgate" else "printed")


def assert_serving(address):
    asked = subprocess.run([world.CLAIMGATE, "probe", address, f"--timeout={PATIENCE}s"], capture_output=True, timeout=2 * PATIENCE)
    assert asked.returncode == 0, asked.stderr


def answer(url, process):
    """What is answered, whatever its status, once somebody listens."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE) as answered:
                return answered
        except urllib.error.HTTPError as error:
            return error
        except (urllib.error.URLError, ConnectionError) as error:
            assert process.poll() is None, "it ended"
            assert time.monotonic() < until, f"{url}: {error}"
            time.sleep(0.02)


def free_ports():
    """Two, free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        return one.getsockname()[1], two.getsockname()[1]
