//! A whole test PKI, by role: everybody that a server and its clients can meet, good and bad.
//!
//! It is made afresh for each test run, by the same code that makes real identities; no key is ever in the repository.

use std::path::{Path, PathBuf};

use shared::trust::Privilege;
use shared::trust::role::Role;
use time::{Duration, OffsetDateTime};

use crate::identity::{make, make_valid};
use crate::list::{List, add, revoke};
use crate::{CertsError, file};

/// Everybody, each with a directory of their own as [`shared::trust::store`] lays it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pki {
    /// The server `farm`: its identity, its signer's key, and its list of authorised clients.
    pub server: PathBuf,
    /// A client authorised as stapdev. It trusts `farm` as TLS peer and as signer, as the others do too.
    pub stapdev: PathBuf,
    /// A client authorised as stapsys.
    pub stapsys: PathBuf,
    /// A client authorised as stapusr.
    pub stapusr: PathBuf,
    /// A client that is in the server's list, but whose certificate expired yesterday.
    pub expired: PathBuf,
    /// A client that was in the server's list once.
    pub revoked: PathBuf,
    /// A client that never was.
    pub stranger: PathBuf,
    /// A server and signer that nobody trusts.
    pub foreign: PathBuf,
}

/// The name under which clients know the server and its signer.
pub const SERVER: &str = "farm";

/// Makes everybody below `dir`.
///
/// # Errors
/// When a file cannot be written, or somebody is there already.
pub fn make_all(dir: &Path) -> Result<Pki, CertsError> {
    let at = |name: &str| dir.join(name);
    let pki = Pki {
        server: at("server"),
        stapdev: at("stapdev"),
        stapsys: at("stapsys"),
        stapusr: at("stapusr"),
        expired: at("expired"),
        revoked: at("revoked"),
        stranger: at("stranger"),
        foreign: at("foreign"),
    };
    for (dir, name) in [(&pki.server, SERVER), (&pki.foreign, "foreign")] {
        make(Role::TlsPeer, dir, name)?;
        make(Role::Signer, dir, name)?;
    }
    for (dir, privilege) in [
        (&pki.stapdev, Some(Privilege::Stapdev)),
        (&pki.stapsys, Some(Privilege::Stapsys)),
        (&pki.stapusr, Some(Privilege::Stapusr)),
        (&pki.revoked, Some(Privilege::Stapdev)),
        (&pki.stranger, None),
    ] {
        client(&pki, dir, privilege)?;
    }
    revoke(&pki.server, Role::Client, &name_of(&pki.revoked))?;
    expired_client(&pki)?;
    Ok(pki)
}

fn client(pki: &Pki, dir: &Path, privilege: Option<Privilege>) -> Result<(), CertsError> {
    let identity = make(Role::Client, dir, &name_of(dir))?;
    trust_farm(pki, dir)?;
    if let Some(privilege) = privilege {
        add(&pki.server, List::Clients(privilege), &identity.public, None)?;
    }
    Ok(())
}

/// A client that was authorised in time: [`add`] would refuse it today.
fn expired_client(pki: &Pki) -> Result<(), CertsError> {
    let yesterday = OffsetDateTime::now_utc() - Duration::days(1);
    let name = name_of(&pki.expired);
    let identity = make_valid(Role::Client, &pki.expired, &name, yesterday - Duration::days(30), yesterday)?;
    trust_farm(pki, &pki.expired)?;
    let entry = List::Clients(Privilege::Stapdev).dir(&pki.server).join(format!("{name}.crt"));
    file::replace(&entry, &file::read(&identity.public)?)
}

fn trust_farm(pki: &Pki, client: &Path) -> Result<(), CertsError> {
    use shared::trust::store;
    add(client, List::Servers, &pki.server.join(store::SERVER.certificate), Some(SERVER))?;
    add(client, List::Signers, &pki.server.join(store::SIGNER_PUBLIC_KEY), Some(SERVER))?;
    Ok(())
}

fn name_of(dir: &Path) -> String {
    dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
