//! From bytes that anybody may have written to an artifact that this host lets run: reads the host's lists of trust, which
//! must be root's alone, and holds the artifact against them. Every refusal says which check, which role and which list.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use shared::artifact::container::Verifier;
use shared::artifact::manifest::Manifest;
use shared::artifact::signature::{KeyId, SignerPublicKey};
use shared::artifact::{ArtifactRejected, UntrustedArtifact, VerifiedArtifact};
use shared::limits::TRUST_FILE_BYTES_MAX;
use shared::target::{Architecture, BuildId};
use shared::trust::policy::HostPolicy;
use shared::trust::role::Role;
use shared::trust::store::{HOST_DIR, POLICY, SIGNERS, USER_DIR, is_entry};

/// The account of root, whose home has a list of its own.
const PASSWD: &str = "/etc/passwd";

/// Which files say whom the host trusts.
#[derive(Debug, Clone)]
pub struct Places {
    /// Lists of signers.
    pub signers: Vec<PathBuf>,
    /// The policy.
    pub policy: PathBuf,
    /// Whether root itself asks: without a policy it may load what its signers vouch for.
    pub is_root: bool,
}

/// Whom the host trusts as a signer, and with what.
#[derive(Debug, Clone)]
pub struct Trust {
    signers: Vec<(String, SignerPublicKey)>,
    policy: HostPolicy,
    places: Places,
}

/// Why nothing is loaded.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The artifact failed a check.
    #[error("refused by the {} check: {rejected}", check_of(.rejected))]
    Artifact {
        /// Which and why.
        rejected: ArtifactRejected,
        /// What to do, a line each.
        hints: Vec<String>,
    },
    /// A list is not root's alone: somebody else could have written it.
    #[error("the list of trust at {path} does not count: {reason}")]
    Unsafe {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A list cannot be read.
    #[error("cannot read the list of trust at {path}: {reason}")]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Somebody else than root named a list.
    #[error("only root may name further lists of signers (--signers)")]
    NotRoot,
}

type Result<T> = std::result::Result<T, Refusal>;

impl Places {
    /// The host's list, and for root its own and `further` ones.
    ///
    /// # Errors
    /// When somebody else than root names further lists.
    pub fn of_host(is_root: bool, further: Vec<PathBuf>) -> Result<Self> {
        let host = Path::new(HOST_DIR);
        let mut signers = vec![host.join(SIGNERS)];
        if is_root {
            signers.push(home_of_root().join(USER_DIR).join(SIGNERS));
            signers.extend(further);
        } else if !further.is_empty() {
            return Err(Refusal::NotRoot);
        }
        Ok(Self { signers, policy: host.join(POLICY), is_root })
    }
}

impl Trust {
    /// Reads lists and policy. A list that does not exist is empty.
    ///
    /// # Errors
    /// When one of them cannot be read, or somebody else than root could have written it.
    pub fn read(places: Places) -> Result<Self> {
        let mut signers = Vec::new();
        for list in &places.signers {
            signers.extend(read_signers(list)?);
        }
        let policy = match read_if_exists(&places.policy)? {
            None => HostPolicy::without_file(places.is_root),
            Some(text) => {
                toml::from_str(&text).map_err(|error: toml::de::Error| unreadable(&places.policy, error.message()))?
            }
        };
        Ok(Self { signers, policy, places })
    }

    /// Checks an artifact against the lists, this kernel and the time, in seconds since 1970.
    ///
    /// # Errors
    /// At the first check that fails.
    pub fn verify(&self, bytes: &[u8], kernel: &BuildId, now_s: u64) -> Result<VerifiedArtifact> {
        let verifier = Verifier {
            signers: &self.signers,
            policy: &self.policy,
            architecture: Architecture::X86_64,
            kernel,
            now_s,
        };
        let verified = UntrustedArtifact::parse(bytes).and_then(|artifact| artifact.verify(&verifier));
        verified.map_err(|rejected| Refusal::Artifact { hints: self.hints(&rejected), rejected })
    }

    fn hints(&self, rejected: &ArtifactRejected) -> Vec<String> {
        let host_list = Path::new(HOST_DIR).join(SIGNERS);
        match rejected {
            ArtifactRejected::UnknownSigner(_) => {
                let lists = self.places.signers.iter().map(|list| list.display().to_string()).collect::<Vec<_>>();
                vec![
                    format!("{} signers were read from {}", self.signers.len(), lists.join(" and ")),
                    format!(
                        "to trust this one, copy its public key (signer.pub of the server) to {}/NAME.pub",
                        host_list.display()
                    ),
                ]
            }
            ArtifactRejected::Policy(_) => {
                vec![format!("what is allowed stands in {}", self.places.policy.display())]
            }
            ArtifactRejected::Version { .. } => {
                vec!["compile the script again, with a server of this client's version".to_owned()]
            }
            ArtifactRejected::WrongKernel { .. } | ArtifactRejected::WrongArchitecture(_) => {
                vec!["compile the script again for this host".to_owned()]
            }
            ArtifactRejected::Damaged(_) | ArtifactRejected::BadSignature(_) | ArtifactRejected::ElfDigest => {
                vec!["get the artifact again from where it was made".to_owned()]
            }
            ArtifactRejected::Ir(_) => vec!["this is a bug of the server that signed it: please report it".to_owned()],
            ArtifactRejected::NotAnArtifact
            | ArtifactRejected::TooLarge(_)
            | ArtifactRejected::Expired(_)
            | ArtifactRejected::NotYetValid(_) => Vec::new(),
        }
    }
}

impl Refusal {
    /// What to do about it, a line each.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Artifact { hints, .. } => hints.clone(),
            Self::Unsafe { path, .. } => vec![
                "whom the host trusts is for root alone to say: file, directory and everything above must be root's, and writable by nobody else".to_owned(),
                format!("if you know that the contents are right: chown root {0} && chmod go-w {0}", path.display()),
            ],
            Self::Unreadable { .. } => Vec::new(),
            Self::NotRoot => vec![format!("ask root to put the key into {HOST_DIR}/{SIGNERS}")],
        }
    }
}

/// What an artifact says of itself, whoever made it.
///
/// # Errors
/// When the bytes are no artifact.
pub fn claimed(bytes: &[u8]) -> Result<(KeyId, Manifest)> {
    let claimed = UntrustedArtifact::parse(bytes).and_then(|artifact| Ok((artifact.signer(), artifact.manifest()?)));
    claimed.map_err(|rejected| Refusal::Artifact { hints: Vec::new(), rejected })
}

/// The check that rejects so, and the role it is about.
fn check_of(rejected: &ArtifactRejected) -> String {
    match rejected {
        ArtifactRejected::NotAnArtifact
        | ArtifactRejected::Version { .. }
        | ArtifactRejected::Damaged(_)
        | ArtifactRejected::TooLarge(_) => "container".to_owned(),
        ArtifactRejected::UnknownSigner(_) | ArtifactRejected::BadSignature(_) | ArtifactRejected::ElfDigest => {
            format!("signature (role {})", Role::Signer)
        }
        ArtifactRejected::Expired(_) | ArtifactRejected::NotYetValid(_) => "validity".to_owned(),
        ArtifactRejected::WrongKernel { .. } | ArtifactRejected::WrongArchitecture(_) => "target".to_owned(),
        ArtifactRejected::Policy(_) => format!("policy (role {})", Role::Signer),
        ArtifactRejected::Ir(_) => "IR".to_owned(),
    }
}

fn read_signers(list: &Path) -> Result<Vec<(String, SignerPublicKey)>> {
    let entries = match std::fs::read_dir(list) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(list, error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| unreadable(list, error))?.path();
        if path.file_name().is_some_and(|name| is_entry(&name.to_string_lossy())) {
            paths.push(path);
        }
    }
    paths.sort();
    check_ancestors(list)?;
    let mut signers = Vec::new();
    for path in paths {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(text) = read_if_exists(&path)? {
            signers.push((name, SignerPublicKey::from_pem(&text).map_err(|error| unreadable(&path, error))?));
        }
    }
    Ok(signers)
}

/// The text of a file that is root's alone; nothing where there is none.
fn read_if_exists(path: &Path) -> Result<Option<String>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(path, error)),
    };
    // Asked of the open file: what is checked is what is read.
    let metadata = file.metadata().map_err(|error| unreadable(path, error))?;
    if !metadata.is_file() {
        return Err(unreadable(path, "not a regular file"));
    }
    check_owner(path, &metadata)?;
    check_ancestors(path.parent().unwrap_or(Path::new("/")))?;
    if metadata.len() > TRUST_FILE_BYTES_MAX {
        return Err(unreadable(path, format_args!("larger than {TRUST_FILE_BYTES_MAX} bytes")));
    }
    let mut text = String::new();
    file.take(TRUST_FILE_BYTES_MAX).read_to_string(&mut text).map_err(|error| unreadable(path, error))?;
    Ok(Some(text))
}

/// Checks a directory and everything above it: who may rename a directory decides what is in it.
fn check_ancestors(directory: &Path) -> Result<()> {
    let real = std::fs::canonicalize(directory).map_err(|error| unreadable(directory, error))?;
    for ancestor in real.ancestors() {
        let metadata = std::fs::metadata(ancestor).map_err(|error| unreadable(ancestor, error))?;
        // In a sticky directory such as /tmp nobody renames what is root's.
        let is_sticky = ancestor != real && metadata.mode() & STICKY != 0 && metadata.uid() == 0;
        if !is_sticky {
            check_owner(ancestor, &metadata)?;
        }
    }
    Ok(())
}

const STICKY: u32 = 0o1000;

const WRITABLE_BY_OTHERS: u32 = 0o022;

fn check_owner(path: &Path, metadata: &std::fs::Metadata) -> Result<()> {
    let unsafe_for = |reason: String| Refusal::Unsafe { path: path.to_owned(), reason };
    if metadata.uid() != 0 {
        return Err(unsafe_for(format!("it belongs to user {}, not to root", metadata.uid())));
    }
    if metadata.mode() & WRITABLE_BY_OTHERS != 0 {
        return Err(unsafe_for(format!("others than root may write it (mode {:o})", metadata.mode() & 0o7777)));
    }
    Ok(())
}

/// Not `$HOME`: under sudo that may still be somebody else's.
fn home_of_root() -> PathBuf {
    let passwd = std::fs::read_to_string(PASSWD).unwrap_or_default();
    // name:password:uid:gid:comment:home:shell, passwd(5)
    let mut entries = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let home = entries.find(|fields| fields.get(2) == Some(&"0")).and_then(|fields| fields.get(5).copied());
    PathBuf::from(home.filter(|home| home.starts_with('/')).unwrap_or("/root"))
}

fn unreadable(path: &Path, reason: impl std::fmt::Display) -> Refusal {
    Refusal::Unreadable { path: path.to_owned(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests;
