//! The lists of who trusts whom: a directory each, a PEM file an entry ([`shared::trust::store`]).

use std::path::{Path, PathBuf};

use shared::artifact::manifest::Digest;
use shared::trust::Privilege;
use shared::trust::role::Role;
use shared::trust::store;

use crate::certificate::ReadCertificate;
use crate::file::{self, Secrecy};
use crate::identity::now_s;
use crate::{CertsError, identity};

/// A list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum List {
    /// A client's: servers it talks to.
    Servers,
    /// A host's: signers whose artifacts it loads.
    Signers,
    /// A server's: clients that may ask, at this level.
    Clients(Privilege),
}

impl List {
    /// Every list.
    pub const ALL: [Self; 5] = [
        Self::Servers,
        Self::Signers,
        Self::Clients(Privilege::Stapdev),
        Self::Clients(Privilege::Stapsys),
        Self::Clients(Privilege::Stapusr),
    ];

    /// Whose keys are in it.
    #[must_use]
    pub fn role(self) -> Role {
        match self {
            Self::Servers => Role::TlsPeer,
            Self::Signers => Role::Signer,
            Self::Clients(_) => Role::Client,
        }
    }

    /// Its directory, below that of its side.
    #[must_use]
    pub fn dir(self, side: &Path) -> PathBuf {
        match self {
            Self::Servers => side.join(store::SERVERS),
            Self::Signers => side.join(store::SIGNERS),
            Self::Clients(privilege) => side.join(store::clients(privilege)),
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Signers => "pub",
            Self::Servers | Self::Clients(_) => "crt",
        }
    }
}

/// An entry of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Whom it belongs to: the file's name without its extension.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// Of the certificate, or of the signer's key.
    pub fingerprint: Digest,
    /// The certificate; a signer's key has none, and never expires.
    pub certificate: Option<ReadCertificate>,
}

/// What is in a list.
#[derive(Debug, Default)]
pub struct Contents {
    /// What could be read, by name.
    pub entries: Vec<Entry>,
    /// What could not: nobody is trusted for it.
    pub unreadable: Vec<CertsError>,
}

/// Reads a list. A directory that does not exist is an empty list; files whose names start with a dot are no entries.
///
/// # Errors
/// When the directory cannot be read.
pub fn read(side: &Path, list: List) -> Result<Contents, CertsError> {
    let dir = list.dir(side);
    let files = match std::fs::read_dir(&dir) {
        Ok(files) => files,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Contents::default()),
        Err(error) => return Err(CertsError::Io { path: dir, error }),
    };
    let mut paths: Vec<PathBuf> = Vec::new();
    for file in files {
        let path = file.map_err(CertsError::io(&dir))?.path();
        if path.file_name().is_some_and(|name| store::is_entry(&name.to_string_lossy())) {
            paths.push(path);
        }
    }
    paths.sort();
    let mut contents = Contents::default();
    for path in paths {
        match read_entry(list, &path) {
            Ok(entry) => contents.entries.push(entry),
            Err(error) => contents.unreadable.push(error),
        }
    }
    Ok(contents)
}

/// Takes the certificate or key in `file` into a list, under `name` or, where that is nothing, the common name of the
/// certificate or the name of the key's file. A client is in one list only: taking it into one takes it out of the others.
///
/// # Errors
/// When the file is not what the list holds, is expired, or the name belongs to somebody else.
pub fn add(side: &Path, list: List, file: &Path, name: Option<&str>) -> Result<Entry, CertsError> {
    let new = read_entry(list, file)?;
    if let Some(certificate) = &new.certificate {
        if !certificate.serves(list.role()) {
            return Err(CertsError::WrongRole { path: file.to_owned(), role: list.role() });
        }
        if certificate.expires_at_s <= now_s() {
            return Err(CertsError::Expired(file.to_owned()));
        }
    }
    let own_name = new.certificate.as_ref().and_then(|certificate| certificate.common_name.clone());
    let name = name.map(str::to_owned).or(own_name).unwrap_or_else(|| new.name.clone());
    check_name(&name)?;
    let taken = read(side, list)?.entries.into_iter().find(|entry| entry.name == name);
    if taken.is_some_and(|entry| entry.fingerprint != new.fingerprint) {
        return Err(CertsError::NameTaken { name });
    }
    let dir = list.dir(side);
    file::make_dir(&dir, Secrecy::Public)?;
    let path = dir.join(format!("{name}.{}", list.extension()));
    file::replace(&path, &file::read(file)?)?;
    for other in List::ALL.into_iter().filter(|other| *other != list && other.role() == list.role()) {
        remove_where(side, other, |entry| entry.fingerprint == new.fingerprint)?;
    }
    Ok(Entry { name, path, ..new })
}

/// Takes every entry called `name` out of the lists of a role, and says which those were.
///
/// # Errors
/// When there is none, or a file cannot be removed.
pub fn revoke(side: &Path, role: Role, name: &str) -> Result<Vec<Entry>, CertsError> {
    check_name(name)?;
    let mut removed = Vec::new();
    let mut known_names = Vec::new();
    let lists = || List::ALL.into_iter().filter(|list| list.role() == role);
    for list in lists() {
        known_names.extend(read(side, list)?.entries.into_iter().map(|entry| entry.name));
        removed.extend(remove_where(side, list, |entry| entry.name == name)?);
    }
    if removed.is_empty() {
        let list = lists().map(|list| list.dir(side)).next().unwrap_or_default();
        let list = if role == Role::Client { list.parent().unwrap_or(&list).to_owned() } else { list };
        return Err(CertsError::NoSuchEntry { list, name: name.to_owned(), known_names });
    }
    Ok(removed)
}

/// Checks that a text can be a file name in a list and a common name in a certificate (RFC 5280: at most 64 characters).
///
/// # Errors
/// When it cannot.
pub fn check_name(name: &str) -> Result<(), CertsError> {
    let fits = (1..=64).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte));
    if fits { Ok(()) } else { Err(CertsError::BadName(name.to_owned())) }
}

fn remove_where(side: &Path, list: List, unwanted: impl Fn(&Entry) -> bool) -> Result<Vec<Entry>, CertsError> {
    let mut removed = Vec::new();
    for entry in read(side, list)?.entries.into_iter().filter(unwanted) {
        std::fs::remove_file(&entry.path).map_err(CertsError::io(&entry.path))?;
        removed.push(entry);
    }
    Ok(removed)
}

fn read_entry(list: List, path: &Path) -> Result<Entry, CertsError> {
    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let path = path.to_owned();
    Ok(match list {
        List::Signers => {
            let fingerprint = identity::read_signer(&path)?.id().0;
            Entry { name, path, fingerprint, certificate: None }
        }
        List::Servers | List::Clients(_) => {
            let certificate = ReadCertificate::open(&path)?;
            Entry { name, path, fingerprint: certificate.fingerprint, certificate: Some(certificate) }
        }
    })
}
