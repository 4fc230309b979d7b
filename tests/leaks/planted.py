"""Leaks that are planted, each of which the search must find, and what it must not take for one. Called by main.py."""

import base64
import json
import pathlib
import secrets
import tempfile

from search import WINDOW, Searched

HEADER = base64.urlsafe_b64encode(b'{"alg":"EdDSA","kid":"one"}').rstrip(b"=").decode()


def token(claims=None):
    claims = {"iss": "https://accounts.example", "aud": "orders", "exp": 1, **(claims or {"sub": secrets.token_hex(8)})}
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"{HEADER}.{payload}.{secrets.token_urlsafe(64)}"


def found(text, *known, name="attacks-1.log.service"):
    """The kinds of leaks that are found in `text`, with these (kind, value) known."""
    with tempfile.TemporaryDirectory() as folder:
        told, kept = pathlib.Path(folder, "told"), pathlib.Path(folder, "secrets")
        told.mkdir()
        kept.mkdir()
        (told / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        (kept / "attacks-1").write_text("".join(json.dumps({"kind": kind, "value": value}) + "\n" for kind, value in known))
        searched = Searched(told, kept)
        assert searched.files == 1 and sum(searched.kinds.values()) == len(known)
        return {kind: leaks for kind, leaks in searched.leaks.items() if leaks}


def leaks(text, whole):
    return "a part of a token" in found(text, ("token", whole))


def test_a_part_of_a_token_is_found_in_the_middle_of_a_line():
    whole = token()
    _, payload, signature = whole.split(".")
    for part in (whole, payload, signature, payload[-WINDOW:], signature[:WINDOW], signature[31:31 + WINDOW]):
        assert leaks(f"first\nbefore{part}behind\nlast\n", whole), "in a word"
        assert leaks(f'{{"level":"INFO","message":"a token: {part}, refused"}}\n', whole)
    assert not leaks(signature[:WINDOW - 1], whole), "fewer characters than it takes to tell one token from another"


def test_it_is_said_where_and_which_and_not_what():
    whole = token()
    (told,) = found(f"nothing\n{whole.split('.')[2]}\n", ("token", token()), ("token", whole))["a part of a token"]
    assert told == "attacks-1.log.service:2: of attacks-1:2"


def test_a_token_that_was_cut_at_its_front_or_its_end_is_found():
    whole = token()
    for at in range(len(HEADER) + 1, len(whole) - 2 * WINDOW):
        assert leaks(f"…{whole[at:at + 2 * WINDOW + 1]}…", whole)


def test_a_token_is_found_behind_any_escaping():
    whole = token()
    part = "-_" + whole.split(".")[2][:WINDOW]
    whole += part
    in_json = json.dumps(f"\n{part}\n")
    escaped = part.replace("-", "\\u002d").replace("_", "\\u{5f}")
    for text in (in_json, json.dumps(in_json), escaped, json.dumps(escaped), part.replace("-", "%2D"), part.replace("_", "\\x5f")):
        assert leaks(f"told: {text}", whole), "escaped"
    assert leaks(f"told: {list(part.encode())}", whole), "as octets"
    assert leaks("".join(f"\\x{octet:02x}" for octet in part.encode()), whole)


def test_a_token_that_nobody_kept_is_known_by_its_form():
    assert "what looks like a token" in found(f"told: {token()}")
    assert "what looks like a token" in found(f"told: {json.dumps(json.dumps([HEADER]))}")
    assert "what looks like a token" in found(f"told: {token()[len(HEADER) + 20:]}"), "without its front"


def test_keys_are_known_by_their_form():
    assert "a private key in PEM" in found("-----BEGIN EC PRIVATE KEY-----")
    jwk = json.dumps({"kty": "OKP", "d": secrets.token_urlsafe(32)})
    assert "a private JWK" in found(jwk) and "a private JWK" in found(json.dumps({"document": jwk}))


def test_a_part_of_a_private_key_is_found_and_its_public_half_is_not():
    body = secrets.token_bytes(48)
    lines = base64.encodebytes(body).decode()
    pem = f"-----BEGIN PRIVATE KEY-----\n{lines}-----END PRIVATE KEY-----\n"
    joined = lines.replace("\n", "")
    for part in (joined[30:50], joined[30:50].replace("+", "-").replace("/", "_")):
        assert "a part of a private key" in found(f"read {part}", ("key", pem))
    assert not found(f"read {joined[:20]}", ("key", pem)), "what all keys of a kind begin with"


def test_a_secret_is_found_whatever_it_is_made_of():
    for secret in ("the password of a store", secrets.token_urlsafe(32), "pass/word+", "ein-langes-Passwort"):
        assert "a secret" in found(f"with {secret}, refused", ("secret", secret))
        assert "a secret" in found(json.dumps(f'with "{secret}"'), ("secret", secret))


def test_a_claim_is_found_in_the_log_of_a_service_and_nowhere_else():
    whole = token({"sub": "carol-the-one-and-only", "nested": {"emails": ["carol@example.com"]}})
    for claim in ("carol-the-one-and-only", "carol@example.com"):
        assert "a claim" in found(json.dumps({"message": "allowed", "claim": claim}), ("token", whole))
        assert not found(f"told: {claim}", ("token", whole), name="integration-1.printed"), "for who has the token"
    assert not found("of https://accounts.example for orders", ("token", whole))


def test_what_is_no_part_of_a_token_is_not_taken_for_one():
    lines = [
        '{"timestamp":"2026-01-01T00:00:00Z","level":"INFO","message":"denied","reason":"expired","rule":"rest","path":"/orders"}',
        "claimgate_jwks_refresh_total{issuer=\"accounts\",source=\"0\",result=\"unreachable\"} 1",
        f"x-request-id: {secrets.token_hex(16)}, traceparent: 00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01",
        "https://accounts.example/.well-known/openid-configuration, kid oneoneoneoneone, /tmp/.tmpAbCdEf/claimgate.yaml",
    ]
    assert not found("\n".join(lines), *(("token", token()) for _ in range(50)))
