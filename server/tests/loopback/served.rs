//! What a client gets that asks for something good.

use std::collections::BTreeSet;
use std::time::Duration;

use certs::list::{self, List};
use object::Object as _;
use server::config::Config;
use server::listener::Server;
use server::personal::Home;
use shared::artifact::UntrustedArtifact;
use shared::artifact::container::Verifier;
use shared::protocol::response::{Failure, Outcome};
use shared::protocol::version::ALPN;
use shared::target::{Architecture, BuildId, Fact, FactQuery};
use shared::trust::Privilege;
use shared::trust::policy::HostPolicy;

use crate::elf_file::with_build_id;
use crate::farm::{Farm, connect, kernel, request};

pub(crate) async fn a_request_is_answered() {
    let farm = Farm::start().await;
    let peer = farm.connect(&farm.pki.stapusr).await.expect("a connection");
    let Ok(Outcome::Text { text, timings, .. }) = peer.ask(request("text hello")).await else { panic!("no text") };
    assert_eq!(text, "hello");
    let stages: Vec<&str> = timings.iter().map(|timing| timing.stage.as_str()).collect();
    assert_eq!(stages, ["debuginfo", "parse", "elaborate", "worker"]);
    assert!(matches!(peer.ask(request("refuse")).await, Ok(Outcome::Refused(_))));
}

pub(crate) async fn an_artifact_is_what_its_signer_vouches_for() {
    let farm = Farm::start().await;
    let peer = farm.connect(&farm.pki.stapsys).await.expect("a connection");
    let answer = peer.ask(request("artifact stapsys")).await;
    let Ok(Outcome::Artifact { artifact, .. }) = answer else { panic!("no artifact: {answer:?}") };
    let key = certs::identity::read_signer(&farm.pki.stapsys.join("signers/farm.pub")).expect("a key");
    let verifier = Verifier {
        signers: &[("farm".to_owned(), key)],
        policy: &HostPolicy::without_file(true),
        architecture: Architecture::X86_64,
        kernel: &kernel(),
        now_s: certs::identity::now_s(),
    };
    let verified = UntrustedArtifact::parse(&artifact).expect("an artifact").verify(&verifier).expect("verified");
    assert_eq!(verified.claims().privilege, Privilege::Stapsys);
    assert_eq!(verified.elf(), b"an ELF object");
}

pub(crate) async fn a_repeated_request_needs_no_worker() {
    let farm = Farm::start().await;
    let peer = farm.connect(&farm.pki.stapusr).await.expect("a connection");
    let first = text(peer.ask(request("process")).await);
    let Ok(Outcome::Text { text: second, timings, .. }) = peer.ask(request("process")).await else { panic!("no text") };
    assert_eq!(first, second, "another worker answered");
    assert_eq!(timings.len(), 1, "{timings:?}");
    let other = farm.connect(&farm.pki.stapdev).await.expect("a connection");
    assert_eq!(text(other.ask(request("process")).await), first);
    let mut another = request("process");
    another.arguments.push("1".to_owned());
    assert_ne!(text(peer.ask(another).await), first, "other arguments are another request");
}

pub(crate) async fn a_repeated_request_needs_no_worker_after_a_restart() {
    let farm = Farm::start().await;
    let peer = farm.connect(&farm.pki.stapusr).await.expect("a connection");
    let first = text(peer.ask(request("process")).await);
    let entries = farm.dir.path().join("cache/compiled");
    while !std::fs::read_dir(&entries).expect("a directory").any(|entry| entry.is_ok_and(|entry| entry.path().is_dir()))
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let config = Config {
        listen: ([127, 0, 0, 1], 0).into(),
        directory: farm.pki.server.clone(),
        cache: farm.dir.path().join("cache"),
        ..Config::default()
    };
    let again = Server::start(&config).await.expect("a server");
    let peer = connect(again.address(), &farm.pki.stapusr, &farm.pki.stapusr, ALPN).await.expect("a connection");
    assert_eq!(text(peer.ask(request("process")).await), first);
}

pub(crate) async fn requests_at_once_are_one_compile() {
    let farm = Farm::start().await;
    let peer = farm.connect(&farm.pki.stapusr).await.expect("a connection");
    let ask = || async { text(peer.ask(request("process")).await) };
    let (one, two, three) = tokio::join!(ask(), ask(), ask());
    assert!(one == two && two == three, "{one} {two} {three}");
}

pub(crate) async fn many_requests_go_over_one_connection() {
    let farm = Farm::start().await;
    let peer = farm.connect(&farm.pki.stapusr).await.expect("a connection");
    // More than are allowed at once: the rest wait for a stream.
    let mut asked = tokio::task::JoinSet::new();
    for number in 0..40 {
        let peer = peer.clone();
        asked.spawn(async move { (number, text(peer.ask(request(&format!("text {number}"))).await)) });
    }
    let answers = asked.join_all().await;
    assert_eq!(answers.len(), 40);
    for (number, text) in answers {
        assert_eq!(text, number.to_string());
    }
}

pub(crate) async fn facts_are_asked_for() {
    let farm = Farm::start().await;
    let peer = farm.connect(&farm.pki.stapusr).await.expect("a connection");
    let path = "/usr/bin/true".to_owned();
    let asked = peer.ask(request("ask /usr/bin/true")).await;
    assert_eq!(asked, Ok(Outcome::NeedFacts(vec![FactQuery::Elf { path: path.clone() }])));
    let mut again = request("ask /usr/bin/true");
    again.facts = vec![Fact::Elf { path, found: Err("no such file".to_owned()) }];
    assert!(text(peer.ask(again).await).contains("no such file"));
}

pub(crate) async fn debuginfo_of_this_host_is_found_and_mapped() {
    let file = with_build_id(&kernel(), 1000);
    let bytes = file.len();
    let farm = Farm::start_with(|config, dir| {
        let place = dir.join("tree/boot");
        std::fs::create_dir_all(&place).expect("a directory");
        std::fs::write(place.join("vmlinux-6.1.0-test"), file).expect("written");
        config.debuginfo.directories = vec![dir.join("tree")];
    })
    .await;
    let peer = farm.connect(&farm.pki.stapusr).await.expect("a connection");
    assert_eq!(text(peer.ask(request("read")).await), format!("[69, 76, 70] and {} bytes", bytes - 4));
}

pub(crate) async fn debuginfo_is_indexed_once_it_was_used() {
    // The debug file is that of this very program.
    let program = std::env::current_exe().expect("a path");
    let bytes = std::fs::read(&program).expect("this program");
    let elf = object::File::parse(&*bytes).expect("an ELF file");
    let build_id = BuildId::new(elf.build_id().expect("notes").expect("a build id")).expect("a build id");
    let farm = Farm::start_with(|config, dir| {
        let (head, tail) = (&build_id.to_string()[..2], &build_id.to_string()[2..]);
        let place = dir.join("tree/.build-id").join(head);
        std::fs::create_dir_all(&place).expect("a directory");
        std::os::unix::fs::symlink(&program, place.join(format!("{tail}.debug"))).expect("a link");
        config.debuginfo.directories = vec![dir.join("tree")];
    })
    .await;
    let peer = farm.connect(&farm.pki.stapusr).await.expect("a connection");
    let ask = async |number: usize| {
        let mut request = request("index");
        request.target.kernel = build_id.clone();
        request.arguments.push(number.to_string());
        text(peer.ask(request).await)
    };
    assert_eq!(ask(0).await, "none", "somebody waited for the index");
    let mut number = 0;
    let answer = loop {
        number += 1;
        let answer = ask(number).await;
        if answer != "none" || number == 1200 {
            break answer;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(answer, "Ok(true)");
}

pub(crate) async fn missing_debuginfo_is_told_with_every_place_tried() {
    let farm = Farm::start_with(|config, dir| {
        config.debuginfo.directories = vec![dir.join("tree")];
        config.debuginfo.urls = vec!["http://127.0.0.1:1".to_owned()];
        config.debuginfo.retries = 0;
    })
    .await;
    let peer = farm.connect(&farm.pki.stapusr).await.expect("a connection");
    let (outcome, progress) = peer.ask_and_listen(request("read")).await.expect("an answer");
    let Outcome::Failed(Failure::DebuginfoNotFound { object, build_id, tried }) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!((object.as_str(), build_id), ("the kernel", kernel()));
    for (line, words) in tried.iter().zip([
        "/cache/debuginfo/00/11",
        "/tree/.build-id/00/11",
        "/tree/boot/vmlinux-6.1.0-test",
        "/tree/lib/modules/6.1.0-test/vmlinux",
        "http://127.0.0.1:1/: ",
    ]) {
        assert!(line.contains(words), "{line} should say {words}");
    }
    assert_eq!(tried.len(), 5, "{tried:?}");
    assert!(
        progress.iter().any(|news| news.activity.starts_with("fetching debuginfo of the kernel (0011")),
        "{progress:?}"
    );
}

pub(crate) async fn a_server_of_ones_own_starts_and_ends() {
    let dir = tempfile::tempdir().expect("a directory");
    let home = dir.path().join("home");
    let cache = dir.path().join("cache");
    for _ in 0..2 {
        let taken = Home::take(&home).expect("a home");
        assert!(Home::take(&home).is_err(), "two servers in one directory");
        let config = taken.configure(Config { cache: cache.clone(), ..Config::default() });
        let serving =
            tokio::spawn(
                async move { taken.serve(&config, Duration::from_millis(1500), std::future::pending()).await },
            );
        let address = loop {
            match std::fs::read_to_string(home.join("address")) {
                Ok(address) => break address.strip_suffix('\n').expect("a whole line").parse().expect("an address"),
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        };
        let peer = connect(address, &home, &home, ALPN).await.expect("a connection");
        // Longer than it would wait without a connection.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let answer = peer.ask(request("artifact stapdev")).await;
        assert!(matches!(answer, Ok(Outcome::Artifact { .. })), "{answer:?}");
        drop(peer);
        serving.await.expect("no panic").expect("served");
        assert!(!home.join("address").exists());
    }
    let signers: BTreeSet<_> =
        std::fs::read_dir(home.join("signers")).expect("a list").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(signers, BTreeSet::from(["personal.pub".into()]), "the signer changed");
}

pub(crate) async fn a_client_that_is_authorised_later_gets_in() {
    let farm = Farm::start().await;
    assert!(farm.connect(&farm.pki.stranger).await.expect("a handshake").ask(request("text x")).await.is_err());
    list::add(&farm.pki.server, List::Clients(Privilege::Stapusr), &farm.pki.stranger.join("client.crt"), None)
        .expect("added");
    let peer = farm.connect(&farm.pki.stranger).await.expect("a connection");
    assert_eq!(text(peer.ask(request("text x")).await), "x");
}

pub(crate) async fn what_is_under_way_ends_before_the_server_does() {
    let farm = Farm::start_with(|config, _| config.job.deadline_ms = 3_000).await;
    let peer = farm.connect(&farm.pki.stapusr).await.expect("a connection");
    let asked = tokio::spawn(async move { peer.ask(request("loop")).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    farm.server.shut_down().await;
    let outcome = asked.await.expect("no panic");
    assert_eq!(outcome, Ok(Outcome::Failed(Failure::Deadline(3_000))));
}

/// The one compile that both wait for is the one that left began.
pub(crate) async fn a_client_that_leaves_takes_nobodys_answer_along() {
    let farm = Farm::start().await;
    let one = farm.connect(&farm.pki.stapusr).await.expect("a connection");
    let two = farm.connect(&farm.pki.stapdev).await.expect("a connection");
    let leaving = one.clone();
    let first = tokio::spawn(async move { leaving.ask(request("dawdle")).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let second = tokio::spawn(async move { two.ask(request("dawdle")).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    one.connection.close(0u32.into(), b"");
    assert!(first.await.expect("no panic").is_err());
    text(second.await.expect("no panic"));
}

pub(crate) async fn a_client_that_leaves_frees_its_worker() {
    let farm = Farm::start_with(|config, _| {
        config.job.jobs_max = 1;
        config.job.deadline_ms = 3_600_000;
    })
    .await;
    let one = farm.connect(&farm.pki.stapusr).await.expect("a connection");
    let leaving = one.clone();
    let first = tokio::spawn(async move { leaving.ask(request("loop")).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    one.connection.close(0u32.into(), b"");
    assert!(first.await.expect("no panic").is_err());
    let two = farm.connect(&farm.pki.stapdev).await.expect("a connection");
    assert_eq!(text(two.ask(request("text x")).await), "x");
}

fn text(answer: Result<Outcome, String>) -> String {
    match answer {
        Ok(Outcome::Text { text, .. }) => text,
        other => panic!("no text: {other:?}"),
    }
}
