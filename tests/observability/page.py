"""The status page, looked at with a real browser on a desk and on a phone, by day and by night: it needs nothing else, fits, can be
read, and says of each claimgate how it stands. The pictures are kept, for people."""

import base64
import hashlib
import os
import pathlib
import re
import struct

import browser
import world
from service import Running
from world import test

PICTURES = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", world.ROOT / "target")) / "status-page"
SCREENS = (("desk", 1280, 900), ("phone", 390, 844))
# Of small text, WCAG 2.
LEAST_CONTRAST = 4.5

# What a reader finds on the page of each.
TOLD = {
    "well": ["ready", "deny expired", "deny overloaded", "would_deny insufficient_scope", "accounts, source 0 fresh", "key-1",
             "shared symmetric_key", "private private_key", "1 token", "Certificates", "generation 2"],
    "poor": ["deny keys_unavailable", "deny revocation_stale", "gone, source 0 waiting", "never read", "last error", "Revocations", "failures"],
}


@test
def the_status_page_can_be_read_on_any_screen_and_asks_for_nothing():
    PICTURES.mkdir(parents=True, exist_ok=True)
    taken = 0
    with browser.opened() as chromium:
        for name, told in TOLD.items():
            url = f"http://{getattr(Running.now(), name).admin}/"
            for screen, width, height in SCREENS:
                for scheme in ("light", "dark"):
                    events = chromium.look_at(url, width, height, scheme)
                    place = f"{name}-{screen}-{scheme}"
                    asks_for_nothing(events, url)
                    fits(chromium, width, place)
                    can_be_read(chromium, place, scheme)
                    text = re.sub(r"\s+", " ", chromium.value("document.body.innerText"))
                    missing = [part for part in told if part not in text]
                    assert not missing, f"{place}: {missing} is not in {text}"
                    picture = chromium.picture()
                    assert struct.unpack(">I", picture[16:20])[0] == width, place
                    (PICTURES / f"{place}.png").write_bytes(picture)
                    taken += 1
    world.COUNTS[f"screenshots taken: {PICTURES}"] = taken


@test
def its_policy_lets_a_browser_use_the_style_that_is_in_it_and_nothing_else():
    service = Running.now().well
    status, headers, html = service.get(f"http://{service.admin}/")
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = {"default-src 'none'", f"style-src 'sha256-{digest}'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"}
    assert status == 200 and set(headers["content-security-policy"].split("; ")) == policy, headers
    assert headers["content-type"] == "text/html; charset=utf-8" and headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store" and headers["referrer-policy"] == "no-referrer"


def asks_for_nothing(events, url):
    """But for itself; and the policy of the page has nothing to forbid."""
    asked = [event["params"]["request"]["url"] for event in events if event.get("method") == "Network.requestWillBeSent"]
    assert asked == [url], asked
    told = [event for event in events if event.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown", "Audits.issueAdded")]
    assert not told, told


def fits(chromium, width, place):
    """Nobody has to scroll sideways."""
    assert chromium.value("document.documentElement.scrollWidth") <= width, place
    wide = chromium.value("[...document.querySelectorAll('body *')].filter(e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0)"
                          ".map(e => e.outerHTML.slice(0, 200))")
    assert not wide, f"{place}: {wide}"


def can_be_read(chromium, place, scheme):
    """Each text against what is behind it; and small text is not too small."""
    page = chromium.value("getComputedStyle(document.body).backgroundColor")
    assert (luminance(page) < 0.2) == (scheme == "dark"), f"{place}: {page}"
    for behind, text, size, words in chromium.value(TEXTS):
        lighter, darker = sorted((luminance(behind), luminance(text)), reverse=True)
        contrast = (lighter + 0.05) / (darker + 0.05)
        assert contrast >= LEAST_CONTRAST, f"{place}: {words}: {text} on {behind} is {contrast:.1f}"
        assert size >= 12, f"{place}: {words}: {size} px"


TEXTS = """[...document.querySelectorAll('body, body *')]
  .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
  .map(e => {
    let b = e;
    while (b.parentElement && getComputedStyle(b).backgroundColor === 'rgba(0, 0, 0, 0)') b = b.parentElement;
    const s = getComputedStyle(e);
    return [getComputedStyle(b).backgroundColor, s.color, parseFloat(s.fontSize), e.textContent.trim().slice(0, 60)];
  })"""


def luminance(colour):
    """As WCAG 2 counts it, of `rgb(1, 2, 3)`."""
    def linear(part):
        part = int(part) / 255
        return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(part) for part in re.findall(r"\d+", colour)[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
