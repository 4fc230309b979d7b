"""Runs every test of this directory and counts them; the last lines are what tests/run.sh adds up. Started by run.sh.

A test is a function of `rules`, `runbook`, `dashboard`, `answered` or `page` that was registered with `@test`. It fails by an exception.
"""

import sys
import traceback

import world
import rules  # noqa: F401  registers its tests
import runbook  # noqa: F401
import dashboard  # noqa: F401
import answered  # noqa: F401
import page  # noqa: F401
from service import Running


def main():
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    passed, failed = 0, 0
    try:
        for function in world.TESTS:
            if wanted not in function.__name__:
                continue
            try:
                function()
                passed += 1
            except Exception:  # noqa: BLE001  whatever it is, the others run
                failed += 1
                print(f"FAILED {function.__name__}\n{traceback.format_exc()}")
    finally:
        Running.end()
    for what, count in world.COUNTS.items():
        print(f"counted: {count} {what}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


sys.exit(main())
