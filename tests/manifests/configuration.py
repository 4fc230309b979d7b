"""The published JSON Schema of the configuration against the program that reads it: neither refuses what the other accepts,
where a schema can say it at all. That the schema is the one of this program, a test of the program holds."""

import copy

import jsonschema
import world
from world import each, test

# The least that is right.
LEAST = {
    "issuers": [{"name": "a", "issuer": "https://a.example", "audiences": ["x"], "keys": [{"discovery": True}]}],
    "rules": [{"name": "rest", "require": {"issuer": "a"}}],
}


def with_value(path, value):
    """LEAST with a value put somewhere: "issuers.0.clock_skew"."""
    whole = copy.deepcopy(LEAST)
    at, steps = whole, path.split(".")
    for step in steps[:-1]:
        at = at[int(step)] if isinstance(at, list) else at.setdefault(step, {})
    at[int(steps[-1]) if isinstance(at, list) else steps[-1]] = value
    return whole


@test
def the_schema_is_one_and_takes_the_example():
    jsonschema.Draft202012Validator.check_schema(world.SCHEMA)
    world.check((world.ROOT / "deploy/claimgate.example.yaml").read_text())
    assert world.is_accepted(LEAST) == (True, True)


@test
def every_key_of_the_example_is_in_the_schema_and_every_key_of_the_schema_is_in_the_example():
    text = (world.ROOT / "deploy/claimgate.example.yaml").read_text()
    for mapping in [world.SCHEMA, *world.SCHEMA["$defs"].values()]:
        for name in mapping["properties"]:
            assert f"{name}:" in text, name


@each(
    ("profile", "development"), ("listen.grpc", "[::1]:9191"), ("listen.grpc", ["127.0.0.1:9191", "unix:///run/claimgate.sock"]),
    ("listen.unix", {"mode": "0600"}), ("listen.max_connection_age", "unlimited"), ("listen.admin", "0.0.0.0:1"), ("state_dir", "/x"),
    ("issuers.0.clock_skew", "0s"), ("issuers.0.clock_skew", "150ms"), ("issuers.0.algorithms", ["ES256"]),
    ("issuers.0.keys.0", {"discovery": "https://a.example/x"}), ("issuers.0.keys.0", {"pem_file": "a.pem", "kid": "k"}),
    ("issuers.0.refresh.max_stale", "unlimited"), ("issuers.0.refresh.max_stale", "3d"),
    ("limits.token_bytes", "8KiB"), ("limits.token_bytes", 8192), ("limits.jwks_keys", 12),
    ("forward.headers", [{"claim": ["a.b", "c"], "header": "x-c", "format": "json"}]),
    ("rules.0", {"name": "open", "allow": "anyone"}), ("tokens", [{"header": "x-token"}]),
)
def both_accept(path, value):
    assert world.is_accepted(with_value(path, value)) == (True, True)


@each(
    ("profile", "Production"), ("listen.grpc", "localhost:9191"), ("listen.grpc", "unix:run.sock"), ("listen.unix", {"mode": "0888"}),
    ("listen.max_connection_age", "never"), ("listen.admin", 9193), ("listen.tcp", "0.0.0.0:1"),
    ("state_dir", 7), ("issuers.0.clock_skew", "5"), ("issuers.0.clock_skew", "1.5s"), ("issuers.0.clock_skew", "-5s"),
    ("issuers.0.audience", ["x"]), ("issuers.0.audiences", "x"), ("issuers.0.keys.0", {"discovery": False}),
    ("issuers.0.keys.0", {}), ("issuers.0.keys.0", {"discovery": True, "jwks_url": "https://a.example"}),
    ("issuers.0.refresh.max_stale", "forever"), ("limits.token_bytes", "8KB"), ("limits.jwks_keys", "12"),
    ("limits.jwks_keys", -1), ("forward.headers", [{"claim": "sub"}]), ("forward.headers", [{"header": "x-sub"}]),
    ("forward.headers", [{"claim": "a", "header": "x-a", "format": "text"}]), ("rules.0", {"name": "open", "allow": "everyone"}),
    ("rules.0", {"allow": "anyone"}), ("tokens", [{"prefix": "Bearer "}]), ("answers.reason_header", "yes"), ("x", 1),
    ("rules", {"name": "rest"}),
)
def both_refuse(path, value):
    assert world.is_accepted(with_value(path, value)) == (False, False)


@each(("issuers",), ("rules",), ("issuers.0.name",), ("issuers.0.issuer",), ("issuers.0.keys",))
def both_miss(path):
    without = copy.deepcopy(LEAST)
    at, steps = without, path.split(".")
    for step in steps[:-1]:
        at = at[int(step)] if isinstance(at, list) else at[step]
    del at[steps[-1]]
    assert world.is_accepted(without) == (False, False)
