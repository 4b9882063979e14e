//! What a client has for talking to servers: its own certificate and key, and the list of servers it trusts as TLS peers
//! (the directories of [`shared::trust::store`]). It must not know signers: that list is `taprun`'s.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use shared::artifact::manifest::Digest;
use shared::limits::TRUST_FILE_BYTES_MAX;
use shared::trust::store::{CLIENT, HOST_DIR, SERVERS, USER_DIR, is_entry};

use super::SubmitError;

/// What a client has for talking to servers.
#[derive(Debug)]
pub struct Credentials {
    /// Who we are.
    pub identity: ClientIdentity,
    /// Whom we talk to, in the order of directories and names.
    pub servers: Vec<TrustedServer>,
    /// The lists they were read from, for messages.
    pub lists: Vec<PathBuf>,
    /// What in the lists is no certificate: nobody is trusted for it. A line each.
    pub unreadable: Vec<String>,
}

/// A client's certificate and key.
#[derive(Debug)]
pub struct ClientIdentity {
    /// The certificate's file.
    pub path: PathBuf,
    /// The certificate, and those behind it in the file.
    pub certificates: Vec<CertificateDer<'static>>,
    /// Its key.
    pub key: PrivateKeyDer<'static>,
}

/// An entry of the list of servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedServer {
    /// The entry's file name without its extension.
    pub name: String,
    /// Exactly this certificate is trusted.
    pub certificate: CertificateDer<'static>,
}

/// The directories of a client: the user's, where there is a home, then the host's.
#[must_use]
pub fn client_dirs() -> Vec<PathBuf> {
    let home = std::env::home_dir().filter(|home| home.is_absolute());
    home.map(|home| home.join(USER_DIR)).into_iter().chain([PathBuf::from(HOST_DIR)]).collect()
}

impl Credentials {
    /// Reads the identity from the first directory that has one, and the lists from all.
    ///
    /// # Errors
    /// When there is no identity, or a file cannot be read.
    pub fn load(dirs: &[PathBuf]) -> Result<Self, SubmitError> {
        let mut servers = Vec::new();
        let mut unreadable = Vec::new();
        let lists: Vec<PathBuf> = dirs.iter().map(|dir| dir.join(SERVERS)).collect();
        for list in &lists {
            for path in entries(list)? {
                match certificates(&path).map(|certificates| certificates.into_iter().next()) {
                    Ok(Some(certificate)) => servers.push(TrustedServer { name: stem(&path), certificate }),
                    Ok(None) => unreadable.push(format!("{} holds no certificate", path.display())),
                    Err(error) => unreadable.push(error.to_string()),
                }
            }
        }
        Ok(Self { identity: ClientIdentity::load(dirs)?, servers, lists, unreadable })
    }
}

impl ClientIdentity {
    fn load(dirs: &[PathBuf]) -> Result<Self, SubmitError> {
        let Some(dir) = dirs.iter().find(|dir| dir.join(CLIENT.certificate).exists()) else {
            return Err(SubmitError::NoIdentity { dirs: dirs.to_vec() });
        };
        let path = dir.join(CLIENT.certificate);
        let certificates = certificates(&path)?;
        if certificates.is_empty() {
            return Err(SubmitError::NotAnIdentity { path, what: "certificate" });
        }
        let key_path = dir.join(CLIENT.key);
        let key = PrivateKeyDer::from_pem_slice(&read(&key_path)?)
            .map_err(|_| SubmitError::NotAnIdentity { path: key_path, what: "private key" })?;
        Ok(Self { path, certificates, key })
    }

    /// What people compare: the SHA-256 of the certificate.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        Digest::of(&self.certificates[0])
    }
}

/// The files of a list, by name. A directory that does not exist is an empty list.
fn entries(list: &Path) -> Result<Vec<PathBuf>, SubmitError> {
    let unreadable = |error| SubmitError::Unreadable { path: list.to_owned(), error };
    let files = match std::fs::read_dir(list) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let paths = files.map(|file| file.map(|file| file.path())).collect::<io::Result<Vec<PathBuf>>>();
    let mut paths = paths.map_err(unreadable)?;
    paths.retain(|path| path.file_name().is_some_and(|name| is_entry(&name.to_string_lossy())));
    paths.sort();
    Ok(paths)
}

/// Every certificate of a PEM file.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, SubmitError> {
    let pem = read(path)?;
    let certificates = CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>();
    certificates.map_err(|_| SubmitError::NotAnIdentity { path: path.to_owned(), what: "certificate" })
}

fn read(path: &Path) -> Result<Vec<u8>, SubmitError> {
    let mut bytes = Vec::new();
    let file = File::open(path);
    let read = file.and_then(|file| file.take(TRUST_FILE_BYTES_MAX).read_to_end(&mut bytes));
    read.map_err(|error| SubmitError::Unreadable { path: path.to_owned(), error })?;
    Ok(bytes)
}

fn stem(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}
