"""The container that the chart describes, run here as a process: its arguments, its configuration, its probes. On loopback
and on free ports; what only a cluster has (users, volumes, a network) is not there."""

import json
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
        values = chart.base(ports={"grpc": grpc, "admin": admin}, drain={"delaySeconds": 0, "deadlineSeconds": 5},
                            persistence={"mountPath": f"{folder}/volume"})
        values["config"]["issuers"][0].update(keys=[{"jwks": {"keys": [chart.EC_KEY]}}], algorithms=["ES256"])
        values["config"] = yaml.safe_dump(values["config"])
        documents = world.render(values)
        container = chart.container_of(documents)
        configuration = yaml.safe_load(world.one(documents, "ConfigMap")["data"]["claimgate.yaml"])
        configuration["listen"] = {name: address.replace("0.0.0.0", "127.0.0.1") for name, address in configuration["listen"].items()}
        pathlib.Path(folder, "volume").mkdir()
        file = pathlib.Path(folder, "claimgate.yaml")
        file.write_text(json.dumps(configuration))
        mounted = f"--config={claims.value_of(container['args'], '--config')}"
        arguments = [f"--config={file}" if argument == mounted else argument for argument in container["args"]]
        log = pathlib.Path(folder, "log")
        with log.open("w") as stderr, subprocess.Popen([world.CLAIMGATE, *arguments], stderr=stderr) as process:
            try:
                for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                    until_ok(f"http://127.0.0.1:{admin}{container[probe]['httpGet']['path']}", process)
                asked = subprocess.run([world.CLAIMGATE, "probe", f"127.0.0.1:{grpc}", f"--timeout={PATIENCE}s"],
                                       capture_output=True, timeout=2 * PATIENCE)
                assert asked.returncode == 0, asked.stderr
                process.terminate()
                assert process.wait(PATIENCE) == 0
            except AssertionError as error:
                raise AssertionError(log.read_text()) from error
            finally:
                process.kill()


def until_ok(url, process):
    """Asks until the answer is 200."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
                assert answer.status == 200
                return
        except (urllib.error.URLError, ConnectionError) as error:
            assert process.poll() is None, "it ended"
            assert time.monotonic() < until, f"{url}: {error}"
            time.sleep(0.02)


def free_ports():
    """Two, free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        return one.getsockname()[1], two.getsockname()[1]
