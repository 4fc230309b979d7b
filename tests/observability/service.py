"""Two claimgates that have decided and been through enough for every metric to say something, and the Prometheus that scrapes them:
real processes on loopback, each ended by itself. One claimgate is well; the other reaches neither its provider nor its store.
"""

import base64
import contextlib
import http.server
import json
import pathlib
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import world

# Nothing that is waited for takes this long unless it never comes.
PATIENCE = 60
# More scrapes than a rate needs, before and after something happens.
SCRAPES = 3
LOOPBACK = "127.0.0.1"


class Running:
    """Everything, after it has been through it all. Started for the first test that asks, and ended by `main` after the last."""

    _stack = contextlib.ExitStack()
    _now = None

    @classmethod
    def now(cls):
        if cls._now is None:
            cls._now = cls(cls._stack)
        return cls._now

    @classmethod
    def end(cls):
        cls._stack.close()

    def __init__(self, stack):
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        keys = Keys(folder)
        provider = stack.enter_context(Provider(keys.document()))
        self.well = Claimgate(stack, folder / "well", lambda ports: well_configured(folder, provider, ports))
        self.poor = Claimgate(stack, folder / "poor", lambda ports: poorly_configured(provider, ports))
        self.prometheus = Prometheus(stack, folder, [self.well.admin, self.poor.admin])
        for service in (self.well, self.poor):
            service.answers("/livez")
        self.prometheus.has_scraped(SCRAPES)
        go_through(self.well, keys)
        suffer(self.poor, keys)
        # A series begins with its first check, and its rate with the second.
        self.prometheus.has_scraped(SCRAPES)
        decide(self.well, keys)
        self.prometheus.has_scraped(SCRAPES)


def go_through(well, keys):
    """A day in the life of one that is well."""
    decide(well, keys)
    well.refresh_keys()
    well.reconfigure("rules: [")
    well.says("claimgate_config_last_reload_successful 0")
    well.reconfigure(well.text + "# the next one\n")
    well.says("claimgate_config_last_reload_successful 1")


def decide(well, keys):
    """Every kind of answer that callers get."""
    good, narrow = keys.token(), keys.token(scope="read")
    for authorization, path, wanted in (
        (good, "/orders", "none"),
        (good, "/orders", "none"),
        (None, "/orders", "missing_token"),
        ("no.token", "/orders", "malformed"),
        (good[:-8] + "AAAAAAAA", "/orders", "bad_signature"),
        (keys.token(exp=1), "/orders", "expired"),
        (keys.token(iss="https://nobody.example"), "/orders", "unknown_issuer"),
        (keys.token(aud="others"), "/orders", "audience_mismatch"),
        (keys.token(kid="made-up"), "/orders", "unknown_kid"),
        (keys.token(jti="stolen"), "/orders", "revoked"),
        (narrow, "/admin/", "insufficient_scope"),
        (narrow, "/shadowed/", "none"),
    ):
        told = well.asked(path, authorization)
        assert told == wanted, f"{path}: {told}, not {wanted}"
    # From an Envoy that waits no longer: its turn is too late whenever it comes.
    told = well.asked("/orders", good, {"x-envoy-expected-rq-timeout-ms": "0"})
    assert told == "overloaded", told


def suffer(poor, keys):
    for token, wanted in ((keys.token(iss="https://gone.example"), "keys_unavailable"), (keys.token(), "revocation_stale")):
        until = time.monotonic() + PATIENCE
        while (told := poor.asked("/orders", token)) != wanted:
            assert time.monotonic() < until, f"{told}, not {wanted}"
            time.sleep(0.05)


def well_configured(folder, provider, ports):
    entry = {"v": 1, "kind": "token", "iss": "https://accounts.example", "jti": "stolen", "expires_at": int(time.time()) + 3600}
    revoked = folder / "revoked.jsonl"
    revoked.write_text(f"{json.dumps(entry)}\n" + json.dumps({"v": 1, "kind": "end"}) + "\n")
    certificate(folder)
    (folder / "state").mkdir(mode=0o700)
    return {
        "profile": "development",
        "listen": {
            "grpc": f"{LOOPBACK}:{ports['grpc']}",
            "admin": f"{LOOPBACK}:{ports['admin']}",
            "http": f"{LOOPBACK}:{ports['http']}",
            "tls": {"cert_file": str(folder / "tls.crt"), "key_file": str(folder / "tls.key")},
        },
        "state_dir": str(folder / "state"),
        "issuers": [issuer("accounts", f"{provider.url}/jwks.json")],
        "rules": [
            {"name": "admin", "match": {"path_prefix": "/admin/"}, "require": {"issuer": "accounts", "scopes": ["admin"]}},
            {"name": "shadowed", "match": {"path_prefix": "/shadowed/"}, "mode": "shadow",
             "require": {"issuer": "accounts", "scopes": ["admin"]}},
            {"name": "all", "require": {"issuer": "accounts"}},
        ],
        "revocation": {"file": str(revoked)},
    }


def poorly_configured(provider, ports):
    nobody = f"{LOOPBACK}:{free_ports('nobody')['nobody']}"
    return {
        "profile": "development",
        "listen": {name: f"{LOOPBACK}:{port}" for name, port in ports.items()},
        "issuers": [issuer("accounts", f"{provider.url}/jwks.json"), issuer("gone", f"http://{nobody}/jwks.json")],
        "rules": [{"name": "all", "require": {"any_of": [{"issuer": "accounts"}, {"issuer": "gone"}]}}],
        "revocation": {"redis": {"url": f"redis://{nobody}"}, "before_first_load": "ready"},
    }


def issuer(name, url):
    return {"name": name, "issuer": f"https://{name}.example", "audiences": ["orders"], "keys": [{"jwks_url": url}]}


def certificate(folder):
    files = ["-keyout", folder / "tls.key", "-out", folder / "tls.crt"]
    subject = ["-subj", "/CN=claimgate", "-addext", f"subjectAltName=IP:{LOOPBACK}"]
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", *files, *subject)


class Keys:
    """A signing key, made by `claimgate keys`, and its tokens."""

    def __init__(self, folder):
        self.folder = folder / "keys"
        run(world.CLAIMGATE, "keys", "generate", "--dir", self.folder, "--kid", "key-1", "--type", "rsa-2048")
        world.kept.key((self.folder / "key-1.pem").read_text())

    def document(self):
        """The JWK Set, with two keys that are not used: a secret, and one of a kind that is not accepted."""
        document = json.loads(run(world.CLAIMGATE, "keys", "jwks", "--dir", self.folder))
        point = {"x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}
        secret = json.loads(json.dumps(document["keys"][0]))
        document["keys"] += [
            {"kty": "oct", "kid": "shared", "k": encoded(b"not a secret at all, since it is published")},
            {"kty": "EC", "crv": "P-256", "kid": "curve", **point},
            {**secret, "kid": "private", "d": encoded(b"\1" * 256)},
        ]
        return json.dumps(document).encode()

    def token(self, kid="key-1", **claims):
        now = int(time.time())
        claims = {"iss": "https://accounts.example", "aud": "orders", "sub": "alice", "jti": "one", "iat": now, "exp": now + 600, **claims}
        signed = f"{encoded({'alg': 'RS256', 'kid': kid})}.{encoded(claims)}"
        signature = run("openssl", "dgst", "-sha256", "-sign", self.folder / "key-1.pem", given=signed.encode())
        token = f"{signed}.{encoded(signature)}"
        world.kept.token(token)
        return token


class Provider:
    """Serves the JWK Set."""

    def __init__(self, document):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(document)))
                self.end_headers()
                self.wfile.write(document)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self.url = f"http://{LOOPBACK}:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Process:
    """One that is ended with the stack."""

    def __init__(self, stack, folder, command):
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

    def get(self, url, headers=None, data=None):
        """(status, headers, text), once somebody answers there."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                with urllib.request.urlopen(urllib.request.Request(url, data, headers or {}), timeout=PATIENCE) as answer:
                    return answer.status, answer.headers, answer.read().decode()
            except urllib.error.HTTPError as error:
                return error.code, error.headers, error.read().decode()
            except (urllib.error.URLError, ConnectionError) as error:
                assert self.process.poll() is None, f"it ended: {self.log.read_text()}"
                assert time.monotonic() < until, f"{url}: {error}: {self.log.read_text()}"
                time.sleep(0.05)


class Claimgate(Process):
    def __init__(self, stack, folder, configured):
        folder.mkdir()
        ports = free_ports("grpc", "admin", "http")
        self.admin, self.http = f"{LOOPBACK}:{ports['admin']}", f"{LOOPBACK}:{ports['http']}"
        self.text = json.dumps(configured(ports), indent=1) + "\n"
        self.file = folder / "claimgate.yaml"
        self.file.write_text(self.text)
        super().__init__(stack, folder, [world.CLAIMGATE, "serve", "--config", self.file, "--drain-delay", 0])

    def answers(self, path):
        status, _, text = self.get(f"http://{self.admin}{path}")
        assert status == 200, text
        return text

    def says(self, line):
        """A line of the metrics, at once or soon."""
        until = time.monotonic() + PATIENCE
        while f"{line}\n" not in self.answers("/metrics"):
            assert time.monotonic() < until, f"{line}: {self.log.read_text()}"
            time.sleep(0.05)

    def get(self, url, headers=None, data=None):
        status, headers, text = super().get(url, headers, data)
        # Who is let in gets claims in headers.
        if status != 200 or self.admin in url:
            world.kept.printed(f"{headers}\n{text}", of="service")
        return status, headers, text

    def end(self):
        super().end()
        world.kept.printed(self.log.read_text(errors="replace"), of="service")

    def asked(self, path, token, more=()):
        """The reason, as a proxy that speaks HTTP is told; "none" for a request that passes."""
        headers = {**({"authorization": f"Bearer {token}"} if token else {}), **dict(more)}
        status, headers, text = self.get(f"http://{self.http}/auth/envoy{path}", headers)
        return "none" if status == 200 else headers.get("x-ext-auth-reason", f"{status} {text}")

    def refresh_keys(self):
        status, _, text = self.get(f"http://{self.admin}/keys/refresh", data=b"")
        assert status in (202, 429), text

    def reconfigure(self, text):
        """By a rename, as everybody should."""
        beside = self.file.with_suffix(".new")
        beside.write_text(text)
        beside.rename(self.file)


class Prometheus(Process):
    def __init__(self, stack, folder, targets):
        configuration = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(world.ALERTS)],
            "scrape_configs": [{"job_name": "claimgate", "static_configs": [{"targets": targets}]}],
        }
        file = folder / "prometheus.json"
        file.write_text(json.dumps(configuration))
        self.targets = targets
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
            counted = self.query(f'count_over_time(up{{job="claimgate"}}[{seconds}s])', wait=True)
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
        (group,) = self.api("rules", {})["groups"]
        return group["rules"]

    def api(self, path, parameters, wait=False):
        status, _, text = self.get(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        if wait and status == 503:
            # It starts.
            return None
        answer = json.loads(text)
        assert answer["status"] == "success", f"{parameters}: {answer}"
        return answer["data"]


def encoded(value):
    """In base64url; what is no bytes as JSON."""
    value = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def run(*command, given=None):
    done = subprocess.run([str(part) for part in command], input=given, capture_output=True, timeout=PATIENCE)
    assert done.returncode == 0, f"{command}: {done.stderr.decode()}"
    return done.stdout


def free_ports(*names):
    """One each, free a moment ago and all different."""
    with contextlib.ExitStack() as stack:
        return {name: stack.enter_context(socket.create_server((LOOPBACK, 0))).getsockname()[1] for name in names}
