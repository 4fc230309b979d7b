"""Runs every test of this directory and counts them; the last line is what tests/run.sh adds up. Started by run.sh.

A test is a function of another file here that was registered with `@test`. It fails by an exception. An argument runs only
the tests whose name contains it.
"""

import signal
import sys
import time
import traceback

import world
import image  # noqa: F401  registers its tests
import service  # noqa: F401
import compose  # noqa: F401


def main():
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    passed, failed = 0, 0
    # Containers and mounts are taken away then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    world.loopback_up()
    with world.storage():
        for run in world.TESTS:
            if wanted not in run.__name__:
                continue
            begun = time.monotonic()
            try:
                run()
                passed += 1
                print(f"ok {run.__name__} ({time.monotonic() - begun:.1f} s)", flush=True)
            except Exception:  # noqa: BLE001  whatever it is, the others run
                failed += 1
                print(f"FAILED {run.__name__}\n{traceback.format_exc()}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
