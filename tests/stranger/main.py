"""Follows README.md in a fresh clone, stage by stage, and says how long each took; no time is asserted. Started by run.sh."""

import contextlib
import math
import os
import pathlib
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import traceback

import readme
from terminal import Terminal, told

ROOT = pathlib.Path(__file__).resolve().parents[2]
# With everything to build, on a slow machine.
PATIENCE_TO_START = 3600
PATIENCE = 120
# Where README.md has the Prometheus; somebody else may be there.
PROMETHEUS = "127.0.0.1:9090"


def main():
    stages = readme.stages(committed("README.md"))
    assert len(stages) > 4, stages
    took = []
    with contextlib.ExitStack() as stack:
        stranger = Stranger(stack, cold="--cold" in sys.argv)
        for stage in stages:
            since = time.monotonic()
            try:
                stranger.follows(stage)
            except Exception:  # noqa: BLE001  the others stand on it
                print(f"FAILED {stage.name}\n{traceback.format_exc()}")
                break
            took.append((stage.name, time.monotonic() - since))
        else:
            try:
                asked, answered = stranger.looks_at_the_dashboard()
            except Exception:  # noqa: BLE001
                print(f"FAILED the dashboard\n{traceback.format_exc()}")
                took.pop()
            else:
                print(f"the dashboard: {asked} queries are asked of that Prometheus, {answered} have something to say already")
        typed = stranger.typed
    show(took, "cold" if "--cold" in sys.argv else "warm")
    print(f"counted: {typed} commands of README.md typed in a fresh clone")
    failed = int(len(took) < len(stages))
    print(f"{len(took)} passed, {failed} failed")
    return failed


class Stranger:
    def __init__(self, stack, cold):
        self.folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stranger-")))
        self.stack, self.typed, self.pasted = stack, 0, []
        self.tools = None if cold else ROOT / ".tools"
        # Whoever owns the checkout, it is ours to read.
        trusting = self.folder / "gitconfig"
        trusting.write_text("[safe]\n\tdirectory = *\n")
        target = self.folder / "target" if cold else pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
        self.environment = {"REPOSITORY": str(ROOT), "GIT_CONFIG_GLOBAL": str(trusting), "CARGO_TARGET_DIR": str(target), "LC_ALL": "C"}
        self.prometheus = f"127.0.0.1:{free_port()}"
        self.terminal = self.opens(self.folder)

    def opens(self, folder):
        terminal = Terminal(folder, self.environment)
        self.stack.callback(terminal.end)
        return terminal

    def follows(self, stage):
        for nth, (command, shown) in enumerate(stage.commands, start=1):
            self.typed += 1
            command = command.replace(PROMETHEUS, self.prometheus)
            goes_on = stage.goes_on and nth == len(stage.commands)
            if goes_on:
                printed = self.terminal.begins(command, shown[-1], PATIENCE_TO_START)
            else:
                printed = self.terminal.types(command, PATIENCE)
            assert readme.matches(shown, printed), told(f"$ {command}\ndid not print\n" + "\n".join(shown) + "\nbut", printed)
            if command.startswith("git clone"):
                self.has_cloned()
            if goes_on:
                # As it stands there: "paste the line".
                (line,) = [line for line in printed if line.startswith("ENVOY=")]
                self.terminal = self.opens(self.folder / "claimgate")
                self.terminal.types(line, PATIENCE)

    def has_cloned(self):
        clone = self.folder / "claimgate"
        if self.tools is not None and self.tools.exists():
            (clone / ".tools").symlink_to(self.tools)

    def looks_at_the_dashboard(self):
        """(queries, those with a value). Each can be asked, and what counts checks has series, be it 0 / 0 since nothing goes on;
        the rest is asked of busier claimgates in tests/observability."""
        os.environ["CLAIMGATE"] = str(pathlib.Path(self.environment["CARGO_TARGET_DIR"], "debug/claimgate"))
        import answered
        import dashboard
        from process import Prometheus

        # Its questions, without a process of its own: that one is the reader's.
        prometheus = Prometheus.__new__(Prometheus)
        prometheus.url = f"http://{self.prometheus}"
        prometheus.get = lambda url: (200, {}, subprocess.run(["curl", "-s", url], capture_output=True, text=True, timeout=PATIENCE).stdout)
        queries = [(title, answered.filled_in(query, "claimgate")) for title, query in dashboard.queries("claimgate")]
        until = time.monotonic() + PATIENCE
        while True:
            answers = [(title, query, [value for _, value in prometheus.query(query)]) for title, query in queries]
            silent = [title for title, query, values in answers if "claimgate_checks_total" in query and "decision=" not in query and not values]
            if not silent:
                return len(queries), sum(any(map(math.isfinite, values)) for _, _, values in answers)
            # A rate needs a second scrape.
            assert time.monotonic() < until, silent
            time.sleep(1)


def show(took, build):
    """A table as in deploy/docs/quick-start.md."""
    print(f"\n{machine()}; {build} build\n")
    print("| | took | since the beginning |\n| --- | ---: | ---: |")
    sum_of = 0.0
    for name, seconds in took:
        sum_of += seconds
        print(f"| {name} | {shown(seconds)} | {shown(sum_of)} |")
    print()


def shown(seconds):
    return f"{seconds:.1f} s" if seconds < 100 else f"{int(seconds) // 60} min {int(seconds) % 60} s"


def machine():
    cpu = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE) if platform.system() == "Linux" else None
    return f"{os.cpu_count()} processors ({cpu.group(1) if cpu else platform.machine()})"


def committed(file):
    """As a clone has it."""
    command = ["git", "-c", "safe.directory=*", "-C", str(ROOT), "show", f"HEAD:{file}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, f"this is not a clone: {done.stderr}"
    return done.stdout


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


if __name__ == "__main__":
    assert shutil.which("curl"), "missing: curl"
    sys.exit(main())
