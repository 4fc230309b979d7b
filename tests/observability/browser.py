"""A headless Chromium that is told what to do over a pipe, by its DevTools protocol: one page at a time, and nothing stays of it."""

import base64
import contextlib
import fcntl
import json
import os
import select
import subprocess
import tempfile
import time

PATIENCE = 60
# No sandbox: Chromium has none as root, which is who runs tests in a container. What it opens is ours.
OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
           "--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe"]


@contextlib.contextmanager
def opened():
    with tempfile.TemporaryDirectory() as profile:
        read, commands = pipe()
        answers, write = pipe()
        # Chromium reads its orders from 3 and answers on 4.
        shell = ["bash", "-c", f'exec "$@" 3<&{read} 4>&{write}', "bash"]
        process = subprocess.Popen([*shell, "chromium", *OPTIONS, f"--user-data-dir={profile}", "about:blank"],
                                   pass_fds=(read, write), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(read)
        os.close(write)
        try:
            yield Browser(process, commands, answers)
        finally:
            os.close(commands)
            try:
                # It ends with its pipe.
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            os.close(answers)


class Browser:
    def __init__(self, process, commands, answers):
        self.process, self.commands, self.answers = process, commands, answers
        self.read, self.number, self.events = b"", 0, []
        target = self.ask("Target.createTarget", {"url": "about:blank"}, None)["targetId"]
        self.session = self.ask("Target.attachToTarget", {"targetId": target, "flatten": True}, None)["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime", "Audits"):
            self.ask(f"{domain}.enable")
        # As somebody who lets no page run any. What the test asks of a page is run all the same.
        self.ask("Emulation.setScriptExecutionDisabled", {"value": True})

    def look_at(self, url, width, height, scheme):
        """Opens a page, on a screen of this size. Returns what happened meanwhile."""
        phone = width < 600
        self.ask("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone})
        self.ask("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        self.events = []
        failed = self.ask("Page.navigate", {"url": url}).get("errorText")
        assert not failed, f"{url}: {failed}"
        self.wait_for("Page.loadEventFired")
        return self.events

    def value(self, expression):
        answer = self.ask("Runtime.evaluate", {"expression": expression, "returnByValue": True})
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def picture(self):
        """The whole page, as PNG."""
        return base64.b64decode(self.ask("Page.captureScreenshot", {"format": "png", "captureBeyondViewport": True})["data"])

    def ask(self, method, parameters=None, session=""):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters or {}}
        if session is not None:
            message["sessionId"] = self.session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + PATIENCE
        while True:
            answer = self.next(until)
            if answer.get("id") == self.number:
                assert "error" not in answer, f"{method}: {answer}"
                return answer["result"]
            self.events.append(answer)

    def wait_for(self, event):
        until = time.monotonic() + PATIENCE
        while not any(one.get("method") == event for one in self.events):
            self.events.append(self.next(until))

    def next(self, until):
        """The next message."""
        while b"\0" not in self.read:
            readable, _, _ = select.select([self.answers], [], [], max(0, until - time.monotonic()))
            assert readable, "Chromium does not answer"
            more = os.read(self.answers, 1 << 20)
            assert more, f"Chromium ended: {self.process.wait(PATIENCE)}"
            self.read += more
        message, _, self.read = self.read.partition(b"\0")
        return json.loads(message)


def pipe():
    """Away from the numbers that Chromium uses."""
    ends = []
    for end in os.pipe():
        ends.append(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10))
        os.close(end)
    return ends
