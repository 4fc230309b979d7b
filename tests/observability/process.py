"""Processes that the tests start on loopback and ask over HTTP, each ended by itself; the Prometheus among them."""

import contextlib
import json
import pathlib
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import world

# Nothing that is waited for takes this long unless it never comes.
PATIENCE = 60
LOOPBACK = "127.0.0.1"


class Process:
    """One that is ended with the stack."""

    def __init__(self, stack, folder, command):
        # Who signed the certificate of a server, where one has any.
        self.trust = None
        self.log = folder / f"{pathlib.Path(command[0]).name}.log"
        output = stack.enter_context(self.log.open("w"))
        self.process = subprocess.Popen([str(part) for part in command], stdout=output, stderr=output)
        stack.callback(self.end)

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def answers(self, path):
        """A page of the admin port, for those that have one."""
        status, _, text = self.get(f"http://{self.admin}{path}")
        assert status == 200, text
        return text

    def get(self, url, headers=None, data=None):
        """(status, headers, text), once somebody answers there."""
        until = time.monotonic() + PATIENCE
        context = ssl.create_default_context(cafile=self.trust) if self.trust else None
        while True:
            try:
                request = urllib.request.Request(url, data, headers or {})
                with urllib.request.urlopen(request, timeout=PATIENCE, context=context) as answer:
                    return answer.status, answer.headers, answer.read().decode()
            except urllib.error.HTTPError as error:
                return error.code, error.headers, error.read().decode()
            except (urllib.error.URLError, ConnectionError) as error:
                assert self.process.poll() is None, f"it ended: {self.log.read_text()}"
                assert time.monotonic() < until, f"{url}: {error}: {self.log.read_text()}"
                time.sleep(0.05)


class Prometheus(Process):
    def __init__(self, stack, folder, targets):
        configuration = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(file) for file in world.ALERTS.values()],
            "scrape_configs": [{"job_name": job, "static_configs": [{"targets": own}]} for job, own in targets.items()],
        }
        file = folder / "prometheus.json"
        file.write_text(json.dumps(configuration))
        self.targets = [target for own in targets.values() for target in own]
        self.url = f"http://{LOOPBACK}:{free_ports('web')['web']}"
        listen = f"--web.listen-address={urllib.parse.urlsplit(self.url).netloc}"
        super().__init__(stack, folder, ["prometheus", f"--config.file={file}", f"--storage.tsdb.path={folder}/tsdb", listen])

    def has_scraped(self, times):
        """Each target, so often from now on."""
        begun = time.time()
        wanted = ",".join(f"{target}" for target in self.targets)
        until = time.monotonic() + PATIENCE
        while True:
            seconds = max(1, int(time.time() - begun))
            counted = self.query(f'count_over_time(up{{job=~"claimgate.*"}}[{seconds}s])', wait=True)
            if len(counted) == len(self.targets) and all(count >= times for _, count in counted):
                return
            assert time.monotonic() < until, f"{wanted}: {counted}: {self.log.read_text()}"
            time.sleep(0.2)

    def query(self, expression, wait=False):
        """[(labels, value)] as of now."""
        result = self.api("query", {"query": expression}, wait)
        assert wait or result["resultType"] == "vector", expression
        return [(one["metric"], float(one["value"][1])) for one in result["result"]] if result else []

    def values(self, label, series):
        return self.api(f"label/{label}/values", {"match[]": series})

    def rules(self):
        return [rule for group in self.api("rules", {})["groups"] for rule in group["rules"]]

    def api(self, path, parameters, wait=False):
        status, _, text = self.get(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        if wait and status == 503:
            # It starts.
            return None
        answer = json.loads(text)
        assert answer["status"] == "success", f"{parameters}: {answer}"
        return answer["data"]


def run(*command, given=None):
    done = subprocess.run([str(part) for part in command], input=given, capture_output=True, timeout=PATIENCE)
    assert done.returncode == 0, f"{command}: {done.stderr.decode()}"
    return done.stdout


# Who gets one binds it later: until then the system would give it to the next who asks, too.
_GIVEN = set()


def free_ports(*names):
    """One each, free a moment ago and given to nobody else."""
    ports = {}
    with contextlib.ExitStack() as stack:
        for name in names:
            while ports.get(name) in _GIVEN | {None}:
                ports[name] = stack.enter_context(socket.create_server((LOOPBACK, 0))).getsockname()[1]
            _GIVEN.add(ports[name])
    return ports
