//! The story of the whole circle: a client is known to both services until it is not, whatever is taken away meanwhile.
//!
//! A client gets a token, keys are rotated in the safe order, sessions are ended, refresh tokens stolen; then Redis and the
//! issuer are killed, and come back. All the while other clients ask, and not one of them may get a wrong answer.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use futures_util::future::try_join_all;
use serde_json::Value;

use super::Circle;
use super::issuer::Granted;
use super::load::{ASKERS, Load};
use crate::cli::demo::client;
use crate::cli::demo::seen::{bearer, describe};
use crate::cli::demo::table::Table;
use crate::cli::demo::wait::{pause, wait_for, wait_until};
use crate::cli::demo::world::DemoError;
use crate::util::clock::Stopwatch;

const BOTH: [&str; 2] = ["/orders", "/stock"];
/// What both services see of a client.
const WORKER: &str = "200, saw x-jwt-roles=reader x-jwt-sub=worker";
const AGENT: &str = "200, saw x-jwt-roles=reader,writer x-jwt-sub=agent";
/// Of a token that an issuer grants.
const FIRST_KEY: &str = "200, RS256 at+jwt, kid first";
const SECOND_KEY: &str = "200, RS256 at+jwt, kid second";
const REVOKED: &str = "401 revoked";
/// A logout that is not in force is none.
const NOT_WRITTEN: &str = "503 temporarily_unavailable";
const TOO_EARLY: &str = "refused: too early";
/// What takes a moment gets longer on a loaded machine.
const MOMENT: Duration = Duration::from_secs(30);
/// Between two looks that each run a program.
const LOOK: Duration = Duration::from_millis(200);
/// How many answers of the others belong to a chapter in which nothing may go wrong.
const CHAPTER: u64 = 200;
/// What the others have to reach, in requests a second.
const RATE: f64 = 200.0;

/// Tells the whole story; the table, and the figures for below it.
pub(in crate::cli::demo) async fn tell(circle: &mut Circle) -> Result<(Table, String), DemoError> {
    let (load, ingress) = (Load::default(), circle.ingress);
    for nth in 0..ASKERS {
        load.give(nth, circle.issuer.token("worker").await.access, true);
    }
    let watch = Stopwatch::start();
    let others = try_join_all((0..ASKERS).map(|nth| load.ask(nth, ingress)));
    let telling = async {
        let mut story = Story::new(circle, &load);
        story.tokens().await;
        let (ends, goes_on) = story.rotation_and_logout().await?;
        let stolen = story.theft().await?;
        story.without_redis([&ends, &stolen], &goes_on).await?;
        story.without_issuer(&ends, &goes_on).await?;
        story.everything_back(&ends, &goes_on).await?;
        load.end();
        let Story { table, passed, refused_after, .. } = story;
        Ok((table, passed.get(), refused_after))
    };
    let (_, (mut table, passed, refused_after)) = tokio::try_join!(others, telling)?;
    let seconds = watch.elapsed().as_secs_f64();
    let (asked, rate) = (load.asked(), per_second(load.asked(), seconds));
    table.push("the others: wrong answers", "0", load.wrong());
    let reached = (circle.orders.requests() + circle.stock.requests()).to_string();
    let what = "requests that passed = requests that reached a service";
    table.push(what, &(load.passed() + passed).to_string(), reached);
    let fast = if rate < RATE { format!("{rate:.0}") } else { "200 or more".to_owned() };
    table.push("the others: requests a second", "200 or more", fast);
    let [logout, theft, revoked] = refused_after.map(|took| took.as_millis());
    let figures = format!(
        "{ASKERS} other clients asked {asked} times in {seconds:.0} s, {rate:.0} times a second.\n\
         Refused: {logout} ms after the logout, {theft} ms after a refresh token came twice, {revoked} ms after a token was \
         revoked."
    );
    Ok((table, figures))
}

#[expect(clippy::cast_precision_loss, reason = "nobody waits for 2^52 requests")]
fn per_second(requests: u64, seconds: f64) -> f64 {
    requests as f64 / seconds
}

struct Story<'c> {
    circle: &'c mut Circle,
    load: &'c Load,
    table: Table,
    /// Requests of the story itself that were answered with 200.
    passed: Cell<u64>,
    /// After the logout, the theft and the revocation.
    refused_after: [Duration; 3],
}

impl<'c> Story<'c> {
    fn new(circle: &'c mut Circle, load: &'c Load) -> Self {
        let (table, passed) = (Table::default(), Cell::new(0));
        Self { circle, load, table, passed, refused_after: [Duration::ZERO; 3] }
    }

    async fn tokens(&mut self) {
        let worker = self.circle.issuer.token("worker").await;
        self.table.push("a token for a client's secret", FIRST_KEY, worker.said.clone());
        self.both("the token, at both services", &worker, WORKER).await;
        let narrow = self.circle.issuer.token_for("worker", &["orders"]).await;
        let got = self.ask("/stock", &narrow).await;
        self.table.push("one for orders alone, at stock", "401 audience_mismatch", got);
        let agent = self.circle.issuer.token("agent").await;
        let agent = self.circle.issuer.refresh("agent", &agent.refresh).await;
        self.table.push("a token for a refresh token", FIRST_KEY, agent.said.clone());
        self.both("the token, at both services", &agent, AGENT).await;
    }

    /// The session that is ended, and one of the same client that goes on. Both have tokens of the first key, which is
    /// rotated out meanwhile.
    async fn rotation_and_logout(&mut self) -> Result<(Granted, Granted), DemoError> {
        let old = self.circle.issuer.token("worker").await;
        self.rotation(&old).await?;
        let ends = self.circle.issuer.token("agent").await;
        let goes_on = self.circle.issuer.token("agent").await;
        self.both("two sessions of a client: one", &ends, AGENT).await;
        self.both("two sessions of a client: the other", &goes_on, AGENT).await;
        let said = self.circle.issuer.log_out("agent", &ends.access).await;
        self.table.push("logout of the one", "200", said);
        self.refused_after[0] = self.until_refused(&ends).await;
        self.both("logged out: the next request, at both services", &ends, REVOKED).await;
        // From here on whoever has it tries again and again.
        self.load.give(0, ends.access.clone(), false);
        let refreshed = self.circle.issuer.refresh("agent", &ends.refresh).await.said;
        self.table.push("logged out: its refresh token", "400 invalid_grant", refreshed);
        self.both("logged out: the other session", &goes_on, AGENT).await;
        Ok((ends, goes_on))
    }

    /// In the safe order: no step before it is allowed, and none by force.
    async fn rotation(&mut self, old: &Granted) -> Result<(), DemoError> {
        let published = self.circle.issuer.rotate(&["--kid", "second"]).await?;
        let got = if published.succeeded { "done" } else { "refused" };
        self.table.push("rotation: publish the next key", "done", got.to_owned());
        let early = self.circle.issuer.rotate(&[]).await?;
        let refused = !early.succeeded && early.text.contains("Allowed from");
        let got = if refused { TOO_EARLY.to_owned() } else { early.text.replace('\n', " ") };
        self.table.push("rotation: sign with it at once", TOO_EARLY, got);
        let token = self.circle.issuer.token("worker").await;
        self.table.push("rotation: tokens meanwhile", FIRST_KEY, token.said);
        self.load.goes_on(CHAPTER).await?;
        let circle = &self.circle;
        wait_until("the next key to be allowed to sign", MOMENT, async || {
            pause(LOOK).await;
            circle.issuer.rotate(&[]).await.is_ok_and(|step| step.succeeded)
        })
        .await?;
        // It notices within a second.
        let new = RefCell::new(circle.issuer.token("worker").await);
        let signs = async || {
            let token = circle.issuer.token("worker").await;
            let signs = token.said == SECOND_KEY;
            new.replace(token);
            signs
        };
        // In vain: then the next line of the table says so.
        let _in_vain = wait_until("a token of the next key", MOMENT, signs).await.is_err();
        let new = new.into_inner();
        let what = "rotation: tokens once every verifier has the next key";
        self.table.push(what, SECOND_KEY, new.said.clone());
        self.both("rotation: the new token, at both services", &new, WORKER).await;
        self.both("rotation: the old token, at both services", old, WORKER).await;
        for nth in 0..ASKERS {
            self.load.give(nth, self.circle.issuer.token("worker").await.access, true);
        }
        Ok(self.load.goes_on(CHAPTER).await?)
    }

    /// A refresh token that two have: the thief is faster, and its owner's own use shows it. The thief's tokens.
    async fn theft(&mut self) -> Result<Granted, DemoError> {
        let owner = self.circle.issuer.token("agent").await;
        let thief = self.circle.issuer.refresh("agent", &owner.refresh).await;
        self.both("a stolen refresh token: what the thief gets for it", &thief, AGENT).await;
        let twice = self.circle.issuer.refresh("agent", &owner.refresh).await;
        self.table.push("stolen: the owner uses it as well", "400 invalid_grant", twice.said);
        self.refused_after[1] = self.until_refused(&thief).await;
        self.both("family revoked: the thief, at both services", &thief, REVOKED).await;
        self.load.give(1, thief.access.clone(), false);
        self.both("family revoked: the owner, at both services", &owner, REVOKED).await;
        let refreshed = self.circle.issuer.refresh("agent", &thief.refresh).await.said;
        self.table.push(
            "family revoked: the thief's refresh token",
            "400 invalid_grant",
            refreshed,
        );
        Ok(thief)
    }

    async fn without_redis(
        &mut self,
        [ended, stolen]: [&Granted; 2],
        good: &Granted,
    ) -> Result<(), DemoError> {
        self.circle.redis.kill().await?;
        self.state("Redis killed: the list, says /status", "/revocation/state", "failing").await;
        self.load.goes_on(CHAPTER).await?;
        self.both("Redis killed: logged out, at both services", ended, REVOKED).await;
        self.both("Redis killed: the thief, at both services", stolen, REVOKED).await;
        let said = self.circle.issuer.log_out("agent", &good.access).await;
        self.table.push("Redis killed: logout of the other session", NOT_WRITTEN, said);
        self.both("Redis killed: the other session, at both services", good, AGENT).await;
        Ok(())
    }

    async fn without_issuer(&mut self, ended: &Granted, good: &Granted) -> Result<(), DemoError> {
        self.circle.issuer.kill().await?;
        let keys = "/issuers/0/sources/0/state";
        self.state("issuer killed as well: its keys, says /status", keys, "failing").await;
        self.load.goes_on(2 * CHAPTER).await?;
        self.both("issuer killed: logged out, at both services", ended, REVOKED).await;
        self.both("issuer killed: the other session, at both services", good, AGENT).await;
        Ok(())
    }

    async fn everything_back(&mut self, ended: &Granted, good: &Granted) -> Result<(), DemoError> {
        self.circle.redis.start_again().await?;
        self.circle.issuer.start_again().await?;
        self.state("everything back: the list, says /status", "/revocation/state", "fresh").await;
        let new = self.circle.issuer.token("worker").await;
        self.both("everything back: a new token, at both services", &new, WORKER).await;
        self.both("everything back: logged out, at both services", ended, REVOKED).await;
        let said = self.circle.issuer.revoke("worker", &new.access).await;
        self.table.push("everything back: the new token is revoked", "200", said);
        self.refused_after[2] = self.until_refused(&new).await;
        self.both("revoked: the next request, at both services", &new, REVOKED).await;
        // Sessions have outlived the issuer.
        let next = self.circle.issuer.refresh("agent", &good.refresh).await;
        self.both("everything back: the other session, refreshed", &next, AGENT).await;
        let said = self.circle.issuer.log_out("agent", &next.access).await;
        self.table.push("everything back: logout of the other session", "200", said);
        self.until_refused(&next).await;
        self.both("logged out: the next request, at both services", &next, REVOKED).await;
        Ok(self.load.goes_on(CHAPTER).await?)
    }

    /// One line for both services, if they agree.
    async fn both(&mut self, what: &str, token: &Granted, expected: &str) {
        let [orders, stock] = BOTH;
        let (orders, stock) = (self.ask(orders, token).await, self.ask(stock, token).await);
        let got = if orders == stock { orders } else { format!("{orders}; at stock {stock}") };
        self.table.push(what, expected, got);
    }

    async fn ask(&self, path: &str, token: &Granted) -> String {
        match client::send(self.circle.ingress, "GET", path, &bearer(&token.access)).await {
            Ok(answer) => {
                // What arrived is counted over all, at the end.
                let arrived = u64::from(answer.status == 200);
                self.passed.set(self.passed.get() + arrived);
                describe(&answer, arrived)
            }
            Err(error) => error.to_string(),
        }
    }

    /// How long it takes from now, when it was written. In vain: then the next line of the table says so.
    async fn until_refused(&self, token: &Granted) -> Duration {
        let watch = Stopwatch::start();
        let refused = async || {
            let [orders, _] = BOTH;
            self.ask(orders, token).await == REVOKED
        };
        let _in_vain = wait_until("the token to be refused", MOMENT, refused).await.is_err();
        watch.elapsed()
    }

    /// A line for what `/status` says at `pointer`, once that is what is expected.
    async fn state(&mut self, what: &str, pointer: &str, expected: &str) {
        let last = RefCell::new(String::new());
        let look = async || {
            let page = client::get(self.circle.admin, "/status").await.ok()?.json()?;
            let state = page.pointer(pointer).and_then(Value::as_str)?.to_owned();
            let is_expected = state == expected;
            last.replace(state);
            is_expected.then_some(())
        };
        // In vain: then the line says so.
        let _in_vain = wait_for(what, MOMENT, look).await.is_err();
        self.table.push(what, expected, last.into_inner());
    }
}
