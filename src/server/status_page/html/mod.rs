//! The status page for people, at `/`: the same as `/status`, as HTML that needs no script and no other file, so that it
//! can be read on a phone through a port-forward. `server::admin` answers it.
//!
//! Whatever was not compiled in is text to a browser, which `writer` sees to. The policy lets a browser apply the one style
//! sheet and do nothing else, if that ever failed.

mod writer;

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use self::writer::Html;
use super::{
    ConfigurationPart, DecisionPart, IssuerPart, RevocationPart, SourcePart, StatusPage, TlsPart,
};
use crate::util::clock::UnixTime;
use crate::util::rfc3339::rfc3339;

/// The page, as of `now`.
pub fn of(page: &StatusPage, now: UnixTime) -> String {
    let mut html = Html::new(now);
    html.raw("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")
        .raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>claimgate: ")
        .raw(readiness(page).1)
        .raw("</title>\n<style>")
        .raw(STYLE)
        .raw("</style>\n</head>\n<body>\n");
    html.head(page, now);
    html.raw("<main>\n");
    html.decisions(&page.decisions);
    html.keys(&page.issuers);
    if let Some(revocation) = &page.revocation {
        html.revocation(revocation);
    }
    html.certificates(&page.tls);
    html.configuration(&page.configuration);
    html.raw("</main>\n<footer><p class=\"quiet\">The same for programs: <code>/status</code>, <code>/metrics</code></p></footer>\n</body>\n</html>\n");
    html.finish()
}

/// What a browser may do with it: `Content-Security-Policy`.
pub static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
});

const STYLE: &str = include_str!("style.css");

/// More of one kind are in `/status`.
const SHOWN: usize = 16;

impl Html {
    fn head(&mut self, page: &StatusPage, now: UnixTime) {
        let (class, word) = readiness(page);
        self.raw("<header>\n<h1>claimgate</h1>\n<p>").badge(class, word).raw(" ");
        self.text(page.version).raw(", profile ").text(page.profile).raw(", as of ");
        self.raw("<time>").text(&rfc3339(now)).raw("</time></p>\n");
        if !page.pending.is_empty() {
            self.raw("<ul>\n");
            for line in page.pending.iter().take(SHOWN) {
                self.raw("<li>").text(line).raw("</li>\n");
            }
            self.and_more(page.pending.len()).raw("</ul>\n");
        }
        self.raw("</header>\n");
    }

    fn decisions(&mut self, decisions: &[DecisionPart]) {
        self.raw("<section>\n<h2>Decisions</h2>\n");
        if decisions.is_empty() {
            self.raw("<p class=\"quiet\">Nobody has asked yet.</p>\n</section>\n");
            return;
        }
        self.raw("<div class=\"card\"><table>\n<thead><tr><th>decision</th>");
        self.raw("<th class=\"number\">1 min</th><th class=\"number\">5 min</th>");
        self.raw("<th class=\"number\">since start</th></tr></thead>\n<tbody>\n");
        for part in decisions {
            self.raw("<tr><td>").badge(class_of(part.decision), part.decision);
            if let Some(reason) = part.reason {
                self.raw(" <code>").text(reason).raw("</code>");
            }
            self.raw("</td>");
            for count in [part.last_minute, part.last_five_minutes, part.since_start] {
                self.raw("<td class=\"number\">").number(count).raw("</td>");
            }
            self.raw("</tr>\n");
        }
        self.raw("</tbody>\n</table></div>\n</section>\n");
    }

    fn keys(&mut self, issuers: &[IssuerPart]) {
        self.raw("<section>\n<h2>Keys</h2>\n<div class=\"cards\">\n");
        for issuer in issuers {
            for source in &issuer.sources {
                self.raw("<article class=\"card\">\n<h3>").text(&issuer.name);
                self.raw(", source ").text(&source.source).raw(" ");
                self.badge(class_of(source.state), source.state);
                self.raw(" <small>").text(&issuer.issuer).raw("</small></h3>\n");
                self.source(source);
                self.raw("</article>\n");
            }
        }
        self.raw("</div>\n</section>\n");
    }

    fn source(&mut self, source: &SourcePart) {
        self.raw("<dl>\n");
        self.named("read from").text(&source.location).end();
        self.named("keys are from").text(source.origin).end();
        self.named("age").age(source.age_seconds).end();
        self.named("kids");
        if source.kids.is_empty() {
            self.raw("none");
        }
        for (place, kid) in source.kids.iter().take(SHOWN).enumerate() {
            self.raw(if place == 0 { "<code>" } else { ", <code>" }).text(kid).raw("</code>");
        }
        self.and_more(source.kids.len()).end();
        if !source.skipped.is_empty() {
            self.named("not used");
            for (place, key) in source.skipped.iter().take(SHOWN).enumerate() {
                self.raw(if place == 0 { "<code>" } else { ", <code>" });
                self.text(key.kid.as_deref().unwrap_or("(no kid)")).raw("</code> ");
                self.text(key.reason);
            }
            self.and_more(source.skipped.len()).end();
        }
        self.named("next read");
        match &source.next_refresh {
            Some(next) => self.time(next),
            None => self.raw("never: part of the configuration, or watched"),
        };
        self.end();
        if let Some(until) = &source.usable_until {
            self.named("usable until").time(until).end();
        }
        self.failure("last error", source.last_error.as_deref(), source.last_error_at.as_deref());
        if source.failures > 0 {
            self.named("failures").number(source.failures.into()).raw(" in a row").end();
        }
        self.failure("warning", source.warning.as_deref(), None);
        self.failure("not on disk", source.persistence_error.as_deref(), None);
        self.raw("</dl>\n");
    }

    fn revocation(&mut self, part: &RevocationPart) {
        self.raw("<section>\n<h2>Revocations</h2>\n<article class=\"card\">\n<h3>");
        self.badge(class_of(part.state), part.state).raw("</h3>\n<dl>\n");
        let source = part.source.as_deref().unwrap_or("the configuration alone");
        self.named("read from").text(source).end();
        if part.source.is_some() {
            self.named("age").age(part.age_seconds).end();
        }
        let of = &part.entries;
        let kinds = [
            ("", " token", of.token),
            (", ", " subject", of.subject),
            (", ", " session", of.session),
            (", ", " key", of.key),
            (", ", " issuer", of.issuer),
        ];
        self.named("in force");
        for (between, what, count) in kinds {
            self.raw(between).number(count as u64).raw(what).raw(if count == 1 { "" } else { "s" });
        }
        self.end();
        if part.kept > 0 {
            self.named("kept").number(part.kept as u64).raw(" that the source has lost").end();
        }
        if let Some(at) = &part.epoch_changed {
            self.named("emptied").time(at).end();
        }
        if part.skipped > 0 {
            self.named("not read").raw("<span class=\"bad\">").number(part.skipped as u64);
            self.raw(if part.skipped == 1 { " entry</span>" } else { " entries</span>" });
            if let Some(first) = &part.skipped_because {
                self.raw(", the first: ").text(first);
            }
            self.end();
        }
        self.failure("last error", part.last_error.as_deref(), part.last_error_at.as_deref());
        self.raw("</dl>\n</article>\n</section>\n");
    }

    fn certificates(&mut self, parts: &[TlsPart]) {
        if parts.is_empty() {
            return;
        }
        self.raw("<section>\n<h2>Certificates</h2>\n<div class=\"cards\">\n");
        for part in parts {
            let state = if part.expired { "expired" } else { "valid" };
            self.raw("<article class=\"card\">\n<h3>").text(part.listener).raw(" ");
            self.badge(class_of(state), state).raw("</h3>\n<dl>\n");
            self.named("ends").time(&part.not_after).end();
            self.named("names").text(&part.names).end();
            self.named("serial").text(&part.serial).end();
            self.named("file").text(&part.cert_file).end();
            self.named("in use").time(&part.since).end();
            let (error, at) = (part.last_error.as_deref(), part.last_error_at.as_deref());
            self.failure("last error", error, at);
            self.raw("</dl>\n</article>\n");
        }
        self.raw("</div>\n</section>\n");
    }

    fn configuration(&mut self, part: &ConfigurationPart) {
        let state = if part.last_error.is_some() { "refused" } else { "in force" };
        self.raw("<section>\n<h2>Configuration</h2>\n<article class=\"card\">\n<h3>");
        self.badge(class_of(state), state).raw("</h3>\n<dl>\n");
        self.named("generation").number(part.generation).end();
        self.named("since").time(&part.since).end();
        for what in &part.needs_restart {
            self.named("takes a restart").text(what).end();
        }
        self.raw("</dl>\n");
        if let Some(error) = &part.last_error {
            self.raw("<p>The file has mistakes, the configuration before stays in force. Seen ");
            if let Some(at) = &part.last_error_at {
                self.time(at);
            }
            self.raw(":</p>\n<pre>").text(error).raw("</pre>\n");
        }
        self.raw("</article>\n</section>\n");
    }

    /// Begins a line of a list, for [`Self::end`] to end.
    fn named(&mut self, name: &'static str) -> &mut Self {
        self.raw("<dt>").raw(name).raw("</dt><dd>")
    }

    fn end(&mut self) {
        self.raw("</dd>\n");
    }

    fn failure(&mut self, name: &'static str, what: Option<&str>, at: Option<&str>) {
        let Some(what) = what else { return };
        self.named(name).raw("<span class=\"bad\">").text(what).raw("</span>");
        if let Some(at) = at {
            self.raw(", ").time(at);
        }
        self.end();
    }

    /// How much more than is shown there is.
    fn and_more(&mut self, count: usize) -> &mut Self {
        match count.checked_sub(SHOWN) {
            None | Some(0) => self,
            Some(more) => self.raw(" and ").number(more as u64).raw(" more"),
        }
    }
}

fn readiness(page: &StatusPage) -> (&'static str, &'static str) {
    if page.ready { ("good", "ready") } else { ("bad", "not ready") }
}

/// The look of a word; a reader who sees no colours has the word.
fn class_of(word: &str) -> &'static str {
    match word {
        "fresh" | "valid" | "in force" | "allow" | "fixed" => "good",
        "expired" | "stale" | "refused" => "bad",
        "deny" => "quiet",
        _ => "warn",
    }
}

#[cfg(test)]
mod tests;
