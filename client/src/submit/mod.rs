//! Asks a compile server: connects, sends the script and the host, answers what the server still asks of the host, and
//! brings back what came of it. It must not know where a script comes from, nor what is done with the answer.

use std::collections::BTreeSet;
use std::time::Duration;

use shared::diagnostic::Report;
use shared::limits::{FACT_QUERIES_MAX, FACT_ROUNDS_MAX, LimitExceeded};
use shared::protocol::error::PeerMisbehaved;
use shared::protocol::request::{CompileRequest, Request};
use shared::protocol::response::{Outcome, Progress, Timing};
use shared::target::{Fact, FactQuery};

use self::address::ServerAddress;
use self::connect::Connected;
use self::credentials::Credentials;
use crate::host::HostError;

pub mod address;

pub mod credentials;

mod verifier;

mod connect;

mod exchange;

mod error;

pub use error::SubmitError;

/// How long a connection is kept after it was closed.
const GOODBYE_TIME_MAX: Duration = Duration::from_millis(5);

/// What a server made of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// What was asked for.
    Compiled {
        /// It.
        product: Product,
        /// Warnings.
        report: Report,
        /// Where the time went.
        timings: Vec<Timing>,
    },
    /// The script is at fault.
    Refused(Report),
}

/// What comes of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Product {
    /// The text of a pass.
    Text(String),
    /// A signed artifact, not verified.
    Artifact(Vec<u8>),
}

/// Who asks: answers the server's questions, and watches.
pub trait Asker {
    /// A server is being connected to.
    fn connecting(&mut self, server: &ServerAddress);

    /// The server works.
    fn progress(&mut self, progress: &Progress);

    /// The server wants to know something of the host.
    ///
    /// # Errors
    /// When the host cannot find out.
    fn answer(&mut self, query: &FactQuery) -> Result<Fact, HostError>;
}

/// Asks the first of `servers` that can be reached.
///
/// # Errors
/// When none can be reached, one would not talk to us, broke the protocol, or failed.
pub fn submit(
    servers: &[ServerAddress],
    credentials: &Credentials,
    request: CompileRequest,
    asker: &mut dyn Asker,
) -> Result<Answer, SubmitError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(SubmitError::NoRuntime)?;
    runtime.block_on(async {
        let connected = connect_to_any(servers, credentials, asker).await?;
        let answer = ask(&connected, request, asker).await;
        connected.connection.close(0u8.into(), b"");
        // So that the server hears of it: the packet goes out at once. Being idle takes longer, for late packets' sake.
        let _ = tokio::time::timeout(GOODBYE_TIME_MAX, connected.endpoint.wait_idle()).await;
        answer
    })
}

async fn connect_to_any<'a>(
    servers: &'a [ServerAddress],
    credentials: &'a Credentials,
    asker: &mut dyn Asker,
) -> Result<Connected<'a>, SubmitError> {
    let mut failures = Vec::new();
    for server in servers {
        asker.connecting(server);
        match connect::connect(server, credentials).await {
            Ok(connected) => return Ok(connected),
            Err(error @ (SubmitError::Unreachable { .. } | SubmitError::Resolve { .. })) => failures.push(error),
            Err(error) => return Err(error),
        }
    }
    match failures.len() {
        0 => Err(SubmitError::NoServers { lists: credentials.lists.clone() }),
        1 => Err(failures.remove(0)),
        _ => Err(SubmitError::NoneReachable(failures)),
    }
}

/// Asks, and asks again with more facts, until there is an outcome.
async fn ask(connected: &Connected<'_>, request: CompileRequest, asker: &mut dyn Asker) -> Result<Answer, SubmitError> {
    let release = request.target.release.clone();
    let mut asked = BTreeSet::new();
    let mut request = Request::Compile(request);
    for round in 0.. {
        let outcome = exchange::exchange(connected, &request, &mut |progress| asker.progress(progress)).await?;
        let queries = match outcome {
            Outcome::Artifact { artifact, report, timings } => {
                return Ok(Answer::Compiled { product: Product::Artifact(artifact), report, timings });
            }
            Outcome::Text { text, report, timings } => {
                return Ok(Answer::Compiled { product: Product::Text(text), report, timings });
            }
            Outcome::Refused(report) => return Ok(Answer::Refused(report)),
            Outcome::Failed(failure) => return Err(SubmitError::Failed { failure, release }),
            Outcome::NeedFacts(queries) if round < FACT_ROUNDS_MAX => queries,
            Outcome::NeedFacts(_) => break,
        };
        let Request::Compile(compile) = &mut request;
        compile.facts.extend(answers(queries, &mut asked, asker)?);
    }
    Err(PeerMisbehaved::EndlessQuestions(FACT_ROUNDS_MAX).into())
}

/// Answers what was not asked before.
fn answers(
    queries: Vec<FactQuery>,
    asked: &mut BTreeSet<FactQuery>,
    asker: &mut dyn Asker,
) -> Result<Vec<Fact>, SubmitError> {
    let count = (asked.len() + queries.len()) as u64;
    LimitExceeded::check("number of questions", count, FACT_QUERIES_MAX as u64).map_err(PeerMisbehaved::Limit)?;
    if queries.is_empty() {
        return Err(PeerMisbehaved::Truncated("questions").into());
    }
    let mut facts = Vec::new();
    for query in queries {
        if !asked.insert(query.clone()) {
            return Err(PeerMisbehaved::AnsweredQuestion(query.to_string()).into());
        }
        facts.push(asker.answer(&query).map_err(SubmitError::Host)?);
    }
    Ok(facts)
}
