"""deploy/docker/compose.yaml, read: what it gives to whom, how long it waits, and that its Envoy is the shipped one. It is not
brought up here; the image is run by itself, and that Envoy file by the end-to-end tests."""

import yaml

import world
from world import test

DOCKER = world.ROOT / "deploy/docker"
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())


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
