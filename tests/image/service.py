"""The image, run as it would be: as its user, on a file system that cannot be written, without a capability. It fetches keys over
HTTPS from a provider whose name only a DNS server knows and whose authority is among the system's; all on loopback."""

import contextlib
import http.server
import json
import os
import pathlib
import re
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import urllib.error
import urllib.request

import world
from world import test

HOST = "keys.provider.test"
# A resolver can be told no other port.
NAMESERVER = "127.0.0.53", 53
KEYS = {"keys": [{"kty": "EC", "crv": "P-256", "kid": "one", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                  "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
HARDENED = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")


@test
def it_reads_its_configuration_gets_keys_answers_its_probe_and_ends_with_0():
    with Scene() as scene, scene.container(*HARDENED) as name:
        scene.until_ready(name)
        assert world.run("podman", "exec", name, "/claimgate", "probe", scene.grpc) == "serving"
        status = pathlib.Path(f"/proc/{world.inspect(name)['State']['Pid']}/status").read_text()
        assert re.search(r"^Uid:\s+65532\s+65532\s+65532\s+65532$", status, re.MULTILINE), status
        assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE), status
        assert scene.kept(), "the keys are in the volume"
        assert scene.provider.asked and scene.names == {HOST}, "by name, by DNS, by TLS with a system's authority"
        world.run("podman", "stop", "--time", str(world.PATIENCE), name)
        assert world.inspect(name)["State"]["ExitCode"] == 0


@test
def what_it_kept_lets_it_start_while_the_provider_is_away():
    with Scene() as scene:
        with scene.container(*HARDENED) as name:
            scene.until_ready(name)
        scene.provider.shutdown()
        scene.provider.server_close()
        with scene.container(*HARDENED) as name:
            scene.until_ready(name)


@test
def it_writes_nowhere_but_into_its_state():
    with Scene() as scene, scene.container() as name:  # it could: the file system is not read-only here
        scene.until_ready(name)
        changed = {line.split(" ", 1)[1] for line in world.run("podman", "diff", name).splitlines()}
    # What podman puts or mounts into every container, and what is mounted here.
    mounted = {"/dev", "/etc", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/claimgate", "/etc/ssl", "/etc/ssl/certs",
               "/etc/passwd", "/etc/group", "/proc", "/sys", "/run", "/run/.containerenv", "/run/secrets", "/var", "/var/lib",
               "/var/lib/claimgate", BUNDLE}
    assert changed <= mounted, changed - mounted


@test
def a_provider_whose_authority_the_image_does_not_trust_gives_it_no_keys():
    with Scene() as scene, scene.container(*HARDENED, trusted=False) as name:
        told = world.until("a failed fetch", lambda: [line for line in logs(name) if '"WARN"' in line and "accounts" in line])
        assert answer(scene.admin, "/readyz") == 503 and answer(scene.admin, "/livez") == 200
        assert not scene.kept() and not scene.provider.asked, told


@test
def a_wrong_configuration_is_said_and_ends_it_with_2():
    world.image()
    with tempfile.TemporaryDirectory() as folder:
        write(pathlib.Path(folder, "claimgate.yaml"), "issuers: []\nrule: []\n")
        done = subprocess.run(["podman", "run", "--rm", "--network=host", f"--volume={folder}:/etc/claimgate:ro", world.IMAGE],
                              capture_output=True, text=True, timeout=world.PATIENCE)
        assert done.returncode == 2 and "rule" in done.stderr, (done.returncode, done.stderr)


@test
def every_subcommand_is_there_and_needs_no_configuration():
    world.image()
    told = world.run("podman", "run", "--rm", "--network=none", *HARDENED, world.IMAGE, "--version")
    assert told == f"claimgate {world.inspect()['Config']['Labels']['org.opencontainers.image.version']}"
    assert json.loads(world.run("podman", "run", "--rm", "--network=none", *HARDENED, world.IMAGE, "schema"))


class Scene:
    """A provider, a DNS server that knows it, a configuration and an empty volume; ended with the `with`."""

    def __enter__(self):
        world.image()
        self.ends = contextlib.ExitStack()
        self.folder = pathlib.Path(self.ends.enter_context(tempfile.TemporaryDirectory()))
        os.chmod(self.folder, 0o755)
        self.state = self.folder / "state"
        self.state.mkdir(mode=0o700)
        os.chown(self.state, 65532, 65532)
        certify(self.folder)
        self.provider = self.ends.enter_context(Provider(self.folder))
        self.names = self.ends.enter_context(name_server())
        self.grpc, self.admin = (f"127.0.0.1:{port}" for port in free_ports())
        configuration = {
            "listen": {"grpc": self.grpc, "admin": self.admin}, "state_dir": "/var/lib/claimgate",
            "issuers": [{"name": "accounts", "issuer": f"https://{HOST}", "audiences": ["orders"], "algorithms": ["ES256"],
                         "keys": [{"jwks_url": f"https://{HOST}:{self.provider.server_port}/keys"}]}],
            "rules": [{"name": "rest", "require": {"issuer": "accounts"}}],
        }
        (self.folder / "etc").mkdir()
        write(self.folder / "etc/claimgate.yaml", json.dumps(configuration))
        return self

    def __exit__(self, *_):
        self.ends.close()

    @contextlib.contextmanager
    def container(self, *options, trusted=True):
        """The image, started with its own entrypoint and arguments. `trusted`: the provider's authority is the system's only one."""
        volumes = [f"{self.folder}/etc:/etc/claimgate:ro", f"{self.state}:/var/lib/claimgate"]
        if trusted:
            volumes.append(f"{self.folder}/authority.pem:{BUNDLE}:ro")
        name = world.run("podman", "run", "--detach", "--network=host", f"--dns={NAMESERVER[0]}",
                         *(f"--volume={volume}" for volume in volumes), *options, world.IMAGE)
        try:
            yield name
        except AssertionError as error:
            raise AssertionError(f"{error}\n" + "\n".join(logs(name))) from error
        finally:
            world.kept.printed("\n".join(logs(name)), of="service")
            world.run("podman", "rm", "--force", "--time", "0", name)

    def until_ready(self, name):
        def ready():
            assert world.inspect(name)["State"]["Running"], "it ended"
            return answer(self.admin, "/readyz") == 200
        world.until("ready", ready)

    def kept(self):
        return [path for path in self.state.rglob("*") if path.is_file()]


class Provider(http.server.ThreadingHTTPServer):
    """Serves KEYS over TLS."""

    daemon_threads = True

    def __init__(self, folder):
        self.asked = []
        super().__init__(("127.0.0.1", 0), Answer)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "provider.pem", folder / "provider.key")
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def handle_error(self, *_):
        """A client that does not trust us hangs up: that is what a test is about."""


class Answer(http.server.BaseHTTPRequestHandler):
    timeout = world.PATIENCE

    def do_GET(self):
        self.server.asked.append(self.path)
        body = json.dumps(KEYS).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Nothing on the terminal."""


@contextlib.contextmanager
def name_server():
    """Knows the one address of HOST (RFC 1035). Yields the names that it was asked for and knew."""
    known = set()
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(NAMESERVER)

    def serve():
        while True:
            question, client = server.recvfrom(512)
            if not question:
                return  # that is how the end of it shows
            labels, at = [], 12
            while length := question[at]:
                labels.append(question[at + 1:at + 1 + length].decode())
                at += 1 + length
            name, kind = ".".join(labels), struct.unpack_from("!H", question, at + 1)[0]
            answers = b""
            if name == HOST and kind == 1:
                known.add(name)
                answers = b"\xc0\x0c" + struct.pack("!HHIH4B", 1, 1, 60, 4, 127, 0, 0, 1)
            code = 0 if name == HOST else 3
            header = question[:2] + struct.pack("!HHHHH", 0x8580 | code, 1, bool(answers), 0, 0)
            server.sendto(header + question[12:at + 5] + answers, client)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield known
    finally:
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)  # wakes the thread; not connected, it says
        server.close()


def certify(folder):
    """An authority and a certificate of HOST."""
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    world.run(*new, "-subj", "/CN=authority", "-keyout", folder / "authority.key", "-out", folder / "authority.pem",
              "-addext", "basicConstraints=critical,CA:true")
    (folder / "extensions").write_text(f"subjectAltName=DNS:{HOST}\n")
    world.run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={HOST}",
              "-keyout", folder / "provider.key", "-out", folder / "provider.csr")
    world.run("openssl", "x509", "-req", "-days", "2", "-in", folder / "provider.csr", "-CA", folder / "authority.pem",
              "-CAkey", folder / "authority.key", "-CAcreateserial", "-extfile", folder / "extensions",
              "-out", folder / "provider.pem")
    os.chmod(folder / "authority.pem", 0o644)


def write(file, text):
    file.write_text(text)
    os.chmod(file.parent, 0o755)
    os.chmod(file, 0o644)


def answer(address, path):
    """The status of an answer of the admin port; 0 if nobody answers."""
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=world.PATIENCE) as answered:
            return answered.status
    except urllib.error.HTTPError as error:
        return error.code
    except (urllib.error.URLError, ConnectionError):
        return 0


def logs(name):
    done = subprocess.run(["podman", "logs", name], capture_output=True, text=True, timeout=world.PATIENCE)
    return (done.stdout + done.stderr).splitlines()


def free_ports():
    """Two, free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        return one.getsockname()[1], two.getsockname()[1]
