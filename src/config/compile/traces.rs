//! `traces`: where spans go, and which checks become one. Nothing is connected to here, and no file is read.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use url::Url;

use super::Compiler;
use crate::config::raw::{RawHeaderFile, RawResourceAttribute, RawTraces};
use crate::config::report::{Path, quote};
use crate::config::scalar::{Count, List, Mapping, Text};
use crate::keys::source::{is_loopback, key_url};
use crate::telemetry::traces::settings::{HeaderFile, Protocol, TraceSettings};
use crate::util::client_tls::ClientTls;

const DEFAULT_NAME: &str = "claimgate";
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// The path that OTLP gives to traces.
const DEFAULT_PATH: &str = "/v1/traces";

const MOST_ATTRIBUTES: usize = 32;
const MOST_HEADERS: usize = 8;
const MOST_BYTES: usize = 256;

/// What the exporter says itself.
const OURS: [&str; 3] = ["service.name", "service.version", "service.instance.id"];

/// What gRPC and HTTP say themselves.
const RESERVED: [&str; 6] =
    ["host", "content-type", "content-length", "te", "connection", "user-agent"];

impl Compiler<'_> {
    pub(super) fn traces(
        &mut self,
        path: &Path,
        raw: Option<Mapping<RawTraces>>,
    ) -> Option<Arc<TraceSettings>> {
        let Mapping(raw) = raw?;
        let protocol = raw.protocol.map_or(Protocol::Grpc, |Text(protocol)| protocol);
        let endpoint = self.endpoint(&path.key("endpoint"), raw.endpoint.as_deref(), protocol);
        let tls = self.tls_to_collector(path, &raw);
        let headers = self.header_files(&path.key("headers"), raw.headers);
        let resource = self.resource(&path.key("resource"), raw.resource);
        let service_name = raw.service_name.unwrap_or_else(|| DEFAULT_NAME.to_owned());
        self.attribute_text(&path.key("service_name"), &service_name);
        let sample = raw.sample.map_or(0, |Text(Count(one_in))| one_in);
        let timeout = raw.timeout.map_or(DEFAULT_TIMEOUT, |Text(timeout)| timeout);
        if timeout < Duration::from_millis(100) || timeout > Duration::from_secs(60) {
            let found = format!("{} ms", timeout.as_millis());
            self.report.wrong(&path.key("timeout"), found, "100ms to 60s");
        }
        let endpoint = endpoint?;
        if endpoint.scheme() == "http" {
            if tls != ClientTls::default() {
                self.report.wrong(path, "a setting of TLS", "an https:// endpoint with it");
            }
            if self.is_production() && !headers.is_empty() && !is_loopback(&endpoint) {
                let expected =
                    "an https:// endpoint, or no headers: what is in their files is secret";
                self.report.wrong(
                    &path.key("headers"),
                    "headers that anybody could read",
                    expected,
                );
            }
        }
        Some(Arc::new(TraceSettings {
            endpoint,
            protocol,
            tls,
            headers,
            service_name,
            resource,
            sample: u64::try_from(sample).ok().and_then(NonZeroU64::new),
            timeout,
            accepts_readable_secrets: !self.is_production(),
        }))
    }

    fn endpoint(&mut self, path: &Path, text: Option<&str>, protocol: Protocol) -> Option<Url> {
        const EXPECTED: &str = "http:// or https://, with host and port, without user and query";
        let Some(text) = text else {
            self.report.missing(path, format!("the collector: {EXPECTED}"));
            return None;
        };
        let mut url = match key_url(text, true) {
            Ok(url) if url.query().is_none() => url,
            Ok(_) => {
                self.report.wrong(path, "a URL with a query (not shown)", EXPECTED);
                return None;
            }
            Err(_) => {
                self.report.wrong(path, "something else (not shown)", EXPECTED);
                return None;
            }
        };
        match (protocol, url.path()) {
            (Protocol::Grpc, "/") => {}
            (Protocol::Grpc, _) => {
                self.report.wrong(path, quote(text), "a URL without a path, or http/protobuf");
            }
            (Protocol::HttpProtobuf, "/") => url.set_path(DEFAULT_PATH),
            (Protocol::HttpProtobuf, _) => {}
        }
        Some(url)
    }

    fn tls_to_collector(&mut self, path: &Path, raw: &RawTraces) -> ClientTls {
        let ca_file = self.file_at(path, "ca_file", raw.ca_file.as_deref(), "certificates in PEM");
        let (cert_file, key_file) = (&raw.client_cert_file, &raw.client_key_file);
        let identity = self.client_identity(path, cert_file.as_deref(), key_file.as_deref());
        ClientTls { ca_file, identity }
    }

    fn header_files(
        &mut self,
        path: &Path,
        raw: Option<List<Mapping<RawHeaderFile>>>,
    ) -> Vec<HeaderFile> {
        let list = raw.map(|List(list)| list).unwrap_or_default();
        if list.len() > MOST_HEADERS {
            self.report.wrong(path, list.len(), format!("at most {MOST_HEADERS} headers"));
        }
        let mut headers: Vec<HeaderFile> = Vec::with_capacity(list.len());
        for (index, raw) in list.into_iter().enumerate() {
            let (path, Some(Mapping(raw))) = (path.index(index), raw) else { continue };
            let name_path = path.key("name");
            let Some(text) = raw.name else {
                self.report.missing(&name_path, "the name of a header");
                continue;
            };
            let name = HeaderName::try_from(text.as_str()).ok();
            let name = name.filter(|name| {
                let name = name.as_str();
                !RESERVED.contains(&name) && !name.starts_with("grpc-") && !name.ends_with("-bin")
            });
            if name.as_ref().is_none_or(|name| headers.iter().any(|known| known.name == *name)) {
                let expected = "the name of a header, each once, and none of HTTP's or gRPC's own";
                self.report.wrong(&name_path, quote(&text), expected);
            }
            let Some(file) = raw.file else {
                self.report.missing(&path.key("file"), "the path of a file with its value");
                continue;
            };
            let file = self.file(&path.key("file"), &file, "a file with the header's value");
            headers.extend(name.map(|name| HeaderFile { name, file }));
        }
        headers
    }

    fn resource(
        &mut self,
        path: &Path,
        raw: Option<List<Mapping<RawResourceAttribute>>>,
    ) -> Vec<(String, String)> {
        let list = raw.map(|List(list)| list).unwrap_or_default();
        if list.len() > MOST_ATTRIBUTES {
            self.report.wrong(path, list.len(), format!("at most {MOST_ATTRIBUTES} attributes"));
        }
        let mut resource: Vec<(String, String)> = Vec::with_capacity(list.len());
        for (index, raw) in list.into_iter().enumerate() {
            let (path, Some(Mapping(raw))) = (path.index(index), raw) else { continue };
            for (key, text) in [("name", &raw.name), ("value", &raw.value)] {
                match text {
                    Some(text) => self.attribute_text(&path.key(key), text),
                    None => self.report.missing(&path.key(key), "a text"),
                }
            }
            let (Some(name), Some(value)) = (raw.name, raw.value) else { continue };
            let is_taken = resource.iter().any(|(known, _)| *known == name);
            if is_taken || OURS.contains(&name.as_str()) {
                let expected = format!("each name once, and none of {}", OURS.join(", "));
                self.report.wrong(&path.key("name"), quote(&name), expected);
            }
            resource.push((name, value));
        }
        resource
    }

    fn attribute_text(&mut self, path: &Path, text: &str) {
        if text.is_empty() || text.len() > MOST_BYTES || text.chars().any(char::is_control) {
            let expected = format!("1 to {MOST_BYTES} bytes, without control characters");
            self.report.wrong(path, quote(text), expected);
        }
    }
}
