//! A server of one user's own: keys made on the spot, on loopback, for as long as somebody asks. Everything else is as on any
//! server; there is no second path.
//!
//! Who finds what in the directory is written in [`shared::trust::store::personal`].

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use certs::certificate::ReadCertificate;
use certs::identity;
use certs::list::{self, List};
use shared::trust::Privilege;
use shared::trust::role::Role;
use shared::trust::store::personal::{ADDRESS, LOCK, NAME};

use crate::cache::make_private_dir;
use crate::config::Config;
use crate::error::ServerError;
use crate::listener::Server;

/// Minutes without a connection after which a personal server ends.
pub const IDLE_DEFAULT: Duration = Duration::from_secs(10 * 60);

/// A certificate that is valid for less than this is made anew.
const LIFE_LEFT_MIN_S: u64 = 24 * 3600;

/// A directory that no other server runs in.
pub struct Home {
    dir: PathBuf,
    /// Locked until it is closed.
    _lock: File,
}

impl Home {
    /// Takes a directory: locks it, and makes in it what is missing.
    ///
    /// # Errors
    /// When another server runs in it, or it belongs to somebody else.
    pub fn take(dir: &Path) -> Result<Self, ServerError> {
        make_private_dir(dir)?;
        let lock = lock(dir)?;
        let home = Self { dir: dir.to_owned(), _lock: lock };
        home.remove_address();
        for role in [Role::TlsPeer, Role::Signer, Role::Client] {
            home.ensure_identity(role)?;
        }
        Ok(home)
    }

    /// The configuration of a server here: `config` with the directory and a port of loopback's.
    #[must_use]
    pub fn configure(&self, config: Config) -> Config {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Config { listen, directory: self.dir.clone(), ..config }
    }

    /// Serves until nobody is connected for `idle`, or `end` comes.
    ///
    /// # Errors
    /// When the server does not start.
    pub async fn serve(
        self,
        config: &Config,
        idle: Duration,
        end: impl Future<Output = ()>,
    ) -> Result<(), ServerError> {
        let server = Server::start(config).await?;
        self.write_address(server.address())?;
        tracing::info!(address = %server.address(), "serving one user");
        tokio::select! {
            () = nobody_for(idle, &server) => tracing::info!("nobody asked for {} s", idle.as_secs()),
            () = end => {}
        }
        // First the address goes, so that nobody comes while the door closes.
        self.remove_address();
        server.shut_down().await;
        Ok(())
    }

    /// Makes an identity unless there is one that still holds, and takes it into the list of those who are to trust it.
    fn ensure_identity(&self, role: Role) -> Result<(), ServerError> {
        let list = match role {
            Role::TlsPeer => List::Servers,
            Role::Signer => List::Signers,
            Role::Client => List::Clients(Privilege::Stapdev),
        };
        let made = match identity::existing(role, &self.dir)? {
            Some(existing) if holds(role, &existing.public) => existing,
            Some(_) => identity::rotate(role, &self.dir, NAME)?,
            None => identity::make(role, &self.dir, NAME)?,
        };
        let entries = list::read(&self.dir, list)?.entries;
        if !entries.iter().any(|entry| entry.name == NAME && entry.fingerprint == made.fingerprint) {
            if entries.iter().any(|entry| entry.name == NAME) {
                list::revoke(&self.dir, role, NAME)?;
            }
            list::add(&self.dir, list, &made.public, Some(NAME))?;
        }
        Ok(())
    }

    fn write_address(&self, address: SocketAddr) -> Result<(), ServerError> {
        let path = self.dir.join(ADDRESS);
        let written = || -> std::io::Result<()> {
            let mut file = tempfile::Builder::new().prefix(".address-").tempfile_in(&self.dir)?;
            writeln!(file, "{address}")?;
            file.persist(&path)?;
            Ok(())
        };
        written().map_err(ServerError::io(&path))
    }

    fn remove_address(&self) {
        // Mostly there is none.
        let _ = std::fs::remove_file(self.dir.join(ADDRESS));
    }
}

fn lock(dir: &Path) -> Result<File, ServerError> {
    let path = dir.join(LOCK);
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = open.map_err(ServerError::io(&path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // Without the number the message says less.
            let _ = (&mut file).take(32).read_to_string(&mut text);
            return Err(ServerError::AlreadyRuns { dir: dir.to_owned(), process_id: text.trim().parse().ok() });
        }
        Err(TryLockError::Error(error)) => return Err(ServerError::Io { path, error }),
    }
    let write_id = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    write_id(&mut file).map_err(ServerError::io(&path))?;
    Ok(file)
}

/// Whether a certificate is there and will be for a while. A signer's key holds for good.
fn holds(role: Role, public: &Path) -> bool {
    role == Role::Signer
        || ReadCertificate::open(public)
            .is_ok_and(|certificate| certificate.expires_at_s > identity::now_s() + LIFE_LEFT_MIN_S)
}

async fn nobody_for(idle: Duration, server: &Server) {
    let mut connections = server.connections();
    loop {
        // The sender lives as long as the server.
        if connections.wait_for(|open| *open == 0).await.is_err() {
            return;
        }
        if tokio::time::timeout(idle, connections.wait_for(|open| *open > 0)).await.is_err() {
            return;
        }
    }
}

/// Where a user's own server caches, unless told otherwise: `$XDG_CACHE_HOME/tapwire`, or `~/.cache/tapwire`.
#[must_use]
pub fn cache_dir(home: &Path) -> PathBuf {
    let xdg = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
    let usual = || std::env::home_dir().map(|dir| dir.join(".cache"));
    xdg.or_else(usual).map_or_else(|| home.join("cache"), |dir| dir.join("tapwire"))
}
