"""Holds the tests themselves to keeping what they use and what they hear: a test that starts claimgate, or mints, in a way of
its own would be searched by nobody. Called by main.py."""

import pathlib
import re

TESTS = pathlib.Path(__file__).resolve().parents[1]
# Functions that log nothing and processes that tell nothing; what runs here is parsers and verifiers.
PURE = {"fuzz", "properties", "simulation.rs", "wycheproof.rs"}


def rust():
    for path in sorted(TESTS.rglob("*.rs")):
        name = path.relative_to(TESTS)
        if name.parts[0] not in PURE and name != pathlib.Path("support/kept.rs"):
            yield name, path.read_text()


def test_every_claimgate_that_a_test_starts_is_listened_to():
    starts = [(name, text) for name, text in rust() if "CARGO_BIN_EXE_claimgate" in text]
    assert len(starts) > 10
    for name, text in starts:
        assert re.search(r"kept::(printed|printed_but|line|logged|stream|file)\(", text), f"{name}: see tests/support/kept.rs"
        assert not re.search(r"\.std(out|err)\(Stdio::null", text), f"{name}: kept::stream is for that"
    for folder in ("image", "manifests", "observability"):
        assert "kept." in "".join(path.read_text() for path in (TESTS / folder).glob("*.py")), folder


def test_every_token_that_a_test_mints_is_kept():
    minting = re.compile(r"issuer::mint::(\{[^}]*)?\bmint")
    assert minting.search("use claimgate::issuer::mint::{mint, overlay};")
    for name, text in rust():
        assert not minting.search(text) or name.name == "layering.rs", f"{name}: mint with crate::kept"
