//! Who may ask, for what: the lists of authorised clients, and what is signed for whom.
//!
//! It decides and does nothing: the listener refuses, the signer signs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use certs::list::{self, List};
use rustls_pki_types::CertificateDer;
use shared::artifact::manifest::{Claims, Digest};
use shared::probe::Place;
use shared::protocol::request::CompileRequest;
use shared::protocol::response::Failure;
use shared::trust::Privilege;

use crate::error::ServerError;

/// A client that a list names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The entry's name.
    pub name: String,
    /// The level it is authorised for.
    pub privilege: Privilege,
    expires_at_s: u64,
}

/// The lists of clients as they were when they were read.
#[derive(Debug, Default)]
pub struct Clients {
    by_fingerprint: BTreeMap<Digest, Client>,
    /// Every certificate in them.
    pub certificates: Vec<CertificateDer<'static>>,
}

impl Clients {
    /// Reads the lists. What is no certificate authorises nobody, and is told to the log. A certificate in several lists
    /// counts at the lowest level.
    ///
    /// # Errors
    /// When a list's directory cannot be read.
    pub fn read(directory: &Path) -> Result<Self, ServerError> {
        let mut clients = Self::default();
        // From the highest level to the lowest, so that the lowest is what stays.
        for privilege in Privilege::ALL.into_iter().rev() {
            let contents = list::read(directory, List::Clients(privilege))?;
            for error in contents.unreadable {
                tracing::warn!("in the list of {privilege} clients: {error}");
            }
            for entry in contents.entries {
                let Some(certificate) = entry.certificate else { continue };
                let client = Client { name: entry.name, privilege, expires_at_s: certificate.expires_at_s };
                clients.by_fingerprint.insert(certificate.fingerprint, client);
                clients.certificates.push(certificate.der);
            }
        }
        Ok(clients)
    }

    /// Who a certificate belongs to: the very certificate must be in a list, and not expired. One that is merely signed by
    /// the key of a listed one is nobody's.
    #[must_use]
    pub fn find(&self, certificate: &CertificateDer<'_>, now_s: u64) -> Option<&Client> {
        self.by_fingerprint.get(&Digest::of(certificate)).filter(|client| now_s < client.expires_at_s)
    }
}

/// The lists of clients as they are now: read again whenever a directory changed.
pub struct Authorised {
    directory: PathBuf,
    state: Mutex<State>,
}

struct State {
    clients: Arc<Clients>,
    changed_at: [Option<SystemTime>; Privilege::ALL.len()],
    read_at: SystemTime,
}

/// A change within this time of another may leave a directory's time as it was: file systems count in ticks.
const TICK: Duration = Duration::from_millis(100);

impl Authorised {
    /// Reads the lists for the first time.
    ///
    /// # Errors
    /// As [`Clients::read`].
    pub fn open(directory: &Path) -> Result<Self, ServerError> {
        let state = State::read(directory)?;
        Ok(Self { directory: directory.to_owned(), state: Mutex::new(state) })
    }

    /// The lists. Where they cannot be read any more, those read last hold, and the log says so.
    #[must_use]
    pub fn clients(&self) -> Arc<Clients> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_outdated(&self.directory) {
            self.read_into(&mut state);
        }
        Arc::clone(&state.clients)
    }

    /// Reads the lists again: for entries that were edited in place.
    pub fn reload(&self) {
        self.read_into(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn read_into(&self, state: &mut State) {
        match State::read(&self.directory) {
            Ok(new) => *state = new,
            Err(error) => tracing::error!("the lists of clients stay as they were: {error}"),
        }
    }
}

impl State {
    fn read(directory: &Path) -> Result<Self, ServerError> {
        let (changed_at, read_at) = (changed_at(directory), SystemTime::now());
        Ok(Self { clients: Arc::new(Clients::read(directory)?), changed_at, read_at })
    }

    fn is_outdated(&self, directory: &Path) -> bool {
        let is_fresh = |changed: &SystemTime| *changed + TICK > self.read_at;
        self.changed_at.iter().flatten().any(is_fresh) || self.changed_at != changed_at(directory)
    }
}

fn changed_at(directory: &Path) -> [Option<SystemTime>; Privilege::ALL.len()] {
    Privilege::ALL.map(|privilege| {
        let list = List::Clients(privilege).dir(directory);
        std::fs::metadata(list).and_then(|metadata| metadata.modified()).ok()
    })
}

/// Whether a client may have this compiled at all: what can be told before it is.
///
/// # Errors
/// Guru mode is for stapdev.
pub fn admit(request: &CompileRequest, granted: Privilege) -> Result<(), Failure> {
    require(if request.guru { Privilege::Stapdev } else { Privilege::Stapusr }, granted)
}

/// A program that may be signed: only [`permit`] makes one.
#[derive(Debug, Clone, Copy)]
pub struct Permitted<'a> {
    claims: &'a Claims,
    elf: &'a [u8],
}

impl<'a> Permitted<'a> {
    /// What the compile claims.
    #[must_use]
    pub fn claims(self) -> &'a Claims {
        self.claims
    }

    /// The program.
    #[must_use]
    pub fn elf(self) -> &'a [u8] {
        self.elf
    }
}

/// Whether what a compile made may be signed for a client: it must be what was asked for, and within the client's level.
/// The worker that made it has read hostile input, so its word is checked as far as it can be.
///
/// # Errors
/// When the client is not authorised for it, or the claims do not fit the request.
pub fn permit<'a>(
    request: &CompileRequest,
    granted: Privilege,
    claims: &'a Claims,
    elf: &'a [u8],
) -> Result<Permitted<'a>, Refusal> {
    let kernel = &claims.kernel;
    let others = request.additions.iter().chain(&request.library).map(|text| text.text.as_str());
    for (fits, what) in [
        (claims.script_digest == Digest::of_script(&request.script, others), "script"),
        (claims.elf_digest == Digest::of(elf), "program"),
        (kernel.build_id == request.target.kernel, "kernel"),
        (kernel.architecture == request.target.architecture, "architecture"),
        (kernel.release == request.target.release, "kernel release"),
        (claims.guru == request.guru, "guru mode"),
    ] {
        if !fits {
            return Err(Refusal::Unasked(what));
        }
    }
    require(claims.privilege.max(least_privilege(claims)), granted)?;
    shared::ir::verify::verify(&claims.ir).map_err(|error| Refusal::Ir(error.to_string()))?;
    Ok(Permitted { claims, elf })
}

/// The level that a program needs whatever it claims: after stap(1), stapusr may look at one's own processes only, and guru
/// mode is for stapdev.
fn least_privilege(claims: &Claims) -> Privilege {
    let is_kernel = |place: &Place| matches!(place, Place::Kprobe { .. } | Place::Tracepoint { .. });
    let mut points = claims.ir.handlers.iter().flat_map(|handler| &handler.points);
    if claims.guru {
        Privilege::Stapdev
    } else if points.any(|point| is_kernel(&point.place)) {
        Privilege::Stapsys
    } else {
        Privilege::Stapusr
    }
}

/// Why something is not signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The client lacks something.
    #[error(transparent)]
    Client(#[from] Failure),
    /// A bug of the compiler's, or a worker that was taken over.
    #[error("the compile claims another {0} than was asked for")]
    Unasked(&'static str),
    /// A bug of the compiler's.
    #[error("the compile's IR is wrong ({0})")]
    Ir(String),
}

fn require(needed: Privilege, granted: Privilege) -> Result<(), Failure> {
    if granted >= needed { Ok(()) } else { Err(Failure::NotAuthorised { needed, granted }) }
}

#[cfg(test)]
mod tests {
    use certs::pki::make_all;
    use shared::trust::role::Role;

    use super::*;

    fn certificate(home: &Path) -> CertificateDer<'static> {
        certs::certificate::ReadCertificate::open(&home.join("client.crt")).expect("a certificate").der
    }

    #[test]
    fn a_certificate_counts_at_the_level_of_its_list() {
        let dir = tempfile::tempdir().expect("a directory");
        let pki = make_all(dir.path()).expect("a PKI");
        let clients = Clients::read(&pki.server).expect("lists");
        let now_s = certs::identity::now_s();
        let level = |home: &Path| clients.find(&certificate(home), now_s).map(|client| client.privilege);
        assert_eq!(level(&pki.stapdev), Some(Privilege::Stapdev));
        assert_eq!(level(&pki.stapsys), Some(Privilege::Stapsys));
        assert_eq!(level(&pki.stapusr), Some(Privilege::Stapusr));
        for nobody in [&pki.expired, &pki.revoked, &pki.stranger] {
            assert_eq!(level(nobody), None, "{}", nobody.display());
        }
    }

    #[test]
    fn a_certificate_in_two_lists_counts_at_the_lower_level() {
        let dir = tempfile::tempdir().expect("a directory");
        let pki = make_all(dir.path()).expect("a PKI");
        let lists = pki.server.join("clients");
        std::fs::copy(lists.join("stapdev/stapdev.crt"), lists.join("stapusr/also.crt")).expect("copied");
        let clients = Clients::read(&pki.server).expect("lists");
        let client = clients.find(&certificate(&pki.stapdev), certs::identity::now_s()).expect("a client");
        assert_eq!(client.privilege, Privilege::Stapusr);
    }

    #[test]
    fn a_change_holds_at_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let pki = make_all(dir.path()).expect("a PKI");
        let authorised = Authorised::open(&pki.server).expect("lists");
        let found = |home: &Path| {
            authorised.clients().find(&certificate(home), certs::identity::now_s()).map(|client| client.name.clone())
        };
        assert_eq!(found(&pki.stapdev).as_deref(), Some("stapdev"));
        list::revoke(&pki.server, Role::Client, "stapdev").expect("revoked");
        assert_eq!(found(&pki.stapdev), None);
        list::add(&pki.server, List::Clients(Privilege::Stapsys), &pki.stranger.join("client.crt"), None)
            .expect("added");
        assert_eq!(found(&pki.stranger).as_deref(), Some("stranger"));
    }
}
