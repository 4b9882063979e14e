//! Asking a server over loopback: what a good one answers, and everything that another one can do.

use client::host::HostError;
use client::submit::address::ServerAddress;
use client::submit::credentials::Credentials;
use client::submit::{Answer, Asker, Product, SubmitError, submit};
use shared::artifact::manifest::Digest;
use shared::diagnostic::{Diagnostic, Report, SourceId, Span};
use shared::limits::{FACT_QUERIES_MAX, FACT_ROUNDS_MAX, FRAME_BYTES_MAX};
use shared::protocol::error::PeerMisbehaved;
use shared::protocol::request::CompileRequest;
use shared::protocol::response::{Failure, Outcome, Progress, Response};
use shared::protocol::{frame, version};
use shared::target::{ElfFile, Fact, FactQuery};

use crate::fake_server::{FakeServer, Identity, Parties, Step};
use crate::samples::{artifact, artifact_with, build_id, finished, progress, request, text, timings};

/// Answers every question with a build id or a list, and writes down what it sees.
#[derive(Default)]
struct Notebook(Vec<String>);

impl Asker for Notebook {
    fn connecting(&mut self, server: &ServerAddress) {
        self.0.push(format!("connecting to {}", server.host));
    }

    fn progress(&mut self, progress: &Progress) {
        self.0.push(format!("{} {}", progress.activity, progress.bytes_done));
    }

    fn answer(&mut self, query: &FactQuery) -> Result<Fact, HostError> {
        self.0.push(query.to_string());
        Ok(match query.clone() {
            FactQuery::Elf { path } => {
                let found = Ok(ElfFile { path: path.clone(), build_id: build_id() });
                Fact::Elf { path, found }
            }
            FactQuery::Tracepoints { pattern } => Fact::Tracepoints { pattern, names: vec!["sched_switch".to_owned()] },
            FactQuery::KernelConfig { name } => Fact::KernelConfig { name, value: Ok(Some("y".to_owned())) },
        })
    }
}

fn ask(server: &FakeServer, credentials: &Credentials) -> (Result<Answer, SubmitError>, Vec<String>) {
    let mut notebook = Notebook::default();
    let answer = submit(&[server.server_address()], credentials, request("probe begin {}"), &mut notebook);
    (answer, notebook.0)
}

fn refusal_of(
    behaviour: impl Fn(usize, &CompileRequest) -> Vec<Step> + Send + Sync + 'static,
) -> (SubmitError, FakeServer) {
    let parties = Parties::new();
    let server = FakeServer::start(parties.setup(behaviour));
    let (answer, _) = ask(&server, &parties.credentials());
    (answer.expect_err("an answer"), server)
}

fn misbehaviour_of(behaviour: impl Fn(usize, &CompileRequest) -> Vec<Step> + Send + Sync + 'static) -> PeerMisbehaved {
    match refusal_of(behaviour).0 {
        SubmitError::Misbehaved(rule) => rule,
        other => panic!("no rule was broken: {other}"),
    }
}

fn elf(path: String) -> FactQuery {
    FactQuery::Elf { path }
}

fn questions(queries: Vec<FactQuery>) -> Vec<Step> {
    vec![finished(Outcome::NeedFacts(queries))]
}

#[test]
fn an_answer_comes_after_progress_in_order() {
    let parties = Parties::new();
    let server = FakeServer::start(parties.setup(|_, got| {
        assert_eq!(*got, request("probe begin {}"));
        vec![progress("fetching debuginfo"), progress("compiling"), artifact_with(Report::default())]
    }));
    let (answer, seen) = ask(&server, &parties.credentials());
    let expected =
        Answer::Compiled { product: Product::Artifact(artifact()), report: Report::default(), timings: timings() };
    assert_eq!(answer.expect("an answer"), expected);
    assert_eq!(seen, ["connecting to 127.0.0.1", "fetching debuginfo 1048576", "compiling 1048576"]);
}

#[test]
fn a_client_takes_its_leave() {
    let parties = Parties::new();
    let server = FakeServer::start(parties.setup(|_, _| vec![text("")]));
    let (answer, _) = ask(&server, &parties.credentials());
    assert!(answer.is_ok(), "{answer:?}");
    // Otherwise the server would keep the connection until the silence is too long.
    let farewell = server.farewell();
    assert!(matches!(farewell, quinn::ConnectionError::ApplicationClosed(_)), "{farewell}");
}

#[test]
fn a_large_answer_arrives_whole() {
    let parties = Parties::new();
    let large = "x".repeat(FRAME_BYTES_MAX - 1000);
    let expected = large.clone();
    let server = FakeServer::start(parties.setup(move |_, _| vec![text(&large)]));
    let (answer, _) = ask(&server, &parties.credentials());
    let Ok(Answer::Compiled { product: Product::Text(got), .. }) = answer else { panic!("no text: {answer:?}") };
    assert!(got == expected, "{} bytes came", got.len());
}

#[test]
fn a_refused_script_comes_with_its_report() {
    let span = Span { source: SourceId(0), start: 0, end: 5 };
    let report = Report { sources: Vec::new(), diagnostics: vec![Diagnostic::error("parse/x", span, "m")] };
    let expected = report.clone();
    let parties = Parties::new();
    let server = FakeServer::start(parties.setup(move |_, _| vec![finished(Outcome::Refused(report.clone()))]));
    let (answer, _) = ask(&server, &parties.credentials());
    assert_eq!(answer.expect("an answer"), Answer::Refused(expected));
}

#[test]
fn questions_are_answered_until_the_server_knows_enough() {
    let parties = Parties::new();
    let server = FakeServer::start(parties.setup(|round, request| match round {
        0 => questions(vec![elf("/bin/a".to_owned()), elf("/bin/b".to_owned())]),
        1 => questions(vec![FactQuery::Tracepoints { pattern: "sched_*".to_owned() }]),
        _ => vec![text(&format!("{:?}", request.facts.iter().map(Fact::query).collect::<Vec<_>>()))],
    }));
    let (answer, seen) = ask(&server, &parties.credentials());
    let Ok(Answer::Compiled { product: Product::Text(facts), .. }) = answer else { panic!("no text: {answer:?}") };
    let order = [facts.find("/bin/a"), facts.find("/bin/b"), facts.find("sched_*")];
    assert!(order.is_sorted() && order.iter().all(Option::is_some), "{facts}");
    assert_eq!(server.requests_count(), 3);
    assert_eq!(seen[1..], ["the build id of /bin/a", "the build id of /bin/b", "the tracepoints matching \"sched_*\""]);
}

#[test]
fn endless_questions_come_to_an_end() {
    let (error, server) = refusal_of(|round, _| questions(vec![elf(format!("/bin/{round}"))]));
    let SubmitError::Misbehaved(rule) = error else { panic!("another error: {error}") };
    assert_eq!(rule, PeerMisbehaved::EndlessQuestions(FACT_ROUNDS_MAX));
    assert_eq!(server.requests_count(), FACT_ROUNDS_MAX + 1);
}

#[test]
fn a_question_is_answered_once() {
    let again = PeerMisbehaved::AnsweredQuestion("the build id of /bin/a".to_owned());
    assert_eq!(misbehaviour_of(|_, _| questions(vec![elf("/bin/a".to_owned())])), again);
    assert_eq!(misbehaviour_of(|_, _| questions(vec![elf("/bin/a".to_owned()); 2])), again);
}

#[test]
fn questions_are_some_but_not_too_many() {
    assert_eq!(misbehaviour_of(|_, _| questions(Vec::new())), PeerMisbehaved::Truncated("questions"));
    let many = |_: usize, _: &CompileRequest| questions((0..=FACT_QUERIES_MAX).map(|n| elf(format!("/{n}"))).collect());
    let rule = misbehaviour_of(many);
    assert!(matches!(rule, PeerMisbehaved::Limit(_)), "{rule}");
}

#[test]
fn garbage_is_refused_by_the_rule_it_breaks() {
    let frame_of = |contents: &[u8]| [&(contents.len() as u32).to_le_bytes(), contents].concat();
    let good = frame::encode(&Response::Finished(Box::new(Outcome::Refused(Report::default())))).expect("a frame");
    let trailing = frame_of(&[&good[4..], &[0]].concat());
    let cut = good[..good.len() - 1].to_vec();
    let too_large = (FRAME_BYTES_MAX as u32 + 1).to_le_bytes().to_vec();
    let sends = |bytes: Vec<u8>| misbehaviour_of(move |_, _| vec![Step::Raw(bytes.clone())]);
    assert_eq!(sends(frame_of(&[0xff; 40])), PeerMisbehaved::UndecodableMessage);
    assert_eq!(sends(frame_of(b"")), PeerMisbehaved::UndecodableMessage);
    assert_eq!(sends(trailing), PeerMisbehaved::TrailingBytes);
    assert_eq!(sends(cut), PeerMisbehaved::Truncated("message"));
    assert_eq!(sends(vec![1, 0]), PeerMisbehaved::Truncated("answer"));
    assert_eq!(sends(Vec::new()), PeerMisbehaved::Truncated("answer"));
    assert!(matches!(sends(too_large), PeerMisbehaved::Limit(_)));
    assert!(matches!(sends(b"HTTP/1.1 400 Bad Request\r\n".to_vec()), PeerMisbehaved::Limit(_)));
    let only_progress = misbehaviour_of(|_, _| vec![progress("compiling")]);
    assert_eq!(only_progress, PeerMisbehaved::Truncated("answer"));
}

#[test]
fn a_server_that_leaves_is_quoted() {
    let (error, _server) =
        refusal_of(|_, _| vec![progress("compiling"), Step::Close(0, "the server is shutting down")]);
    assert!(matches!(error, SubmitError::Lost { .. }), "{error}");
    assert!(error.to_string().ends_with("the server is shutting down"), "{error}");
    let (error, _server) = refusal_of(|_, _| vec![Step::Reset(9)]);
    assert!(error.to_string().ends_with("it dropped the request (code 9)"), "{error}");
}

#[test]
fn a_failure_of_the_server_is_told_with_hints() {
    let failure = Failure::DebuginfoNotFound {
        object: "the kernel".to_owned(),
        build_id: build_id(),
        tried: vec!["/usr/lib/debug: nothing".to_owned()],
    };
    let (error, _server) = refusal_of(move |_, _| vec![finished(Outcome::Failed(failure.clone()))]);
    assert_eq!(error.to_string(), "no debuginfo for the kernel (build id 4c094903)");
    let hints = error.hints().join("\n");
    assert!(hints.contains("tried /usr/lib/debug: nothing") && hints.contains("-dbg"), "{hints}");
}

#[test]
fn a_server_in_no_list_is_not_trusted_and_shows_its_fingerprint() {
    let (ours, theirs) = (Parties::new(), Parties::new());
    let mut setup = theirs.setup(|_, _| vec![text("")]);
    setup.clients.push(ours.client.certificate.clone());
    let server = FakeServer::start(setup);
    let (answer, _) = ask(&server, &ours.credentials());
    let Err(error @ SubmitError::ServerNotTrusted { .. }) = answer else { panic!("trusted: {answer:?}") };
    assert!(error.to_string().ends_with(&Digest::of(&theirs.server.certificate).to_string()), "{error}");
    assert!(error.hints().join("\n").contains("tapwire-certs trust server server.crt"));
    assert_eq!(server.requests_count(), 0, "the script was sent");
}

#[test]
fn nothing_but_the_listed_certificate_is_trusted() {
    let parties = Parties::new();
    let mut setup = parties.setup(|_, _| vec![text("")]);
    setup.identity = parties.server.issued_again();
    let server = FakeServer::start(setup);
    let (answer, _) = ask(&server, &parties.credentials());
    assert!(matches!(answer, Err(SubmitError::ServerNotTrusted { .. })), "{answer:?}");
}

#[test]
fn a_listed_certificate_must_be_valid_too() {
    for (identity, reason) in [
        (Identity::expired(), "it has expired"),
        (Identity::not_valid_yet(), "it is not valid yet"),
        (Identity::with_another_name(), "tapwired"),
    ] {
        let parties = Parties::with_server(identity);
        let server = FakeServer::start(parties.setup(|_, _| vec![text("")]));
        let (answer, _) = ask(&server, &parties.credentials());
        let Err(error @ SubmitError::ServerCertificate { .. }) = answer else { panic!("trusted: {answer:?}") };
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn a_server_that_does_not_know_us_says_so() {
    let parties = Parties::new();
    let mut setup = parties.setup(|_, _| vec![text("")]);
    setup.clients = vec![Identity::of_client().certificate];
    let server = FakeServer::start(setup);
    let (answer, _) = ask(&server, &parties.credentials());
    let Err(error @ SubmitError::ClientRefused { .. }) = answer else { panic!("not refused: {answer:?}") };
    let hints = error.hints().join("\n");
    assert!(hints.contains("tapwire-certs authorise"), "{hints}");
    assert!(hints.contains(&Digest::of(&parties.client.certificate).to_string()), "{hints}");

    // A server may also find out later, when the list has changed.
    let (error, _server) = refusal_of(|_, _| vec![Step::Close(2, "not in the list")]);
    assert!(matches!(error, SubmitError::ClientRefused { .. }), "{error}");
}

#[test]
fn another_version_of_the_protocol_is_no_riddle() {
    let parties = Parties::new();
    let mut setup = parties.setup(|_, _| vec![text("")]);
    setup.alpn = b"tapwire/999".to_vec();
    let server = FakeServer::start(setup);
    let (answer, _) = ask(&server, &parties.credentials());
    let Err(error @ SubmitError::Incompatible { .. }) = answer else { panic!("compatible: {answer:?}") };
    assert!(error.to_string().contains(&String::from_utf8_lossy(version::ALPN).into_owned()), "{error}");
}

#[test]
fn the_first_server_that_answers_is_asked() {
    let parties = Parties::new();
    let server = FakeServer::start(parties.setup(|_, _| vec![text("here")]));
    // Nobody listens on a port that is bound by a socket which never reads.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let silent = ServerAddress::from(silent.local_addr().expect("an address"));
    let nowhere = ServerAddress { host: "nowhere.invalid".to_owned(), port: 1 };

    let servers = [nowhere.clone(), silent.clone(), server.server_address()];
    let answer = submit(&servers, &parties.credentials(), request(""), &mut Notebook::default());
    assert!(matches!(answer, Ok(Answer::Compiled { product: Product::Text(text), .. }) if text == "here"));

    let error = submit(&servers[..2], &parties.credentials(), request(""), &mut Notebook::default());
    let error = error.expect_err("an answer");
    let hints = error.hints().join("\n");
    assert_eq!(error.to_string(), "cannot reach any of 2 servers");
    assert!(hints.contains(&format!("cannot reach the server {silent}")), "{hints}");
    assert!(hints.contains("cannot find the server nowhere.invalid:1"), "{hints}");

    let error = submit(&[], &parties.credentials(), request(""), &mut Notebook::default()).expect_err("an answer");
    assert!(matches!(error, SubmitError::NoServers { .. }), "{error}");
}

#[test]
fn a_client_without_an_identity_is_told_how_to_get_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let error = Credentials::load(&[dir.path().to_owned()]).expect_err("credentials");
    assert!(error.hints().join("\n").contains("tapwire-certs make client"), "{error}");

    let parties = Parties::new();
    std::fs::write(parties.dir.path().join("client.key"), "no key").expect("written");
    let error = Credentials::load(&parties.dirs()).expect_err("credentials");
    assert!(error.to_string().ends_with("client.key holds no private key in PEM form"), "{error}");
    std::fs::write(parties.dir.path().join("client.crt"), "").expect("written");
    let error = Credentials::load(&parties.dirs()).expect_err("credentials");
    assert!(error.to_string().ends_with("client.crt holds no certificate in PEM form"), "{error}");
}

#[test]
fn a_key_of_somebody_else_is_no_identity() {
    let parties = Parties::new();
    std::fs::write(parties.dir.path().join("client.key"), Identity::of_client().key_pem).expect("written");
    let server = FakeServer::start(parties.setup(|_, _| vec![text("")]));
    let (answer, _) = ask(&server, &parties.credentials());
    assert!(matches!(answer, Err(SubmitError::UnusableIdentity { .. })), "{answer:?}");
}

#[test]
fn lists_hold_certificates_and_name_what_is_none() {
    let parties = Parties::new();
    let servers = parties.dir.path().join("servers");
    std::fs::write(servers.join("README"), "no certificate").expect("written");
    std::fs::write(servers.join(".hidden.crt"), "no certificate").expect("written");
    std::fs::write(servers.join("another.crt"), Identity::of_server().certificate_pem).expect("written");
    let credentials = parties.credentials();
    let names: Vec<&str> = credentials.servers.iter().map(|server| server.name.as_str()).collect();
    assert_eq!(names, ["127.0.0.1", "another"]);
    assert_eq!(credentials.unreadable.len(), 1, "{:?}", credentials.unreadable);
    assert!(credentials.unreadable[0].contains("README"));
}
