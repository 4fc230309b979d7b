"""A terminal that somebody types into: one bash, and whatever it has started, which ends with it."""

import contextlib
import os
import queue
import signal
import subprocess
import threading
import time

# Printed behind the output of every command.
END = "--- the command has ended"


class Terminal:
    def __init__(self, folder, environment):
        self.bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"], cwd=folder, env={**os.environ, **environment}, text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            # So that all of it can be ended together.
            start_new_session=True)
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.bash.stdout:
            self.lines.put(line.rstrip("\r\n"))
        self.lines.put(None)

    def types(self, command, patience):
        """What it prints until it has ended."""
        # What reads standard input must not read the next command. The line break is for output that has none at its end.
        self._send(f"{{ {command}\n}} </dev/null\nprintf '\\n%s\\n' '{END}'\n")
        printed = []
        self._until(lambda line: line == END or printed.append(line), command, printed, patience)
        return printed[:-1] if printed and not printed[-1] else printed

    def begins(self, command, last, patience):
        """What it prints up to the line `last`; it goes on."""
        self._send(f"{command} </dev/null\n")
        printed = []
        self._until(lambda line: printed.append(line) or line == last, command, printed, patience)
        return printed

    def _send(self, text):
        self.bash.stdin.write(text)
        self.bash.stdin.flush()

    def _until(self, is_last, command, printed, patience):
        until = time.monotonic() + patience
        while True:
            try:
                line = self.lines.get(timeout=max(0, until - time.monotonic()))
            except queue.Empty:
                raise AssertionError(told(f"{command}: not after {patience} s", printed)) from None
            assert line is not None, told(f"{command}: the terminal is gone", printed)
            if is_last(line):
                return

    def end(self):
        """Ctrl-C, and what does not end by that is killed."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.bash.pid, signal.SIGINT)
        self.bash.stdin.close()
        try:
            self.bash.wait(20)
        except subprocess.TimeoutExpired:
            pass
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.bash.pid, signal.SIGKILL)
        self.bash.wait()


def told(what, printed):
    return "\n".join([what, *printed[-60:]])
