"""An issuer and its clients: what they ask, rightly and wrongly, until every metric of an issuer says something."""

import base64
import json
import pathlib
import shutil
import urllib.parse

import world
from process import LOOPBACK, Process, free_ports, run

SECRET = "a-secret-for-this-test"


class Issuer(Process):
    """`issuer` is well; any other cannot write what is revoked."""

    def __init__(self, stack, folder, name, key_dir):
        own = folder / name
        own.mkdir()
        self.is_well, self.key_dir = name == "issuer", own / "keys"
        shutil.copytree(key_dir, self.key_dir)
        world.kept.secret(SECRET)
        for pem in map(pathlib.Path.read_text, self.key_dir.glob("**/*.pem")):
            if "PRIVATE KEY" in pem:
                world.kept.key(pem)
        ports = free_ports("http", "admin", "nobody")
        self.url, self.admin = f"https://{LOOPBACK}:{ports['http']}", f"{LOOPBACK}:{ports['admin']}"
        secret_hash = run(world.CLAIMGATE, "issuer", "hash-secret", given=SECRET.encode()).decode().strip()
        store = {"file": str(own / "revoked.jsonl")} if self.is_well else {"redis": {"url": f"redis://{LOOPBACK}:{ports['nobody']}"}}
        configuration = {
            "profile": "development",
            "listen": {
                "http": f"{LOOPBACK}:{ports['http']}",
                "admin": self.admin,
                "tls": {"cert_file": str(folder / "tls.crt"), "key_file": str(folder / "tls.key")},
            },
            "issuer": self.url,
            "key_dir": str(self.key_dir),
            "clients": [{"id": "worker", "secret_hashes": [secret_hash], "audiences": ["orders"], "refresh_tokens": self.is_well}],
            "revocation": store,
            "limits": {"client_attempts": 4},
        }
        file = own / "issuer.yaml"
        file.write_text(json.dumps(configuration))
        super().__init__(stack, own, [world.CLAIMGATE, "issuer", "--config", file, "--drain-delay", 0])
        self.trust = str(folder / "tls.crt")

    def get(self, url, headers=None, data=None):
        status, headers, text = super().get(url, headers, data)
        told = text
        # To grant tokens is what it is for; nothing else that it says has one in it.
        for token in granted(status, text):
            world.kept.token(token)
            told = told.replace(token, "")
        world.kept.printed(f"{headers}\n{told}")
        return status, headers, text

    def end(self):
        super().end()
        world.kept.printed(self.log.read_text(errors="replace"))

    def issues(self):
        """Every kind of answer that clients get."""
        granted = self.asked("token", "ok", grant_type="client_credentials")
        for document in ("openid-configuration", "jwks.json"):
            self.get(f"{self.url}/.well-known/{document}")
        # Those of strangers have no limit of their own, so of the worker's attempts four are too many.
        for _ in range(4):
            self.asked("token", None, secret="another-secret-than-it-has", grant_type="client_credentials")
        told = self.asked("token", None, secret="another-secret-than-it-has", grant_type="client_credentials")
        assert told["error"] == "temporarily_unavailable", told
        if not self.is_well:
            told = self.asked("logout", None)
            assert told["error"] == "temporarily_unavailable", told
            return
        refresh = {"grant_type": "refresh_token", "refresh_token": granted["refresh_token"]}
        self.asked("token", "ok", **refresh)
        told = self.asked("token", None, **refresh)
        assert told["error"] == "invalid_grant", told
        self.asked("revoke", "ok", token=granted["access_token"])

    def rotates(self):
        """Another key signs, sooner than verifiers know of it: there are none."""
        run(world.CLAIMGATE, "keys", "rotate", "--dir", self.key_dir)
        run(world.CLAIMGATE, "keys", "rotate", "--dir", self.key_dir, "--force")

    def asked(self, endpoint, wanted, secret=SECRET, **form):
        """What the worker is told; `wanted` is "ok", or None for an error."""
        credentials = base64.b64encode(f"worker:{secret}".encode()).decode()
        headers = {"authorization": f"Basic {credentials}", "content-type": "application/x-www-form-urlencoded"}
        status, _, text = self.get(f"{self.url}/{endpoint}", headers, urllib.parse.urlencode(form).encode())
        assert (status == 200) == (wanted == "ok"), f"{endpoint}: {status} {text}"
        return json.loads(text or "{}")


def granted(status, text):
    """The tokens in an answer that grants some."""
    if status != 200 or '"access_token"' not in text:
        return []
    answer = json.loads(text)
    return [answer[name] for name in ("access_token", "refresh_token") if name in answer]
