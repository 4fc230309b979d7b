"""Searches everything that the whole suite told for parts of the tokens and secrets that it used, and first for those that are
planted here, so that a search which finds nothing is known to look. The last line is what tests/run.sh adds up, whose last step
this is; what it reads is kept by tests/support/kept.rs and kept.py.

    main.py FOLDER [SUITE…]

FOLDER is what CLAIMGATE_TEST_KEPT named while the suites ran. Each SUITE, or else every one, must have left something there.
A leak is named by file, line and the entry of `secrets` that it is a part of, and not shown.
"""

import pathlib
import sys
import time
import traceback

import planted
import sources
from search import Searched

# What each must have left in `told`: a service in the test's process logs, answers and shows pages; programs print; what runs on
# beside has a stream of its own.
INSIDE = ("log.service", "pages.service")
SUITES = {
    "attacks": INSIDE, "differential": INSIDE, "documents": ("printed",), "e2e": (*INSIDE, "printed", "envoy", "issuer", "proxy"),
    "faults": INSIDE, "image": ("[0-9].service",), "integration": (*INSIDE, "printed", "[0-9].service", "issuer"), "manifests": ("[0-9].service", ".printed"),
    "observability": ("[0-9].service",), "redis": (*INSIDE, "printed"), "runbook": (*INSIDE, "printed"), "step": ("",),
}
# The others need none for what they test.
WITHOUT_TOKENS = {"image", "manifests", "step"}
# Of one kind. More say nothing that these do not.
SHOWN = 20


def main():
    kept, wanted = pathlib.Path(sys.argv[1]), sys.argv[2:] or list(SUITES)
    tests = {name: test for module in (planted, sources) for name, test in vars(module).items() if name.startswith("test_")}
    tests |= {f"something was kept of {suite}": lambda suite=suite: something_was_kept(kept, suite) for suite in wanted}
    passed = failed = 0
    for name, test in tests.items():
        try:
            test()
            passed += 1
        except Exception:  # noqa: BLE001  whatever it is, the others run
            failed += 1
            print(f"FAILED {name}\n{traceback.format_exc()}")
    begun = time.monotonic()
    searched = Searched(kept / "told", kept / "secrets")
    for kind, leaks in searched.leaks.items():
        if leaks:
            failed += 1
            print(f"FAILED {kind} was told, {len(leaks)} times:")
            print("".join(f"  {leak}\n" for leak in leaks[:SHOWN]), end="")
        else:
            passed += 1
    shown = sorted({line for path in (kept / "shown").glob("*") for line in path.read_text().splitlines()})
    print("".join(f"not searched, since it is for showing: {line}\n" for line in shown), end="")
    kinds = searched.kinds
    for number, what in ((kinds["token"], "tokens"), (searched.claims, "claims"), (kinds["secret"] + kinds["key"], "keys and other secrets")):
        print(f"counted: {number} {what} that nothing may show")
    print(f"counted: {searched.lines} lines searched for parts of them")
    print(f"{searched.files} files, {searched.octets} bytes, {time.monotonic() - begun:.1f} s")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def something_was_kept(kept, suite):
    for kind in SUITES[suite]:
        assert any(path.stat().st_size for path in (kept / "told").glob(f"{suite}-*{kind}")), f"it told nothing: {kind}"
    if suite not in WITHOUT_TOKENS:
        assert any(path.stat().st_size for path in (kept / "secrets").glob(f"{suite}-*")), "it had no token"


if __name__ == "__main__":
    sys.exit(main())
