//! `tapwire-certs`: one command for each thing one may do with keys and lists. What it does is in the library.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use certs::error::word;
use certs::identity::{self, Identity};
use certs::list::{self, Entry, List};
use clap::{Parser, Subcommand, ValueEnum};
use shared::trust::Privilege;
use shared::trust::role::Role;
use shared::trust::store::{HOST_DIR, SERVER_DIR, USER_DIR};
use time::OffsetDateTime;

/// Make and trust the keys of Tapwire.
///
/// There are three roles, and trusting a key in one means nothing in another: a *server* sees scripts, a *signer*'s
/// artifacts are loaded into a kernel, a *client* may ask a server to compile.
#[derive(Parser)]
#[command(version)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a key, and the certificate or public key that others know it by
    Make {
        role: RoleName,
        /// Where to
        dir: PathBuf,
        /// Whose it is, for people; the host's name where nothing else is given
        #[arg(long)]
        name: Option<String>,
    },
    /// Replace a key by a new one; the old one stays beside it as *.old
    Rotate {
        role: RoleName,
        /// Where it is
        dir: PathBuf,
        /// Whose it is, for people; the host's name where nothing else is given
        #[arg(long)]
        name: Option<String>,
    },
    /// On a client: take a server's certificate, or a signer's public key, into the list
    Trust {
        role: TrustedRole,
        /// The .crt of a server, or the .pub of a signer
        file: PathBuf,
        /// The client's directory; /etc/tapwire for root, ~/.config/tapwire for others
        dir: Option<PathBuf>,
        /// The entry's name
        #[arg(long)]
        name: Option<String>,
    },
    /// On a server: let a client ask
    Authorise {
        /// The client's .crt
        certificate: PathBuf,
        /// For scripts up to which level
        #[arg(long)]
        privilege: Privilege,
        /// The server's directory
        #[arg(default_value = SERVER_DIR)]
        dir: PathBuf,
        /// The entry's name
        #[arg(long)]
        name: Option<String>,
    },
    /// Take an entry out of a list
    Revoke {
        role: RoleName,
        /// The entry's name
        name: String,
        /// The directory of the client or server whose list it is
        dir: Option<PathBuf>,
    },
    /// Show every identity and list
    List {
        /// The directory of a client or server; the usual ones where nothing else is given
        dir: Option<PathBuf>,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum RoleName {
    Server,
    Signer,
    Client,
}

#[derive(Clone, Copy, ValueEnum)]
enum TrustedRole {
    Server,
    Signer,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Server => Self::TlsPeer,
            RoleName::Signer => Self::Signer,
            RoleName::Client => Self::Client,
        }
    }
}

fn main() -> anyhow::Result<()> {
    match CommandLine::parse().command {
        Command::Make { role, dir, name } => {
            let made = identity::make(role.into(), &dir, &name.unwrap_or_else(host_name))?;
            print_identity("made", &made);
            println!("next: {}", next_step(&made));
        }
        Command::Rotate { role, dir, name } => {
            let made = identity::rotate(role.into(), &dir, &name.unwrap_or_else(host_name))?;
            print_identity("made", &made);
            println!("next: {}", next_step(&made));
            println!(
                "      then revoke the old one wherever it is in a list, and delete {}.old",
                made.private.display()
            );
        }
        Command::Trust { role, file, dir, name } => {
            let list = match role {
                TrustedRole::Server => List::Servers,
                TrustedRole::Signer => List::Signers,
            };
            let entry = list::add(&or_client_dir(dir)?, list, &file, name.as_deref())?;
            print_entry("trusted", list, &entry);
            println!("compare the fingerprint with what its owner sees in `tapwire-certs list`");
        }
        Command::Authorise { certificate, privilege, dir, name } => {
            let list = List::Clients(privilege);
            let entry = list::add(&dir, list, &certificate, name.as_deref())?;
            print_entry("authorised", list, &entry);
        }
        Command::Revoke { role, name, dir } => {
            let role = Role::from(role);
            let dir = if role == Role::Client { dir.unwrap_or(SERVER_DIR.into()) } else { or_client_dir(dir)? };
            for entry in list::revoke(&dir, role, &name)? {
                println!(
                    "revoked {} {}  {}  (removed {})",
                    word(role),
                    entry.name,
                    entry.fingerprint,
                    entry.path.display()
                );
            }
        }
        Command::List { dir: Some(dir) } => print_side(&dir)?,
        Command::List { dir: None } => {
            for dir in
                [Some(PathBuf::from(SERVER_DIR)), Some(PathBuf::from(HOST_DIR)), user_dir()].into_iter().flatten()
            {
                if dir.exists() {
                    print_side(&dir)?;
                }
            }
        }
    }
    Ok(())
}

fn print_side(dir: &Path) -> anyhow::Result<()> {
    println!("{}", dir.display());
    for role in [Role::TlsPeer, Role::Signer, Role::Client] {
        if let Some(own) = identity::existing(role, dir)? {
            println!("  own {}  {}  {}", word(role), own.fingerprint, own.public.display());
        }
    }
    for list in List::ALL {
        let contents = list::read(dir, list)?;
        for entry in &contents.entries {
            print_entry(" ", list, entry);
        }
        for error in &contents.unreadable {
            println!("  trusts nobody: {error}");
        }
    }
    Ok(())
}

fn print_identity(done: &str, identity: &Identity) {
    println!("{done} {}  {}", word(identity.role), identity.fingerprint);
    println!("  to hand out: {}", identity.public.display());
    println!("  to keep:     {}", identity.private.display());
}

fn print_entry(done: &str, list: List, entry: &Entry) {
    let whose = match list {
        List::Clients(privilege) => format!("{} ({privilege})", word(list.role())),
        List::Servers | List::Signers => word(list.role()).to_owned(),
    };
    let expiry = entry.certificate.as_ref().map(|certificate| expiry(certificate.expires_at_s)).unwrap_or_default();
    println!("{done} {whose} {}  {}{expiry}", entry.name, entry.fingerprint);
}

fn expiry(expires_at_s: u64) -> String {
    let date = i64::try_from(expires_at_s).ok().and_then(|s| OffsetDateTime::from_unix_timestamp(s).ok());
    let verb = if expires_at_s <= identity::now_s() { "EXPIRED" } else { "expires" };
    date.map_or_else(|| format!("  {verb}"), |date| format!("  {verb} {}", date.date()))
}

fn next_step(made: &Identity) -> String {
    let file = made.public.display();
    match made.role {
        Role::TlsPeer => format!("copy {file} to each client and run there: tapwire-certs trust server FILE"),
        Role::Signer => format!("copy {file} to each host and run there: tapwire-certs trust signer FILE"),
        Role::Client => {
            format!(
                "copy {file} to the server and run there: tapwire-certs authorise FILE --privilege stapusr|stapsys|stapdev"
            )
        }
    }
}

fn or_client_dir(dir: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let usual = || if rustix::process::geteuid().is_root() { Some(HOST_DIR.into()) } else { user_dir() };
    dir.or_else(usual).context("HOME is not set: name the client's directory")
}

fn user_dir() -> Option<PathBuf> {
    std::env::home_dir().map(|home| home.join(USER_DIR))
}

/// The host's name as far as a name may go into a certificate.
fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if list::check_name(&name).is_ok() { name } else { "tapwire".to_owned() }
}
