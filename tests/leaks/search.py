"""The search: in everything that was told, for parts of every token and secret that was kept. Decides nothing about what is
kept; the folders are described in tests/support/kept.rs.

One pass over what was told collects its runs of base64 characters, each once: identifiers and paths come again and again, and a
token comes nowhere. Then each token is held, window by window, against the windows of those runs. So every window of
every token is looked for, none is sampled, and what takes memory are the distinct runs of the logs, however many tokens there are.
"""

import base64
import binascii
import json
import re
import urllib.parse

# As many characters of a token say which it was: 96 bits.
WINDOW = 16
# Of a claim that is told from others by its value.
WORD = 8

RUN = re.compile(rb"[A-Za-z0-9_+/-]{%d,}" % WINDOW)
WORDS = re.compile(rb"[A-Za-z0-9_.@:+~-]{%d,}" % WORD)
# What shows a secret whosever it is.
FORMS = {
    # Where a segment begins: within one, three random letters are these once in a while, and its windows are known. Or two segments
    # too long for the parts of a name: not everybody writes JSON without white space.
    "what looks like a token": re.compile(rb"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{10,}|[A-Za-z0-9_-]{16}\.[A-Za-z0-9_-]{40}"),
    "a private key in PEM": re.compile(rb"BEGIN [A-Z ]*PRIVATE KEY"),
    "a private JWK": re.compile(rb'"(d|p|q|k)\\*": ?\\*"[A-Za-z0-9_-]{16,}'),
}
# Octets as Rust's Debug writes them.
OCTETS = re.compile(rb"\b\d{1,3}(?:, ?\d{1,3}){%d,}" % (WINDOW - 1))
ESCAPE = re.compile(rb"\\+(?:u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|.)")
# Claims that say whose and for whom a token is, which configurations, status pages and logs say as well.
NOT_PRIVATE = {"iss", "aud", "azp", "client_id", "scope", "scp", "typ", "alg", "kid"}


class Searched:
    """What was found, and how much was looked at."""

    def __init__(self, told, secrets):
        self.leaks = {kind: [] for kind in (*FORMS, "a part of a token", "a secret", "a part of a private key", "a claim")}
        self.files = self.lines = self.octets = 0
        self.kinds = {"token": 0, "secret": 0, "key": 0}
        self.claims = 0
        self.plain = None
        # Where each was first. Words are of a suite: others may use one for something else.
        self._runs, self._words = {}, {}
        known = list(read(secrets))
        # What is no run of base64 is searched for as it is.
        plain = {value for _, kind, value in known if kind == "secret" and not RUN.fullmatch(value) and value}
        if plain:
            self.plain = re.compile(b"|".join(re.escape(value) for value in sorted(plain)))
        for file in sorted(path for path in told.rglob("*") if path.is_file()):
            self._file(file)
        self._hold(known)

    def _file(self, path):
        self.files += 1
        service = suite(path.name) if path.suffix == ".service" else None
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                self.lines += 1
                self.octets += len(line)
                place = f"{path.name}:{number}"
                for form in forms(line):
                    self._line(form, place, service)

    def _line(self, line, place, service):
        for kind, pattern in FORMS.items():
            if pattern.search(line):
                self.leaks[kind].append(place)
        if self.plain and self.plain.search(line):
            self.leaks["a secret"].append(place)
        for run in RUN.findall(line):
            self._runs.setdefault(run, place)
        if service:
            for word in WORDS.findall(line):
                self._words.setdefault((service, word), place)

    def _hold(self, known):
        windows = {}
        for run, place in self._runs.items():
            for at in range(len(run) - WINDOW + 1):
                windows.setdefault(run[at:at + WINDOW], place)
        held, found = set(), {}
        issuers, claims = set(), {}
        for origin, kind, value in known:
            self.kinds[kind] += 1
            what = {"token": "a part of a token", "secret": "a secret", "key": "a part of a private key"}[kind]
            for part in {"token": segments, "secret": lambda whole: [whole], "key": private}[kind](value):
                if part in held:
                    continue
                held.add(part)
                for place in {windows[window] for window in cut(part) if window in windows}:
                    found.setdefault((what, place), []).append(origin)
            if kind == "token":
                collect(value, origin, claims, issuers)
        for (what, place), origins in found.items():
            # Tokens of one issuer begin alike.
            others = f" and {len(origins) - 1} more" if len(origins) > 1 else ""
            self.leaks[what].append(f"{place}: of {origins[0]}{others}")
        for (of, value), origin in claims.items():
            if value not in issuers:
                self.claims += 1
                if (of, value) in self._words:
                    self.leaks["a claim"].append(f"{self._words[of, value]}: of {origin}")


def suite(file):
    return file.split("-")[0]


def read(folder):
    """(which, kind, value) of everything that may not be told."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        with path.open() as file:
            for number, line in enumerate(file, 1):
                entry = json.loads(line)
                yield f"{path.name}:{number}", entry["kind"], entry["value"].encode()


def forms(line):
    """The line, and what it was before somebody escaped it, or wrote down its octets."""
    yield line
    unescaped = line
    for _ in range(3):
        before = unescaped
        if b"\\" in unescaped:
            unescaped = ESCAPE.sub(meant, unescaped)
        if b"%" in unescaped:
            unescaped = urllib.parse.unquote_to_bytes(unescaped)
        if unescaped == before:
            break
        yield unescaped
    for octets in OCTETS.findall(line):
        yield bytes(int(octet) & 255 for octet in octets.split(b","))


def meant(escape):
    digits = next((group for group in escape.groups() if group), None)
    if digits is None:
        # `\n` is the end of a word; so is everything else here but a sign that needed none.
        return b"\n" if escape[0][-1:] in b"nrt0" else escape[0][-1:]
    return chr(min(int(digits, 16), 0x10FFFF)).encode(errors="replace")


def segments(token):
    """What is secret of a token: not its header, which is the same for all tokens of a key."""
    parts = token.split(b".")
    return parts[1:] if len(parts) > 1 and parts[0].startswith(b"eyJ") else parts


def private(pem):
    """What is private of a PKCS#8 document, but for its first octets, which say what it is: RSA's begins with the
    modulus, and that of an elliptic curve ends with the point."""
    body = b"".join(line for line in pem.split() if not line.startswith(b"-----"))
    body = b"".join(pem.replace(b"\r", b"").split(b"\n")[1:-1]) if b"-----" in pem else body
    body = body.split(b"-----")[0]
    part = body[len(body) * 3 // 10:] if len(body) > 800 else body[26:88]
    return [part, part.translate(bytes.maketrans(b"+/", b"-_"))]


def cut(part):
    """Its windows. One of the same few characters over and over says nothing of a token."""
    for at in range(len(part) - WINDOW + 1):
        window = part[at:at + WINDOW]
        if len(set(window)) > 3:
            yield window


def collect(token, origin, claims, issuers):
    """The values of its claims, and those that are names of issuers and audiences in any token."""
    try:
        payload = token.split(b".")[1]
        payload = json.loads(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))
    except (IndexError, ValueError, binascii.Error, RecursionError):
        return
    if isinstance(payload, dict):
        for name, value in payload.items():
            for text in texts(value):
                if name in NOT_PRIVATE:
                    issuers.add(text)
                elif WORDS.fullmatch(text):
                    claims.setdefault((suite(origin), text), origin)


def texts(value):
    stack = [value]
    while stack:
        value = stack.pop()
        if isinstance(value, str):
            yield value.encode(errors="replace")
        elif isinstance(value, list):
            stack += value
        elif isinstance(value, dict):
            stack += value.values()
