//! Debuginfo from servers that behave, and from servers that do not: each is a thread that answers as a closure says.

mod elf_file;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::Duration;

use elf_file::with_build_id;
use server::config;
use server::debuginfod::{Debuginfod, Wanted};
use shared::protocol::response::Progress;
use shared::target::BuildId;
use tokio::sync::mpsc;

/// A server: where it is, and how many requests came.
struct Fake {
    url: String,
    requests: Arc<AtomicUsize>,
}

impl Fake {
    fn start(answer: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let requests = Arc::<AtomicUsize>::default();
        let (count, answer) = (Arc::clone(&requests), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let (count, answer) = (Arc::clone(&count), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let path = read_path(&stream);
                    count.fetch_add(1, Ordering::SeqCst);
                    answer(&path, &mut stream);
                });
            }
        });
        Self { url, requests }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn read_path(stream: &TcpStream) -> String {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let path = lines.next().and_then(|line| line.split(' ').nth(1).map(str::to_owned)).unwrap_or_default();
    // The rest of the head ends in an empty line.
    lines.find(String::is_empty);
    path
}

fn send(stream: &mut TcpStream, head: &str, body: &[u8]) {
    // The client may have had enough.
    let _ = stream.write_all(format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n").as_bytes());
    let _ = stream.write_all(body);
}

fn send_file(stream: &mut TcpStream, body: &[u8]) {
    send(stream, &format!("200 OK\r\nContent-Length: {}", body.len()), body);
}

fn not_found(stream: &mut TcpStream) {
    send(stream, "404 Not Found\r\nContent-Length: 0", b"");
}

fn build_id() -> BuildId {
    "00112233445566778899aabbccddeeff00112233".parse().expect("a build id")
}

fn wanted() -> Wanted {
    Wanted { object: "the kernel".to_owned(), build_id: build_id(), release: None }
}

/// With these servers only.
fn config(urls: &[&str]) -> config::Debuginfo {
    config::Debuginfo {
        urls: urls.iter().map(|&url| url.to_owned()).collect(),
        directories: Vec::new(),
        retries: 1,
        ..config::Debuginfo::default()
    }
}

fn impatient(config: &mut config::Debuginfo) {
    config.stall_ms = 300;
    config.retries = 0;
}

fn open(cache: &Path, config: &config::Debuginfo) -> Arc<Debuginfod> {
    Arc::new(Debuginfod::open(&cache.join("cache"), config).expect("a cache"))
}

async fn find(debuginfod: &Arc<Debuginfod>) -> (Option<std::path::PathBuf>, Vec<Progress>) {
    let (sender, mut receiver) = mpsc::channel(1000);
    let path = debuginfod.find(&wanted(), &sender).await;
    drop(sender);
    let mut progress = Vec::new();
    while let Some(news) = receiver.recv().await {
        progress.push(news);
    }
    (path, progress)
}

/// What the one server was found to be doing.
async fn failure(fake: &Fake, change: impl FnOnce(&mut config::Debuginfo)) -> String {
    let dir = tempfile::tempdir().expect("a directory");
    let mut config = config(&[&fake.url]);
    change(&mut config);
    let debuginfod = open(dir.path(), &config);
    assert_eq!(find(&debuginfod).await.0, None);
    let cache = dir.path().join("cache/debuginfo");
    let left = std::fs::read_dir(cache).expect("the cache").count();
    assert_eq!(left, 0, "something was left in the cache");
    let tried = debuginfod.why_missing(&build_id());
    assert_eq!(tried.len(), 2, "{tried:?}");
    assert!(
        tried[0].ends_with("cache/debuginfo/00/112233445566778899aabbccddeeff00112233.debug: no such file"),
        "{tried:?}"
    );
    tried[1].strip_prefix(&format!("{}/: ", fake.url)).expect("the server's address").to_owned()
}

#[tokio::test]
async fn a_file_is_fetched_once_with_progress() {
    let file = with_build_id(&build_id(), 3 << 20);
    let (sent, bytes) = (file.clone(), file.len() as u64);
    let fake = Fake::start(move |path, stream| {
        assert_eq!(path, "/buildid/00112233445566778899aabbccddeeff00112233/debuginfo");
        let (first, rest) = sent.split_at(sent.len() / 2);
        send(stream, &format!("200 OK\r\nContent-Length: {}", sent.len()), first);
        sleep(Duration::from_millis(250));
        let _ = stream.write_all(rest);
    });
    let dir = tempfile::tempdir().expect("a directory");
    let debuginfod = open(dir.path(), &config(&[&fake.url]));
    let (path, progress) = find(&debuginfod).await;
    let path = path.expect("a file");
    assert_eq!(std::fs::read(&path).expect("readable"), file);
    assert!(progress.iter().any(|news| news.bytes_done < bytes && news.bytes_total == Some(bytes)), "{progress:?}");
    assert!(progress.iter().all(|news| news.activity.contains("debuginfo of the kernel")), "{progress:?}");
    // Found again without asking: by this one, and by one that starts anew.
    assert_eq!(debuginfod.here(&wanted()), Some(path.clone()));
    assert_eq!(find(&open(dir.path(), &config(&[&fake.url]))).await.0, Some(path));
    assert_eq!(fake.requests(), 1);
}

#[tokio::test]
async fn two_who_ask_at_once_are_served_by_one_fetch() {
    let file = with_build_id(&build_id(), 1000);
    let fake = Fake::start(move |_, stream| {
        sleep(Duration::from_millis(200));
        send_file(stream, &file);
    });
    let dir = tempfile::tempdir().expect("a directory");
    let debuginfod = open(dir.path(), &config(&[&fake.url]));
    let (one, two) = tokio::join!(find(&debuginfod), find(&debuginfod));
    assert!(one.0.is_some() && one.0 == two.0);
    assert_eq!(fake.requests(), 1);
}

#[tokio::test]
async fn a_fetch_goes_on_when_nobody_waits_any_more() {
    let file = with_build_id(&build_id(), 1000);
    let fake = Fake::start(move |_, stream| {
        sleep(Duration::from_millis(200));
        send_file(stream, &file);
    });
    let dir = tempfile::tempdir().expect("a directory");
    let debuginfod = open(dir.path(), &config(&[&fake.url]));
    tokio::select! {
        biased;
        _ = find(&debuginfod) => panic!("it came at once"),
        () = tokio::time::sleep(Duration::from_millis(50)) => {}
    }
    assert!(find(&debuginfod).await.0.is_some());
    assert_eq!(fake.requests(), 1);
}

#[tokio::test]
async fn what_nobody_has_is_asked_for_once() {
    let fake = Fake::start(|_, stream| not_found(stream));
    let dir = tempfile::tempdir().expect("a directory");
    let debuginfod = open(dir.path(), &config(&[&fake.url]));
    for _ in 0..3 {
        assert_eq!(find(&debuginfod).await.0, None);
        assert!(debuginfod.why_missing(&build_id())[1].ends_with(": not found"));
    }
    assert_eq!(fake.requests(), 1);
}

#[tokio::test]
async fn what_nobody_has_is_asked_for_again_after_a_while() {
    let fake = Fake::start(|_, stream| not_found(stream));
    let dir = tempfile::tempdir().expect("a directory");
    let debuginfod = open(dir.path(), &config::Debuginfo { missing_s: 0, ..config(&[&fake.url]) });
    find(&debuginfod).await;
    find(&debuginfod).await;
    assert_eq!(fake.requests(), 2);
}

#[tokio::test]
async fn the_next_server_is_asked_where_one_has_nothing_good() {
    let file = with_build_id(&build_id(), 1000);
    let nothing = Fake::start(|_, stream| not_found(stream));
    let page = Fake::start(|_, stream| send_file(stream, b"<html>please log in</html>"));
    let good = Fake::start(move |path, stream| {
        assert!(path.starts_with("/debug/info/buildid/00"), "the server's own path is lost: {path}");
        send_file(stream, &file);
    });
    let dir = tempfile::tempdir().expect("a directory");
    let debuginfod = open(dir.path(), &config(&[&nothing.url, &page.url, &format!("{}/debug/info/", good.url)]));
    assert!(find(&debuginfod).await.0.is_some());
    assert_eq!((nothing.requests(), page.requests(), good.requests()), (1, 1, 1));
}

#[tokio::test]
async fn a_page_is_not_taken_for_a_file() {
    let fake = Fake::start(|_, stream| send_file(stream, b"<html>please log in</html>"));
    let why = failure(&fake, |_| {}).await;
    assert_eq!(why, "it sent no ELF file: it starts with \"<html>please log in</htm\"");
    assert_eq!(fake.requests(), 1, "it would send the same again");
}

#[tokio::test]
async fn an_empty_answer_is_not_taken_for_a_file() {
    let fake = Fake::start(|_, stream| send_file(stream, b""));
    let why = failure(&fake, |_| {}).await;
    assert_eq!(why, "its file cannot be used: no ELF file: it starts with \"\"");
}

#[tokio::test]
async fn a_file_with_another_build_id_is_refused() {
    let other: BuildId = "ffff".parse().expect("a build id");
    let file = with_build_id(&other, 1000);
    let fake = Fake::start(move |_, stream| send_file(stream, &file));
    assert_eq!(failure(&fake, |_| {}).await, "it sent a file with build id ffff");
}

#[tokio::test]
async fn an_elf_file_that_is_garbage_behind_its_magic_is_refused() {
    let fake = Fake::start(|_, stream| send_file(stream, &[b"\x7fELF\x02\x01\x01".as_slice(), &[0xff; 4096]].concat()));
    let why = failure(&fake, |_| {}).await;
    assert!(why.starts_with("its file cannot be used: the ELF headers cannot be read"), "{why}");
}

#[tokio::test]
async fn a_body_that_is_cut_short_is_tried_again_and_then_refused() {
    let file = with_build_id(&build_id(), 1000);
    let fake = Fake::start(move |_, stream| {
        send(stream, &format!("200 OK\r\nContent-Length: {}", file.len()), &file[..file.len() / 2]);
    });
    let why = failure(&fake, |_| {}).await;
    assert!(why.starts_with("after ") && why.contains(" bytes: "), "{why}");
    assert_eq!(fake.requests(), 2);
}

#[tokio::test]
async fn a_file_that_is_announced_too_large_is_not_fetched() {
    let fake = Fake::start(|_, stream| send(stream, "200 OK\r\nContent-Length: 5000000000000", b"\x7fELF"));
    let why = failure(&fake, |_| {}).await;
    assert!(why.starts_with("its file has 5000000000000 bytes or more, the limit is"), "{why}");
}

#[tokio::test]
async fn a_file_that_grows_too_large_is_given_up() {
    let file = with_build_id(&build_id(), 1 << 20);
    let fake = Fake::start(move |_, stream| send(stream, "200 OK", &file));
    let why = failure(&fake, |config| config.file_bytes_max = 100_000).await;
    assert!(why.starts_with("its file has ") && why.contains("the limit is 100000"), "{why}");
}

#[tokio::test]
async fn a_server_that_stalls_is_given_up() {
    let fake = Fake::start(|_, stream| {
        send(stream, "200 OK\r\nContent-Length: 1000", b"\x7fELF");
        sleep(Duration::from_secs(5));
    });
    let why = failure(&fake, impatient).await;
    assert!(why.starts_with("after 4 bytes: ") && why.contains("timeout"), "{why}");
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let fake = Fake::start(|_, _| sleep(Duration::from_secs(5)));
    let why = failure(&fake, impatient).await;
    assert!(why.contains("timeout"), "{why}");
}

#[tokio::test]
async fn a_server_that_fails_is_tried_again() {
    let file = with_build_id(&build_id(), 1000);
    let first = AtomicUsize::new(1);
    let fake = Fake::start(move |_, stream| match first.swap(0, Ordering::SeqCst) {
        1 => send(stream, "503 Service Unavailable\r\nContent-Length: 0", b""),
        _ => send_file(stream, &file),
    });
    let dir = tempfile::tempdir().expect("a directory");
    assert!(find(&open(dir.path(), &config(&[&fake.url]))).await.0.is_some());
    let fake = Fake::start(|_, stream| send(stream, "503 Service Unavailable\r\nContent-Length: 0", b""));
    assert_eq!(
        failure(&fake, |_| {}).await,
        "request failed with HTTP status 503 Service Unavailable (Service Unavailable)"
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let fake = Fake { url, requests: Arc::default() };
    let why = failure(&fake, |config| config.retries = 0).await;
    assert!(why.contains("Connection refused"), "{why}");
}

#[tokio::test]
async fn a_tree_of_this_host_comes_before_any_server() {
    let fake = Fake::start(|_, stream| not_found(stream));
    let dir = tempfile::tempdir().expect("a directory");
    let tree = dir.path().join("tree");
    let place = tree.join(".build-id/00");
    std::fs::create_dir_all(&place).expect("a directory");
    let place = place.join("112233445566778899aabbccddeeff00112233.debug");
    std::fs::write(&place, with_build_id(&"ffff".parse().expect("a build id"), 10)).expect("written");
    let config = config::Debuginfo { directories: vec![tree], missing_s: 0, ..config(&[&fake.url]) };
    let debuginfod = open(dir.path(), &config);
    assert_eq!(find(&debuginfod).await.0, None);
    assert!(debuginfod.why_missing(&build_id())[1].ends_with(".debug: it has build id ffff"));
    std::fs::write(&place, with_build_id(&build_id(), 10)).expect("written");
    assert_eq!(find(&debuginfod).await.0, Some(place.clone()));
    assert_eq!(fake.requests(), 1);
    // A file that is replaced is looked at again.
    std::fs::write(&place, "something else").expect("written");
    assert_eq!(debuginfod.here(&wanted()), None);
}
