//! What is refused, and how that is said.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use certs::list;
use server::config::Config;
use server::job::assignment::Assignment;
use server::listener::Server;
use shared::limits::{FRAME_BYTES_MAX, SCRIPT_BYTES_MAX};
use shared::protocol::frame;
use shared::protocol::request::{CompileRequest, Request};
use shared::protocol::response::{Failure, Outcome};
use shared::protocol::version::ALPN;
use shared::trust::Privilege;
use shared::trust::role::Role;

use crate::farm::{Farm, connect, request};

/// How the server ends the conversation with a client that it does not let in. A client learns of it when it first waits for
/// an answer (RFC 8446, section 4.4.2: its certificate is the last it sends).
async fn turned_away(farm: &Farm, client: &Path) -> String {
    match farm.connect(client).await {
        Ok(peer) => peer.ask(request("text x")).await.expect_err("should be refused"),
        Err(error) => error,
    }
}

pub(crate) async fn a_stranger_does_not_get_in() {
    let farm = Farm::start().await;
    let error = turned_away(&farm, &farm.pki.stranger).await;
    assert!(error.contains("error 48") || error.contains("UnknownCA") || error.contains("unknown"), "{error}");
}

pub(crate) async fn an_expired_client_does_not_get_in() {
    let farm = Farm::start().await;
    let error = turned_away(&farm, &farm.pki.expired).await;
    assert!(error.contains("error 45") || error.to_lowercase().contains("expired"), "{error}");
}

pub(crate) async fn a_revoked_client_does_not_get_in() {
    let farm = Farm::start().await;
    turned_away(&farm, &farm.pki.revoked).await;
}

/// The verifier takes the listed certificates for authorities: whom they vouch for must not get in by that.
pub(crate) async fn a_certificate_signed_by_a_client_is_not_a_clients() {
    let farm = Farm::start().await;
    let home = farm.dir.path().join("minted");
    std::fs::create_dir(&home).expect("a directory");
    let read = |name: &str| std::fs::read_to_string(farm.pki.stapdev.join(name)).expect("a file");
    let mut params = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
    params.distinguished_name.push(rcgen::DnType::CommonName, "stapdev");
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let issuer_key = rcgen::KeyPair::from_pem(&read("client.key")).expect("a key");
    let issuer = rcgen::Issuer::from_params(&params, &issuer_key);
    let key = rcgen::KeyPair::generate().expect("a key");
    let minted = params.signed_by(&key, &issuer).expect("a certificate");
    std::fs::write(home.join("client.crt"), minted.pem()).expect("written");
    std::fs::write(home.join("client.key"), key.serialize_pem()).expect("written");
    let error = match connect(farm.server.address(), &home, &farm.pki.stapdev, ALPN).await {
        Ok(peer) => peer.ask(request("text x")).await.expect_err("should be refused"),
        Err(error) => error,
    };
    assert!(error.contains("not in this server's list of clients"), "{error}");
}

pub(crate) async fn a_revoked_client_gets_no_further_answer() {
    let farm = Farm::start().await;
    let peer = farm.connect(&farm.pki.stapsys).await.expect("a connection");
    peer.ask(request("text x")).await.expect("an answer");
    list::revoke(&farm.pki.server, Role::Client, "stapsys").expect("revoked");
    let error = peer.ask(request("text x")).await.expect_err("should be refused");
    assert!(error.contains("not in this server's list of clients"), "{error}");
}

pub(crate) async fn another_protocol_does_not_get_in() {
    let farm = Farm::start().await;
    let client = &farm.pki.stapdev;
    let error = connect(farm.server.address(), client, client, b"h3").await.err().expect("should be refused");
    assert!(error.contains("120") || error.to_lowercase().contains("protocol"), "{error}");
}

pub(crate) async fn a_client_does_not_talk_to_a_foreign_server() {
    let farm = Farm::start().await;
    let foreign = Config {
        listen: ([127, 0, 0, 1], 0).into(),
        directory: farm.pki.foreign.clone(),
        cache: farm.dir.path().join("foreign"),
        ..Config::default()
    };
    let foreign = Server::start(&foreign).await.expect("a server");
    let client = &farm.pki.stapdev;
    let error = connect(foreign.address(), client, client, ALPN).await.err().expect("should be refused");
    assert!(error.contains("certificate"), "{error}");
}

pub(crate) async fn more_connections_than_allowed_are_refused() {
    let farm = Farm::start_with(|config, _| {
        config.connections.connections_max = 2;
        config.connections.retry_from = 1;
    })
    .await;
    let one = farm.connect(&farm.pki.stapusr).await.expect("a connection");
    let two = farm.connect(&farm.pki.stapusr).await.expect("a connection, after a retry");
    let error = farm.connect(&farm.pki.stapusr).await.err().expect("should be refused");
    assert!(error.contains("refused"), "{error}");
    for peer in [one, two] {
        peer.ask(request("text x")).await.expect("an answer");
    }
}

/// What the server says when it closes the connection over these bytes.
async fn closed_over(bytes: &[u8]) -> String {
    let farm = Farm::start().await;
    let peer = farm.connect(&farm.pki.stapdev).await.expect("a connection");
    peer.send_and_listen(bytes).await.expect_err("should be closed")
}

pub(crate) async fn an_oversized_frame_closes() {
    let error = closed_over(&(FRAME_BYTES_MAX as u32 + 1).to_le_bytes()).await;
    assert!(error.contains("size of a message in bytes is 16777217, the limit is 16777216"), "{error}");
}

pub(crate) async fn garbage_closes() {
    for garbage in [[0xff; 100].as_slice(), &[0x00; 100], b"GET / HTTP/1.1\r\n\r\n"] {
        let frame = [&(garbage.len() as u32).to_le_bytes(), garbage].concat();
        let error = closed_over(&frame).await;
        assert!(error.contains("cannot be read") || error.contains("bytes behind a message"), "{error}");
    }
}

pub(crate) async fn bytes_behind_a_request_close() {
    let mut bytes = frame::encode(&Request::Compile(request("text x"))).expect("a frame");
    bytes.push(0);
    let error = closed_over(&bytes).await;
    assert!(error.contains("bytes behind a message"), "{error}");
}

pub(crate) async fn a_request_that_breaks_off_closes() {
    let bytes = frame::encode(&Request::Compile(request("text x"))).expect("a frame");
    for length in [0, 3, 4, bytes.len() - 1] {
        let error = closed_over(&bytes[..length]).await;
        assert!(error.contains("ended the stream before its request"), "{length}: {error}");
    }
}

pub(crate) async fn a_request_that_never_ends_closes() {
    let farm = Farm::start_with(|config, _| config.connections.request_ms = 2_000).await;
    let peer = farm.connect(&farm.pki.stapdev).await.expect("a connection");
    let (mut send, _receive) = peer.connection.open_bi().await.expect("a stream");
    send.write_all(&[1, 0]).await.expect("sent");
    let reason = peer.connection.closed().await.to_string();
    assert!(reason.contains("time to send a request in ms"), "{reason}");
}

pub(crate) async fn a_script_that_is_too_large_closes() {
    let script = " ".repeat(SCRIPT_BYTES_MAX + 1);
    let error = closed_over(&frame::encode(&Request::Compile(request(&script))).expect("a frame")).await;
    assert!(error.contains("script size in bytes is 4194305"), "{error}");
}

pub(crate) async fn guru_mode_needs_stapdev() {
    let farm = Farm::start().await;
    let ask = async |client: &Path| {
        let peer = farm.connect(client).await.expect("a connection");
        peer.ask(CompileRequest { guru: true, ..request("artifact stapusr") }).await
    };
    let (needed, granted) = (Privilege::Stapdev, Privilege::Stapsys);
    assert_eq!(ask(&farm.pki.stapsys).await, Ok(Outcome::Failed(Failure::NotAuthorised { needed, granted })));
    assert!(matches!(ask(&farm.pki.stapdev).await, Ok(Outcome::Artifact { .. })));
    // That it was compiled for one who may does not make it anybody's.
    assert_eq!(ask(&farm.pki.stapsys).await, Ok(Outcome::Failed(Failure::NotAuthorised { needed, granted })));
}

pub(crate) async fn a_script_needs_its_privilege() {
    let farm = Farm::start().await;
    for (client, granted) in [
        (&farm.pki.stapusr, Privilege::Stapusr),
        (&farm.pki.stapsys, Privilege::Stapsys),
        (&farm.pki.stapdev, Privilege::Stapdev),
    ] {
        let peer = farm.connect(client).await.expect("a connection");
        for needed in Privilege::ALL {
            let answer = peer.ask(request(&format!("artifact {needed}"))).await.expect("an answer");
            match answer {
                Outcome::Artifact { .. } => assert!(granted >= needed, "{granted} was given what needs {needed}"),
                Outcome::Failed(failure) => assert_eq!(failure, Failure::NotAuthorised { needed, granted }),
                other => panic!("{other:?}"),
            }
        }
    }
}

pub(crate) async fn what_was_not_asked_for_is_not_signed() {
    let farm = Farm::start().await;
    let peer = farm.connect(&farm.pki.stapdev).await.expect("a connection");
    for about in ["script", "program", "kernel", "guru", "release"] {
        let answer = peer.ask(request(&format!("lie {about}"))).await.expect("an answer");
        let Outcome::Failed(Failure::Internal { stage, message, .. }) = answer else { panic!("{about}: {answer:?}") };
        assert_eq!(stage, "sign");
        assert!(message.contains(about), "{message}");
    }
}

pub(crate) async fn a_deadline_ends_the_compile() {
    let farm = Farm::start_with(|config, _| {
        config.job.deadline_ms = 300;
        config.job.jobs_max = 1;
    })
    .await;
    let peer = farm.connect(&farm.pki.stapusr).await.expect("a connection");
    assert_eq!(peer.ask(request("loop")).await, Ok(Outcome::Failed(Failure::Deadline(300))));
    // Its place is free again.
    assert!(matches!(peer.ask(request("text x")).await, Ok(Outcome::Text { .. })));
}

pub(crate) async fn a_crash_is_told_and_the_request_kept() {
    let farm = Farm::start().await;
    let peer = farm.connect(&farm.pki.stapusr).await.expect("a connection");
    for (script, stage, words) in [
        ("panic", "elaborate", "panic: so be it at server/tests/loopback/fake.rs"),
        ("abort", "elaborate", "signal: 6"),
        ("recurse", "elaborate", "signal: "),
        ("break", "codegen", "out of registers"),
    ] {
        let answer = peer.ask(request(script)).await.expect("an answer");
        let Outcome::Failed(Failure::Internal { stage: got, message, kept }) = answer else {
            panic!("{script}: {answer:?}")
        };
        assert_eq!(got, stage, "{script}: {message}");
        assert!(message.contains(words), "{script}: {message}");
        let assignment: Assignment = postcard::from_bytes(&std::fs::read(kept).expect("kept")).expect("an assignment");
        assert_eq!(assignment.request, request(script));
    }
    assert_eq!(farm.kept().len(), 4);
    assert!(matches!(peer.ask(request("text x")).await, Ok(Outcome::Text { .. })), "it lives on");
}

pub(crate) async fn memory_is_bounded() {
    let farm = Farm::start_with(|config, _| config.job.memory_bytes_max = 256 << 20).await;
    let peer = farm.connect(&farm.pki.stapusr).await.expect("a connection");
    let answer = peer.ask(request("eat")).await.expect("an answer");
    let Outcome::Failed(Failure::Limit(exceeded)) = answer else { panic!("{answer:?}") };
    assert_eq!((exceeded.limit.as_str(), exceeded.max), ("memory of a compile in bytes", 256 << 20));
}

pub(crate) async fn a_compile_that_goes_in_circles_ends() {
    let farm = Farm::start().await;
    let peer = farm.connect(&farm.pki.stapusr).await.expect("a connection");
    let answer = peer.ask(request("insist")).await.expect("an answer");
    let Outcome::Failed(Failure::Internal { stage, .. }) = answer else { panic!("{answer:?}") };
    assert_eq!(stage, "debuginfo");
}

pub(crate) async fn a_compile_can_only_compute() {
    let farm = Farm::start().await;
    let peer = farm.connect(&farm.pki.stapusr).await.expect("a connection");
    let answer = peer.ask(request("escape")).await;
    let Ok(Outcome::Text { text, .. }) = answer else { panic!("{answer:?}") };
    assert_eq!(text, "nothing worked");
}

pub(crate) async fn a_key_that_others_may_read_is_not_used() {
    let farm = Farm::start().await;
    let config = Config {
        listen: ([127, 0, 0, 1], 0).into(),
        directory: farm.pki.server.clone(),
        cache: farm.dir.path().join("other"),
        ..Config::default()
    };
    let key = farm.pki.server.join("signer.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).expect("a mode");
    let error = Server::start(&config).await.err().expect("should be refused").to_string();
    assert!(error.contains("signer.key may be read by others"), "{error}");
}
