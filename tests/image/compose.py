"""deploy/docker/compose.yaml, brought up as its first lines say: the image of claimgate, the real Envoy with the files that are
there, a network in which each finds the other by name. Only the image around Envoy is ours: no registry is asked."""

import contextlib
import os
import pathlib
import shutil
import sys
import urllib.error
import urllib.request

import yaml

import service
import world
from world import once, run, test

DOCKER = world.ROOT / "deploy/docker"
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
USER = 65532


@test
def compose_protects_the_upstream_as_its_first_lines_say():
    with project() as (folder, port):
        _, headers, _ = until(401, port)
        assert headers["x-ext-auth-reason"] == "missing_token", headers
        token = world.run(folder / "token.sh", "alice")
        _, _, echoed = until(200, port, {"authorization": f"Bearer {token}", "x-jwt-sub": "mallory"})
        assert "x-jwt-sub: alice" in echoed.splitlines() and "mallory" not in echoed and token not in echoed, echoed
        assert ask(port, {"authorization": f"Bearer {token[:-8]}AAAAAAAA"})[0] == 401
        assert ask(port, path="/healthz")[0] == 200
        world.run("podman", "healthcheck", "run", container("claimgate"))
        for name in COMPOSE["services"]:
            state = world.inspect(container(name))
            assert state["State"]["Running"] and state["RestartCount"] == 0, name
        compose(folder, "stop", "claimgate")
        assert world.inspect(container("claimgate"))["State"]["ExitCode"] == 0, "its drain was not cut short"


@test
def compose_gives_nobody_more_than_it_needs():
    for name, service_ in COMPOSE["services"].items():
        assert service_["read_only"] is True and service_["cap_drop"] == ["ALL"], name
        assert service_["security_opt"] == ["no-new-privileges:true"] and "privileged" not in service_, name
        assert all(port.startswith("127.0.0.1:") for port in service_.get("ports", [])), "for this machine only"
    assert "ports" not in COMPOSE["services"]["claimgate"], "Envoy asks it, and nobody else"


@test
def compose_gives_claimgate_the_time_that_its_drain_takes_and_envoy_the_time_to_turn_away():
    arguments = dict(part.split("=") for part in COMPOSE["services"]["claimgate"]["command"][1:])
    delay, deadline = (int(arguments[f"--drain-{part}"]) for part in ("delay", "deadline"))
    assert seconds(COMPOSE["services"]["claimgate"]["stop_grace_period"]) > delay + deadline
    clusters = yaml.safe_load((DOCKER / "envoy.yaml").read_text())["static_resources"]["clusters"]
    (health,) = next(cluster["health_checks"] for cluster in clusters if cluster["name"] == "claimgate")
    assert delay > seconds(health["interval"]) + seconds(health["timeout"])


def seconds(text):
    return int(text.removesuffix("s"))


@test
def composes_envoy_is_the_shipped_one_but_for_addresses():
    ours, shipped = (yaml.safe_load(file.read_text())["static_resources"]
                     for file in (DOCKER / "envoy.yaml", world.ROOT / "deploy/envoy/envoy.yaml"))
    assert ours["listeners"] == shipped["listeners"]
    for cluster, same in zip(ours["clusters"], shipped["clusters"], strict=True):
        for one in (cluster, same):
            address = one["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]["socket_address"]
            if one is cluster:
                assert (one["type"], address["address"]) == ("STRICT_DNS", one["name"])
                assert one["name"] in COMPOSE["services"]
            del one["type"], address["address"]
        assert cluster == same


@contextlib.contextmanager
def project():
    """A copy of deploy/docker that is up: its folder and the port that it publishes. Taken down afterwards."""
    run("podman", "tag", world.image(), "localhost/claimgate:latest")
    envoy_image()
    folder = pathlib.Path(shutil.copytree(DOCKER, world.FOLDER / "docker", ignore=shutil.ignore_patterns("keys")))
    for path in (folder, *folder.rglob("*")):
        os.chmod(path, 0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
    try:
        compose(folder, "up", "--detach", "--no-build")
        yield folder, 10000
    except AssertionError as error:
        told = [f"{name}: {line}" for name in COMPOSE["services"] for line in service.logs(container(name))[-20:]]
        raise AssertionError(f"{error}\n" + "\n".join(told)) from error
    finally:
        with contextlib.suppress(AssertionError):
            compose(folder, "down", "--volumes", "--timeout", "0")
        shutil.rmtree(folder)


def compose(folder, *arguments):
    return run(sys.executable, "-m", "podman_compose", "--file", folder / "compose.yaml", *arguments)


def container(name):
    """What podman-compose calls it."""
    return f"{COMPOSE['name']}_{name}_1"


@once
def envoy_image():
    """The Envoy of the other tests, in an image that starts it as the published one does: as 65532, with /etc/envoy/envoy.yaml."""
    envoy = pathlib.Path(os.environ["ENVOY"])
    building = run("buildah", "from", "scratch")
    root = pathlib.Path(run("buildah", "mount", building))
    (root / "usr/local/bin").mkdir(parents=True)
    shutil.copy(envoy, root / "usr/local/bin/envoy")
    for word in run("ldd", envoy).split():
        if word.startswith("/"):
            (root / word[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(word, root / word[1:])
    run("buildah", "config", f"--user={USER}", '--entrypoint=["/usr/local/bin/envoy"]', "--cmd=-c /etc/envoy/envoy.yaml", building)
    run("buildah", "umount", building)
    names = {one["image"] for one in COMPOSE["services"].values()} - {"claimgate"}
    (name,) = names
    run("buildah", "commit", "--quiet", "--rm", building, f"localhost/{name}")


def until(status, port, headers=None):
    def asked():
        found = ask(port, headers)
        return found if found and found[0] == status else None
    return world.until(f"an answer {status}, last {ask(port, headers)}", asked)


def ask(port, headers=None, path="/orders"):
    """(status, headers, body) of an answer through Envoy; None if nobody answers."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=world.PATIENCE) as answered:
            return answered.status, dict(answered.headers), answered.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read().decode()
    except (urllib.error.URLError, ConnectionError):
        return None
