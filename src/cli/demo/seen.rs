//! A request's outcome as the tables have it: one line of what the client got and what the upstream saw of it. Nothing of
//! a token is in it.

use serde_json::Value;

use super::client::Answer;

/// The headers of a request with this token.
pub(super) fn bearer(token: &str) -> Vec<(String, String)> {
    vec![("Authorization".to_owned(), format!("Bearer {token}"))]
}

/// What came of a request: status and reason, and what of the identity headers the upstream saw, where it `arrived` that
/// often.
pub(super) fn describe(answer: &Answer, arrived: u64) -> String {
    let status = answer.status;
    if status == 200 && arrived == 1 {
        return format!("200, saw {}", identity(&answer.json().unwrap_or_default()));
    }
    let reason = answer.header("x-ext-auth-reason").map(|reason| format!(" {reason}"));
    let note = if arrived == 0 { "" } else { ", reached the upstream" };
    format!("{status}{}{note}", reason.unwrap_or_default())
}

/// Every header in the upstream's report that could pass for an identity: the credential itself, and all
/// that CGI-like upstreams would read as `x-jwt-…`.
fn identity(report: &Value) -> String {
    let headers = report["headers"].as_array().into_iter().flatten();
    let mut seen: Vec<String> = headers
        .filter_map(|pair| Some((pair[0].as_str()?, pair[1].as_str()?)))
        .filter(|(name, _)| {
            let folded = name.to_ascii_lowercase().replace(['_', '.'], "-");
            folded.starts_with("x-jwt-") || folded == "authorization"
        })
        .map(|(name, value)| match name {
            // The one value that must not be printed.
            "authorization" => "authorization".to_owned(),
            _ => format!("{name}={value}"),
        })
        .collect();
    seen.sort();
    if seen.is_empty() { "no claim header".to_owned() } else { seen.join(" ") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_spelling_and_every_repetition_shows() {
        let report = json!({"headers": [
            ["x-jwt-sub", "alice"], ["x_jwt_sub", "mallory"], ["x.jwt.sub", "m"], ["x-jwt-sub", "b"],
            ["authorization", "Bearer secret"], ["accept", "*/*"],
        ]});
        let expected = "authorization x-jwt-sub=alice x-jwt-sub=b x.jwt.sub=m x_jwt_sub=mallory";
        assert_eq!(identity(&report), expected);
        assert_eq!(identity(&json!({"headers": []})), "no claim header");
    }
}
