//! The scalars of the YAML that are one of a few words.

use super::scalar::Scalar;
use crate::revocation::EntryKind;
use crate::telemetry::traces::settings::Protocol;

/// `allow: anyone`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Anyone;

impl Scalar for Anyone {
    const EXPECTED: &'static str = "anyone";

    fn parse(text: &str) -> Option<Self> {
        (text == "anyone").then_some(Self)
    }
}

/// `format`, where it is not text with arrays joined.
#[derive(Clone, Copy, Debug)]
pub(super) enum RawClaimFormat {
    Json,
    Base64,
    Base64Url,
}

impl Scalar for RawClaimFormat {
    const EXPECTED: &'static str = "json, base64 or base64url";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "json" => Some(Self::Json),
            "base64" => Some(Self::Base64),
            "base64url" => Some(Self::Base64Url),
            _ => None,
        }
    }
}

/// `too_long`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RawTooLong {
    Deny,
    Drop,
}

impl Scalar for RawTooLong {
    const EXPECTED: &'static str = "deny or drop";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "deny" => Some(Self::Deny),
            "drop" => Some(Self::Drop),
            _ => None,
        }
    }
}

/// `all_tokens`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RawAllTokens {
    Refuse,
    Verify,
}

impl Scalar for RawAllTokens {
    const EXPECTED: &'static str = "refuse or verify";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "refuse" => Some(Self::Refuse),
            "verify" => Some(Self::Verify),
            _ => None,
        }
    }
}

/// `mode` of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RawRuleMode {
    Enforce,
    Shadow,
}

impl Scalar for RawRuleMode {
    const EXPECTED: &'static str = "enforce or shadow";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "enforce" => Some(Self::Enforce),
            "shadow" => Some(Self::Shadow),
            _ => None,
        }
    }
}

/// `cors_preflight`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CorsPreflight {
    Allow,
    Check,
}

impl Scalar for CorsPreflight {
    const EXPECTED: &'static str = "allow or check";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "allow" => Some(Self::Allow),
            "check" => Some(Self::Check),
            _ => None,
        }
    }
}

/// `revocation` of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RawRuleRevocation {
    Check,
    Ignore,
}

impl Scalar for RawRuleRevocation {
    const EXPECTED: &'static str = "check or ignore";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "check" => Some(Self::Check),
            "ignore" => Some(Self::Ignore),
            _ => None,
        }
    }
}

/// `when_stale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RawWhenStale {
    Allow,
    Deny,
}

impl Scalar for RawWhenStale {
    const EXPECTED: &'static str = "deny or allow";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "deny" => Some(Self::Deny),
            "allow" => Some(Self::Allow),
            _ => None,
        }
    }
}

/// `without_jti`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RawWithoutJti {
    Accept,
    Refuse,
}

impl Scalar for RawWithoutJti {
    const EXPECTED: &'static str = "refuse or accept";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "refuse" => Some(Self::Refuse),
            "accept" => Some(Self::Accept),
            _ => None,
        }
    }
}

/// `before_first_load`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RawBeforeFirstLoad {
    NotReady,
    Ready,
}

impl Scalar for RawBeforeFirstLoad {
    const EXPECTED: &'static str = "not_ready or ready";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "not_ready" => Some(Self::NotReady),
            "ready" => Some(Self::Ready),
            _ => None,
        }
    }
}

impl Scalar for Protocol {
    const EXPECTED: &'static str = "grpc or http/protobuf";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "grpc" => Some(Self::Grpc),
            "http/protobuf" => Some(Self::HttpProtobuf),
            _ => None,
        }
    }
}

impl Scalar for EntryKind {
    const EXPECTED: &'static str = "token, subject, session, key or issuer";

    fn parse(text: &str) -> Option<Self> {
        Self::from_word(text)
    }
}
