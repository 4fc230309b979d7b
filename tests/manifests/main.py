"""Runs every test of this directory and counts them; the last lines are what tests/run.sh adds up. Started by run.sh.

A test is a function of another file here that was registered with `@test`, or with `@each(...)` for each of several values.
It fails by an exception. An argument runs only the tests whose name contains it.
"""

import sys
import traceback

import world
import chart  # noqa: F401  registers its tests
import configuration  # noqa: F401
import deploy  # noqa: F401
import features  # noqa: F401
import running  # noqa: F401
import told  # noqa: F401


def main():
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    passed, failed = 0, 0
    for name, run in world.TESTS:
        if wanted not in name:
            continue
        try:
            run()
            passed += 1
        except Exception:  # noqa: BLE001  whatever it is, the others run
            failed += 1
            print(f"FAILED {name}\n{traceback.format_exc()}")
    print(f"counted: {world.VALIDATED} manifests validated: each with Kubernetes {' and '.join(world.KUBERNETES)}")
    print(f"counted: {world.RENDERED} charts rendered")
    print(f"counted: {world.CHECKED} configurations read by claimgate and by its JSON Schema")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
