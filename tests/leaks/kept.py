"""What the suites in Python keep for the search: the same as tests/support/kept.rs, whose head describes the folders, and nothing
where CLAIMGATE_TEST_KEPT names no directory. Not a judge of any of it. The `world` of each suite imports it, which it does by
the name `kept`.
"""

import json
import os
import pathlib
import sys

# The suite is the folder of the program that runs.
_SUITE = pathlib.Path(sys.argv[0]).resolve().parent.name
_ROOT = pathlib.Path(os.environ["CLAIMGATE_TEST_KEPT"]).resolve() if os.environ.get("CLAIMGATE_TEST_KEPT") else None
_told = set()


def token(value):
    _secret("token", value)


def secret(value):
    """Of a client, whole."""
    _secret("secret", value)


def key(pem):
    """A private key, in PEM."""
    _secret("key", pem)


def printed(text, of="printed"):
    """What a program told; `service` for the log and the pages of claimgate. A line that differs in digits alone is no other."""
    if _ROOT:
        text = text.decode(errors="replace") if isinstance(text, bytes) else text
        for line in text.splitlines():
            words = "".join(c for c in line if not c.isdigit())
            if (of, words) not in _told:
                _told.add((of, words))
                _append("told", f".{of}", line)


def done(finished):
    """A program that has ended, as `subprocess.run` returns it."""
    printed(finished.stdout or "")
    printed(finished.stderr or "")
    return finished


def _secret(kind, value):
    if _ROOT:
        _append("secrets", "", json.dumps({"kind": kind, "value": value}))


def _append(folder, kind, line):
    path = _ROOT / folder / f"{_SUITE}-{os.getpid()}{kind}"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(f"{line}\n")
