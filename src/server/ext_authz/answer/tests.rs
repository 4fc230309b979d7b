//! What is put together against what protobuf makes of the same decision at a time.

use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;
use prost_types::Struct;
use prost_types::value::Kind;

use super::*;
use crate::check::forward::TokenHeaders;
use crate::proto::envoy::service::auth::v3::OkHttpResponse;
use crate::server::checks::before_any_rule;
use crate::util::label::Label;

fn read(framed: &[u8]) -> CheckResponse {
    let (frame, message) = framed.split_at(5);
    assert_eq!(frame, [&[0][..], &u32::try_from(message.len()).unwrap().to_be_bytes()].concat());
    CheckResponse::decode(message).unwrap()
}

/// The slow twin: the whole answer as one message of protobuf's.
fn twin(decision: &Decision, settings: AnswerSettings, is_grpc: bool) -> CheckResponse {
    match decision {
        Decision::Allow(allowance) => {
            let mutations = &allowance.mutations;
            let ok = OkHttpResponse {
                headers: mutations.set().map(|(name, value)| overwrite(name, value)).collect(),
                headers_to_remove: mutations.remove.iter().map(ToString::to_string).collect(),
                query_parameters_to_remove: mutations.remove_query.clone(),
                response_headers_to_add: mutations
                    .response()
                    .map(|(name, value)| overwrite(name, value))
                    .collect(),
                ..OkHttpResponse::default()
            };
            let (token, rest) = metadata::of_allowance(allowance);
            let both = [token, &rest].map(|part| Struct::decode(part).unwrap().fields);
            let fields: HashMap<_, _> = both.into_iter().flatten().collect();
            CheckResponse {
                status: Some(rpc::Status::default()),
                http_response: Some(HttpResponse::OkResponse(ok)),
                dynamic_metadata: (!fields.is_empty())
                    .then(|| Struct { fields: fields.into_iter().collect() }),
            }
        }
        Decision::Deny(denial) => {
            let answer = DeniedAnswer::new(denial.reason, settings, is_grpc);
            let denied = DeniedHttpResponse {
                status: Some(HttpStatus { code: i32::from(answer.status) }),
                headers: answer
                    .headers
                    .iter()
                    .map(|(name, value)| overwrite(name, value))
                    .collect(),
                body: answer.body,
            };
            let code = code_of(answer.status);
            CheckResponse {
                status: Some(rpc::Status { code, ..rpc::Status::default() }),
                http_response: Some(HttpResponse::DeniedResponse(denied)),
                dynamic_metadata: Some(metadata::of_denial(denial)),
            }
        }
    }
}

fn allowance(mutations: HeaderMutations, would_deny: Option<Denial>) -> Decision {
    let rule = Some(Label::new(0, "rest"));
    Decision::Allow(Allowance { rule, token: None, mutations, would_deny })
}

#[test]
fn every_reason_is_a_denial_whichever_part_of_the_answer_is_read() {
    let answers = Answers::default();
    for (place, reason) in DenialReason::ALL.into_iter().enumerate() {
        assert_eq!(reason as usize, place, "metrics count reasons by their place");
        for (is_grpc, reason_header) in [(false, true), (true, true), (false, false), (true, false)]
        {
            let settings = AnswerSettings { reason_header };
            let rule = Some(Label::new(3, "a rule"));
            let known = Denial { rule, ..Denial::before_any_rule(reason) };
            for decision in [before_any_rule(reason), Decision::Deny(known)] {
                let expected = twin(&decision, settings, is_grpc);
                assert_ne!(expected.status.as_ref().unwrap().code, 0);
                // The second time it is known.
                for _ in 0..2 {
                    assert_eq!(read(&answers.encode(&decision, settings, is_grpc)), expected);
                }
            }
        }
    }
}

#[test]
fn the_status_says_whose_fault_it_is() {
    for (reason, code) in [
        (DenialReason::MissingToken, 16),
        (DenialReason::Expired, 16),
        (DenialReason::NoRule, 7),
        (DenialReason::KeysUnavailable, 14),
        (DenialReason::Internal, 14),
    ] {
        let decision = before_any_rule(reason);
        let answer = Answers::default().encode(&decision, AnswerSettings::default(), false);
        assert_eq!(read(&answer).status.unwrap().code, code, "{reason:?}");
    }
}

#[test]
fn an_allow_says_so_although_nothing_changes() {
    let decision = allowance(HeaderMutations::default(), None);
    let answer = read(&Answers::default().encode(&decision, AnswerSettings::default(), false));
    assert_eq!(answer.status, Some(rpc::Status::default()));
    assert_eq!(answer.http_response, Some(HttpResponse::OkResponse(OkHttpResponse::default())));
    assert_eq!(answer.dynamic_metadata, None);
}

#[test]
fn what_a_shadow_rule_would_have_done_is_told() {
    let denial = Denial::before_any_rule(DenialReason::Expired);
    let decision = allowance(HeaderMutations::default(), Some(denial));
    let answer = read(&Answers::default().encode(&decision, AnswerSettings::default(), false));
    let fields = answer.dynamic_metadata.unwrap().fields;
    assert_eq!(fields["would_deny"].kind, Some(Kind::StringValue("expired".to_owned())));
    assert_eq!(fields["rule"].kind, Some(Kind::StringValue("rest".to_owned())));
}

type Pairs = Vec<(String, String)>;

fn pairs() -> impl Strategy<Value = Pairs> {
    prop::collection::vec(("[a-z-]{1,40}", ".{0,200}"), 0..6)
}

fn borrowed(pairs: &Pairs) -> Vec<(&str, &str)> {
    pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

proptest! {
    #[test]
    fn an_answer_is_what_protobuf_makes_of_the_decision(
        (request, response, has_token) in (pairs(), pairs(), any::<bool>()),
        cookie in prop::option::of(".{0,300}"),
        remove in prop::collection::vec("[a-z_-]{1,150}", 0..5),
        remove_query in prop::collection::vec(".{0,20}", 0..3),
        would_deny in any::<bool>(),
    ) {
        let token = TokenHeaders::new(&borrowed(&request), &borrowed(&response));
        let mutations = HeaderMutations {
            token: has_token.then(|| Arc::new(token)),
            cookie,
            remove: remove.into_iter().map(Arc::from).collect(),
            remove_query,
        };
        let denial = would_deny.then(|| Denial::before_any_rule(DenialReason::TooOld));
        let decision = allowance(mutations, denial);
        let expected = twin(&decision, AnswerSettings::default(), false);
        for _ in 0..2 {
            let answer = Answers::default().encode(&decision, AnswerSettings::default(), false);
            prop_assert_eq!(&read(&answer), &expected);
        }
    }
}
