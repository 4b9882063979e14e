//! One debuginfod server: asks it for a build id, through the crate `debuginfod` and our own HTTP client below it.
//!
//! What comes is written beside the cache, looked at, and only then becomes part of it.

use std::fmt;
use std::io::{self, Read, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ::debuginfod::{Client, HttpClient, HttpClientError, Readable};
use shared::target::BuildId;
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};
use url::Url;

use super::elf;
use crate::cache::Cache;
use crate::config;
use crate::error::ServerError;

/// A server.
pub(super) struct Server {
    url: Url,
    agent: Agent,
    file_bytes_max: u64,
    retries: u32,
}

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answered {
    /// The file, in the cache.
    File(PathBuf),
    /// It does not have it.
    NotFound,
    /// Something else, in words.
    Failed(String),
}

/// Told of how many bytes came, of how many.
type Tell<'a> = &'a dyn Fn(u64, Option<u64>);

/// Why an attempt failed.
enum Fault {
    /// The network or the server failed: it may not, next time.
    Passing(String),
    /// It will fail again.
    Final(String),
}

/// The first pause before another attempt; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(200);

/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// The servers of a configuration, in its order.
pub(super) fn all(config: &config::Debuginfo) -> Result<Vec<Server>, ServerError> {
    let agent = agent(config);
    let server = |text: &String| {
        let rule = "must be a http or https address";
        let wrong = |_| ServerError::Setting { setting: "debuginfo.urls", value: text.clone(), rule };
        let url = Url::parse(text).map_err(wrong)?;
        let agent = agent.clone();
        Ok(Server { url, agent, file_bytes_max: config.file_bytes_max, retries: config.retries })
    };
    config.urls.iter().map(server).collect()
}

impl Server {
    pub(super) fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Asks for a build id, again where the server or the network fails; blocks for as long as that takes.
    pub(super) fn fetch(&self, build_id: &BuildId, cache: &Cache, tell: Tell<'_>) -> Answered {
        let mut pause = PAUSE;
        let mut attempts_left = self.retries;
        loop {
            match self.attempt(build_id, cache, tell) {
                Ok(Some(path)) => return Answered::File(path),
                Ok(None) => return Answered::NotFound,
                Err(Fault::Passing(_)) if attempts_left > 0 => {
                    attempts_left -= 1;
                    std::thread::sleep(pause);
                    pause *= 2;
                }
                Err(Fault::Passing(why) | Fault::Final(why)) => return Answered::Failed(why),
            }
        }
    }

    fn attempt(&self, build_id: &BuildId, cache: &Cache, tell: Tell<'_>) -> Result<Option<PathBuf>, Fault> {
        let broken = |error: io::Error| Fault::Final(format!("cannot write to the cache: {error}"));
        let announced = Arc::<AtomicU64>::default();
        let http = Http { agent: self.agent.clone(), base: self.url.clone(), announced: Arc::clone(&announced) };
        let name = build_id.to_string();
        let client = Client::builder().http_client(http).build([self.url()]);
        let client = client.ok().flatten().ok_or_else(|| Fault::Final("not an address".to_owned()))?;
        let response = client.fetch_debug_info(&::debuginfod::BuildId::formatted(name.as_str()));
        let response = response.map_err(|error| Fault::Passing(error.root_cause().to_string()))?;
        let Some(response) = response else { return Ok(None) };
        let mut file = cache.begin().map_err(broken)?;
        let total = Some(announced.load(Ordering::Relaxed)).filter(|&bytes| bytes > 0);
        self.receive(response.data, total, file.as_file_mut(), tell)?;
        let got =
            elf::build_id(file.as_file()).map_err(|why| Fault::Final(format!("its file cannot be used: {why}")))?;
        if got != *build_id {
            return Err(Fault::Final(format!("it sent a file with build id {got}")));
        }
        cache.finish(&name, file).map(Some).map_err(broken)
    }

    /// Writes what comes to `file`, as long as it can be what was asked for.
    fn receive(
        &self,
        mut data: impl Read,
        total: Option<u64>,
        file: &mut std::fs::File,
        tell: Tell<'_>,
    ) -> Result<(), Fault> {
        let too_large = |bytes: u64| {
            let max = self.file_bytes_max;
            Fault::Final(format!("its file has {bytes} bytes or more, the limit is {max} (debuginfo.file_bytes_max)"))
        };
        if let Some(total) = total.filter(|&total| total > self.file_bytes_max) {
            return Err(too_large(total));
        }
        let mut buffer = vec![0; 256 << 10];
        let mut done: u64 = 0;
        let mut told = Instant::now();
        tell(0, total);
        loop {
            let after = |error: io::Error| Fault::Passing(format!("after {done} bytes: {error}"));
            let count = fill(&mut data, &mut buffer).map_err(after)?;
            if count == 0 {
                break;
            }
            if done == 0 {
                elf::check_magic(&buffer[..count]).map_err(|why| Fault::Final(format!("it sent {why}")))?;
            }
            done += count as u64;
            if done > self.file_bytes_max {
                return Err(too_large(done));
            }
            let broken = |error: io::Error| Fault::Final(format!("cannot write to the cache: {error}"));
            file.write_all(&buffer[..count]).map_err(broken)?;
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                tell(done, total);
            }
        }
        tell(done, total);
        match total {
            Some(total) if total != done => Err(Fault::Passing(format!("it sent {done} of {total} bytes"))),
            _ => Ok(()),
        }
    }
}

/// Reads until the buffer holds the magic at least, so that a server that sends byte by byte is understood too.
fn fill(data: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < elf::MAGIC.len() {
        match data.read(&mut buffer[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

/// What the crate `debuginfod` asks us to get.
struct Http {
    agent: Agent,
    base: Url,
    /// How large the answer is, as its headers say; 0 where they do not.
    announced: Arc<AtomicU64>,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

impl HttpClient for Http {
    /// The crate drops the path of a server's address (`https://example.org/debuginfod/`): it is put back here.
    fn get(&self, url: &str) -> Result<Box<dyn Readable>, HttpClientError> {
        let mut url = Url::parse(url).map_err(|error| HttpClientError::InvalidUrl(Box::new(error)))?;
        let path = format!("{}{}", self.base.path().trim_end_matches('/'), url.path());
        url.set_path(&path);
        let response = self.agent.get(url.as_str()).call().map_err(|error| match error {
            ureq::Error::StatusCode(code) => {
                let code = http::StatusCode::from_u16(code).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
                HttpClientError::StatusCode(code)
            }
            error => HttpClientError::Other(Box::new(error)),
        })?;
        let bytes = |name: &str| response.headers().get(name)?.to_str().ok()?.parse().ok();
        let announced: Option<u64> = bytes("content-length").or_else(|| bytes("x-debuginfod-size"));
        self.announced.store(announced.unwrap_or(0), Ordering::Relaxed);
        Ok(Box::new(Body(response.into_body().into_reader())))
    }
}

/// The crate wants what it reads from to be printable.
struct Body(ureq::BodyReader<'static>);

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Body")
    }
}

fn agent(config: &config::Debuginfo) -> Agent {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(provider)
        .root_certs(RootCerts::PlatformVerifier)
        .build();
    Agent::config_builder()
        .tls_config(tls)
        .user_agent(concat!("tapwired/", env!("CARGO_PKG_VERSION")))
        .timeout_resolve(Some(Duration::from_millis(config.connect_ms)))
        .timeout_connect(Some(Duration::from_millis(config.connect_ms)))
        .timeout_per_read(Some(Duration::from_millis(config.stall_ms)))
        .timeout_global(Some(Duration::from_millis(config.fetch_ms)))
        .max_redirects(3)
        .build()
        .new_agent()
}
