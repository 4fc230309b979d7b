//! What a list of requests cannot show: keys that come, go and cannot be had, between one request and the next.
//!
//! Each story has a world of its own, whose keys are behind a URL. Nothing here waits for a schedule: `jwt_authn` keeps
//! an answer for so long or so short that the clock does not matter.

use claimgate::issuer::SigningKey;
use claimgate::keys::key::Algorithm;
use serde_json::json;

use crate::case::{Case, Expect, Verdict};
use crate::client::Request;
use crate::envoy::{Envoy, Front, Setup};
use crate::faulty::{Fault, KeyServer};
use crate::report::Report;
use crate::run;
use crate::service::{TestService, eventually};
use crate::tokens::Tokens;
use crate::world::{Issuer, Keys, Needs, Path, Rule, World, keys_cluster};

/// The stories, and what each of them needs.
pub(crate) struct Stories {
    rotated: Story,
    withdrawn: Story,
    outage: Story,
}

/// A world whose keys are behind a URL.
struct Story {
    name: &'static str,
    keys: KeyServer,
    service: TestService,
}

/// Who is asked, and where the outcome goes.
pub(crate) struct Teller<'a> {
    pub(crate) envoy: &'a Envoy,
    pub(crate) tokens: &'a Tokens,
    pub(crate) report: &'a mut Report,
}

const CLAIMGATE_ALONE: (Verdict, Verdict) = (Verdict::Refused(401), Verdict::Passes);
const JWT_AUTHN_ALONE: (Verdict, Verdict) = (Verdict::Passes, Verdict::Refused(401));

impl Stories {
    /// Adds their worlds to an Envoy that has not started yet.
    pub(crate) async fn start(setup: &mut Setup, tokens: &Tokens) -> Self {
        Self {
            rotated: Story::start(setup, tokens, "rotated", "3600s", false).await,
            withdrawn: Story::start(setup, tokens, "withdrawn", "0.001s", true).await,
            outage: Story::start(setup, tokens, "outage", "0.001s", false).await,
        }
    }

    pub(crate) async fn tell(self, mut teller: Teller<'_>) {
        rotated(self.rotated, &mut teller).await;
        withdrawn(self.withdrawn, &mut teller).await;
        outage(self.outage, &mut teller).await;
    }
}

/// A new key signs, and is published.
async fn rotated(story: Story, teller: &mut Teller<'_>) {
    let (old, new) = (first(teller.tokens), &teller.tokens.second);
    let (with_old, with_new) = (story.token(teller, old), story.token(teller, new));
    teller.ask(&story, "the old key", &with_old, Expect::Passes).await;
    story.keys.publish(&[old, new]);
    let differs = expect("rotated-key", CLAIMGATE_ALONE);
    teller.ask(&story, "the new key, at once", &with_new, differs).await;
    teller.ask(&story, "the old key, after that", &with_old, Expect::Passes).await;
    let nobody = json!({"kid": "nobody"});
    let nobody = teller.tokens.signed(story.name, &teller.tokens.stranger, &nobody, &json!({}));
    teller.ask(&story, "a key that nobody published", &nobody, Expect::Refused).await;
}

/// A key is taken back, of which a token is known.
async fn withdrawn(story: Story, teller: &mut Teller<'_>) {
    let (old, new) = (first(teller.tokens), &teller.tokens.second);
    let known = story.token(teller, old);
    teller.ask(&story, "a token, for the first time", &known, Expect::Passes).await;
    teller.ask(&story, "the same again", &known, Expect::Passes).await;
    story.keys.publish(&[new]);
    let (status, body) = story.service.post("/keys/refresh").await;
    assert_eq!(status, 202, "{body}");
    let bearer = format!("Bearer {known}");
    eventually("without the key", async || {
        !story.service.ask("/i", &[("authorization", &bearer)]).await.is_allowed()
    })
    .await;
    let with_new = story.token(teller, new);
    teller.ask(&story, "the new key", &with_new, Expect::Passes).await;
    let unknown = teller.tokens.signed(story.name, old, &json!({}), &json!({"sub": "bob"}));
    teller.ask(&story, "the withdrawn key, a new token", &unknown, Expect::Refused).await;
    let differs = expect("withdrawn-key", JWT_AUTHN_ALONE);
    teller.ask(&story, "the withdrawn key, a known token", &known, differs).await;
}

/// Nobody listens where the keys are.
async fn outage(mut story: Story, teller: &mut Teller<'_>) {
    let token = story.token(teller, first(teller.tokens));
    teller.ask(&story, "the provider is there", &token, Expect::Passes).await;
    story.keys.fail(Fault::Refuse).await;
    let differs = expect("provider-outage", CLAIMGATE_ALONE);
    teller.ask(&story, "the provider is away", &token, differs).await;
    story.keys.fail(Fault::None).await;
    teller.ask(&story, "the provider is back", &token, Expect::Passes).await;
}

impl Story {
    async fn start(
        setup: &mut Setup,
        tokens: &Tokens,
        name: &'static str,
        cache: &'static str,
        token_cache: bool,
    ) -> Self {
        let keys = KeyServer::start(&[first(tokens)]).await;
        let world = World {
            name,
            issuers: vec![Issuer {
                name,
                audiences: vec!["orders"],
                keys: Keys::Remote { url: keys.url(), cache, token_cache },
                skew: Some(60),
                expires: Some(true),
                max_lifetime: None,
            }],
            rules: vec![Rule::new(name, Path::Below("/i"), Needs::Issuer(name))],
            ..World::default()
        };
        let service = TestService::start(world.claimgate()).await;
        service.until_ready().await;
        setup.add(&world, Front::Shipped, service.grpc);
        setup.cluster("upstream", &keys_cluster(name), keys.address);
        Self { name, keys, service }
    }

    fn token(&self, teller: &Teller<'_>, key: &SigningKey) -> String {
        teller.tokens.signed(self.name, key, &json!({}), &json!({}))
    }
}

impl Teller<'_> {
    async fn ask(&mut self, story: &Story, what: &str, token: &str, expect: Expect) {
        let mut request = Request::get("/i/x");
        request.headers.push(("authorization".to_owned(), format!("Bearer {token}").into()));
        let name = format!("{}: {what}", story.name);
        let case = Case {
            name,
            world: story.name,
            front: Front::Shipped,
            request,
            expect,
            in_both_versions: true,
        };
        let (jwt_authn, claimgate) = run(self.envoy, &case).await;
        self.report.add(&case, &jwt_authn, &claimgate);
    }
}

fn expect(row: &'static str, (jwt_authn, claimgate): (Verdict, Verdict)) -> Expect {
    Expect::Verdicts { row, jwt_authn, claimgate }
}

fn first(tokens: &Tokens) -> &SigningKey {
    tokens.key(Algorithm::EdDsa)
}
