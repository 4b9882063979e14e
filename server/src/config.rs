//! What may be set, and what holds where nothing is: a TOML file, and flags that override it.

use std::ffi::OsString;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use shared::limits::ARTIFACT_LIFE_S_DEFAULT;
use shared::protocol::version::PORT;
use shared::trust::store::SERVER_DIR;

use crate::error::ServerError;

/// Where the file is, unless `--config` says otherwise.
pub const FILE: &str = "/etc/tapwired/tapwired.toml";

/// Everything that may be set.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where to listen (UDP).
    pub listen: SocketAddr,
    /// Where the identities and the lists of clients are.
    pub directory: PathBuf,
    /// Where debuginfo, compiled scripts and kept requests go. Only the server may write there.
    pub cache: PathBuf,
    /// Seconds that an artifact may be loaded for after it was signed.
    pub artifact_life_s: u64,
    /// Who may be connected, and how much they may send.
    pub connections: Connections,
    /// How a compile runs.
    pub job: Job,
    /// Where debuginfo comes from.
    pub debuginfo: Debuginfo,
    /// How much of what was compiled is kept for those who ask again.
    pub store: Store,
}

/// Who may be connected, and how much they may send.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Connections {
    /// Connections at once. One more is refused.
    pub connections_max: usize,
    /// From how many connections on an address must prove that it receives what is sent to it (QUIC Retry, RFC 9000,
    /// section 8.1.2), which costs it a round trip.
    pub retry_from: usize,
    /// Requests at once on one connection.
    pub requests_max: u32,
    /// Milliseconds without a sign of life after which a connection is closed.
    pub idle_ms: u64,
    /// Milliseconds that a handshake, or the sending of a request, may take.
    pub request_ms: u64,
    /// Bytes of requests that have not been answered, of all connections together.
    pub request_bytes_max: usize,
}

/// How a compile runs.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Job {
    /// Milliseconds after which a compile is ended.
    pub deadline_ms: u64,
    /// Bytes of memory a compile may have, without the debuginfo files that it maps.
    pub memory_bytes_max: u64,
    /// Compiles at once.
    pub jobs_max: usize,
    /// Requests that wait for one of these; one more fails at once.
    pub jobs_waiting_max: usize,
    /// The program and arguments that start a worker; more arguments follow. Not in the file: it is this program.
    #[serde(skip, default = "worker")]
    pub worker: Vec<OsString>,
}

/// Where debuginfo comes from.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Debuginfo {
    /// debuginfod servers, asked in this order; those of `DEBUGINFOD_URLS` where the file names none.
    pub urls: Vec<String>,
    /// Trees as `/usr/lib/debug` is one, looked into before any server is asked.
    pub directories: Vec<PathBuf>,
    /// Bytes of one debuginfo file.
    pub file_bytes_max: u64,
    /// Bytes of all that were fetched; what was not used for longest is deleted first.
    pub cache_bytes_max: u64,
    /// Bytes of the indexes that were made of them.
    pub index_bytes_max: u64,
    /// Milliseconds in which a server must take a connection.
    pub connect_ms: u64,
    /// Milliseconds in which the next bytes must come.
    pub stall_ms: u64,
    /// Milliseconds that fetching one file may take altogether.
    pub fetch_ms: u64,
    /// How often to try again where a server or the network fails.
    pub retries: u32,
    /// Files fetched at once.
    pub fetches_max: usize,
    /// Seconds for which a build id that no server has is not asked for again.
    pub missing_s: u64,
    /// Seconds for which it is not asked for again where some server did not answer.
    pub failed_s: u64,
}

/// How much of what was compiled is kept for those who ask again.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// Bytes in memory.
    pub memory_bytes_max: u64,
    /// Bytes on disk.
    pub disk_bytes_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: (Ipv6Addr::UNSPECIFIED, PORT).into(),
            directory: SERVER_DIR.into(),
            cache: "/var/cache/tapwired".into(),
            artifact_life_s: ARTIFACT_LIFE_S_DEFAULT,
            connections: Connections::default(),
            job: Job::default(),
            debuginfo: Debuginfo::default(),
            store: Store::default(),
        }
    }
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            connections_max: 1024,
            retry_from: 64,
            requests_max: 16,
            idle_ms: 30_000,
            request_ms: 30_000,
            request_bytes_max: 256 << 20,
        }
    }
}

impl Default for Job {
    fn default() -> Self {
        Self {
            deadline_ms: 30_000,
            memory_bytes_max: 2 << 30,
            jobs_max: std::thread::available_parallelism().map_or(2, usize::from),
            jobs_waiting_max: 4096,
            worker: worker(),
        }
    }
}

impl Default for Debuginfo {
    fn default() -> Self {
        let urls = std::env::var("DEBUGINFOD_URLS").unwrap_or_default();
        Self {
            urls: split_urls(&urls),
            directories: vec!["/usr/lib/debug".into()],
            file_bytes_max: 4 << 30,
            cache_bytes_max: 32 << 30,
            index_bytes_max: 2 << 30,
            connect_ms: 5_000,
            stall_ms: 30_000,
            fetch_ms: 1_800_000,
            retries: 2,
            fetches_max: 4,
            missing_s: 600,
            failed_s: 20,
        }
    }
}

impl Default for Store {
    fn default() -> Self {
        Self { memory_bytes_max: 64 << 20, disk_bytes_max: 1 << 30 }
    }
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or something in it is wrong; says what and where.
    pub fn read(path: &Path) -> Result<Self, ServerError> {
        let text = std::fs::read_to_string(path).map_err(ServerError::io(path))?;
        let wrong = |error: toml::de::Error| ServerError::Config {
            path: path.to_owned(),
            message: error.to_string().trim_end().to_owned(),
        };
        toml::from_str(&text).map_err(wrong)
    }

    /// Reads [`FILE`]; where there is none, everything is as usual.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_default() -> Result<Self, ServerError> {
        match Self::read(FILE.as_ref()) {
            Err(ServerError::Io { error, .. }) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            read => read,
        }
    }

    /// Checks what a type cannot say.
    ///
    /// # Errors
    /// At the first value that makes no sense.
    pub fn check(&self) -> Result<(), ServerError> {
        for (setting, value) in [
            ("connections.connections_max", self.connections.connections_max as u64),
            ("connections.requests_max", u64::from(self.connections.requests_max)),
            ("connections.idle_ms", self.connections.idle_ms),
            ("connections.request_ms", self.connections.request_ms),
            ("job.deadline_ms", self.job.deadline_ms),
            ("job.jobs_max", self.job.jobs_max as u64),
            ("debuginfo.connect_ms", self.debuginfo.connect_ms),
            ("debuginfo.stall_ms", self.debuginfo.stall_ms),
            ("debuginfo.fetch_ms", self.debuginfo.fetch_ms),
            ("debuginfo.fetches_max", self.debuginfo.fetches_max as u64),
            ("artifact_life_s", self.artifact_life_s),
        ] {
            if value == 0 {
                return Err(ServerError::Setting { setting, value: value.to_string(), rule: "must not be zero" });
            }
        }
        for url in &self.debuginfo.urls {
            let rule = "must be a http or https address";
            if !url::Url::parse(url).is_ok_and(|url| ["http", "https"].contains(&url.scheme())) {
                return Err(ServerError::Setting { setting: "debuginfo.urls", value: url.clone(), rule });
            }
        }
        let (bytes, least) = (self.connections.request_bytes_max, shared::limits::FRAME_BYTES_MAX);
        if bytes < least {
            let rule = "must hold at least one request of 16 MiB";
            return Err(ServerError::Setting {
                setting: "connections.request_bytes_max",
                value: bytes.to_string(),
                rule,
            });
        }
        Ok(())
    }
}

/// The addresses in a text like that of `DEBUGINFOD_URLS`: separated by blanks or commas. The words `ima:…`, which say how
/// those behind them are to be checked, are left out: what comes is checked in our own way.
#[must_use]
pub fn split_urls(text: &str) -> Vec<String> {
    let words = text.split([' ', ',', '\t', '\n']).filter(|word| !word.is_empty());
    words.filter(|word| !word.starts_with("ima:")).map(str::to_owned).collect()
}

/// This very program, even when its file has been replaced since it was started.
fn worker() -> Vec<OsString> {
    vec!["/proc/self/exe".into(), crate::job::worker::COMMAND.into()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_overrides_what_it_names() {
        let config: Config =
            toml::from_str("listen = '127.0.0.1:1'\n[job]\ndeadline_ms = 5\n").expect("a configuration");
        assert_eq!(config.listen, SocketAddr::from(([127, 0, 0, 1], 1)));
        assert_eq!(config.job.deadline_ms, 5);
        assert_eq!(config.job.memory_bytes_max, Job::default().memory_bytes_max);
        assert!(!config.job.worker.is_empty());
    }

    #[test]
    fn the_readme_shows_every_setting_as_it_usually_is() {
        let readme = include_str!("../README.md");
        let (_, toml) = readme.split_once("```toml\n").expect("an example");
        let (toml, _) = toml.split_once("```").expect("its end");
        let mut config: Config = toml::from_str(toml).expect("a configuration");
        // These two depend on the host.
        config.job.jobs_max = Job::default().jobs_max;
        config.debuginfo.urls = Debuginfo::default().urls;
        assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
        for setting in format!("{config:?}").split([' ', '{', ',']).filter_map(|word| word.strip_suffix(':')) {
            assert!(toml.contains(setting) || setting == "worker", "{setting} is not shown");
        }
    }

    #[test]
    fn an_unknown_setting_is_an_error() {
        let error = toml::from_str::<Config>("[job]\ndedline_ms = 5\n").expect_err("a typing error").to_string();
        assert!(error.contains("dedline_ms") && error.contains("line 2"), "{error}");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let mut config = Config::default();
        config.job.deadline_ms = 0;
        assert!(config.check().is_err());
        let mut config = Config::default();
        config.debuginfo.urls = vec!["file:///etc".to_owned()];
        assert!(config.check().is_err());
        config.debuginfo.urls = split_urls("ima:enforcing https://a.example/, http://b.example:8002");
        assert_eq!(config.debuginfo.urls, ["https://a.example/", "http://b.example:8002"]);
        config.check().expect("good addresses");
    }
}
