//! Why a server gave no answer, and what to do about it.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use shared::artifact::manifest::Digest;
use shared::limits::LimitExceeded;
use shared::protocol::error::PeerMisbehaved;
use shared::protocol::response::Failure;
use shared::trust::store::{CLIENT, SERVER_DIR, USER_DIR};

use super::address::ServerAddress;
use crate::host::HostError;

/// Why a server gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// We have no certificate.
    #[error("this client has no certificate to show to servers")]
    NoIdentity {
        /// Where one would be.
        dirs: Vec<PathBuf>,
    },
    /// A file of keys or trust cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        error: io::Error,
    },
    /// A file holds something else.
    #[error("{} holds no {what} in PEM form", path.display())]
    NotAnIdentity {
        /// The file.
        path: PathBuf,
        /// `certificate`, `private key`
        what: &'static str,
    },
    /// The TLS library cannot use certificate and key.
    #[error("cannot use the certificate {}: {reason}", path.display())]
    UnusableIdentity {
        /// The certificate's file.
        path: PathBuf,
        /// What the library said.
        reason: String,
    },
    /// `--use-server` without a name, and nobody in the list.
    #[error("no server is trusted here, so there is none to ask")]
    NoServers {
        /// Where they would be listed.
        lists: Vec<PathBuf>,
    },
    /// The name leads nowhere.
    #[error("cannot find the server {server}: {error}")]
    Resolve {
        /// The server.
        server: ServerAddress,
        /// What the resolver said.
        error: io::Error,
    },
    /// Nobody answers.
    #[error("cannot reach the server {server} ({})", .tried.join("; "))]
    Unreachable {
        /// The server.
        server: ServerAddress,
        /// Each of its addresses, and what happened there.
        tried: Vec<String>,
    },
    /// None of several can be reached.
    #[error("cannot reach any of {} servers", .0.len())]
    NoneReachable(Vec<SubmitError>),
    /// Its certificate is in no list.
    #[error("the server {server} is not trusted: its certificate has the fingerprint {fingerprint}")]
    ServerNotTrusted {
        /// The server.
        server: ServerAddress,
        /// Of what it presented.
        fingerprint: Digest,
        /// The lists it is not in.
        lists: Vec<PathBuf>,
        /// What in the lists is no certificate.
        unreadable: Vec<String>,
    },
    /// Its certificate is in a list, but not valid.
    #[error("the certificate of the server {server} (entry {entry:?} of {list}) is not valid: {reason}")]
    ServerCertificate {
        /// The server.
        server: ServerAddress,
        /// The name of the list's entry.
        entry: String,
        /// The list's name.
        list: &'static str,
        /// Why.
        reason: String,
    },
    /// It does not take our certificate.
    #[error("the server {server} refused this client's certificate ({reason})")]
    ClientRefused {
        /// The server.
        server: ServerAddress,
        /// The TLS alert, or what the server said.
        reason: &'static str,
        /// Our certificate's file.
        certificate: PathBuf,
        /// Its fingerprint.
        fingerprint: Digest,
    },
    /// An honest mismatch.
    #[error("the server {server} is of another version: {reason}")]
    Incompatible {
        /// The server.
        server: ServerAddress,
        /// What does not fit.
        reason: String,
    },
    /// The connection broke.
    #[error("lost the server {server}: {reason}")]
    Lost {
        /// The server.
        server: ServerAddress,
        /// Why.
        reason: String,
    },
    /// It broke a rule of the protocol.
    #[error("the server broke the protocol: {0}")]
    Misbehaved(#[from] PeerMisbehaved),
    /// The script and its arguments are too large.
    #[error("the request is too large: {0}")]
    RequestTooLarge(LimitExceeded),
    /// This host does not know what the server wants to know.
    #[error(transparent)]
    Host(HostError),
    /// The server has no answer although the script may be right.
    #[error("{failure}")]
    Failed {
        /// Why.
        failure: Failure,
        /// `uname -r` of the host the script is for.
        release: String,
    },
    /// The operating system gives us no event loop.
    #[error("cannot start the network code: {0}")]
    NoRuntime(io::Error),
}

impl SubmitError {
    /// What to do next.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::NoIdentity { dirs } => vec![
                format!("looked for {} in {}", CLIENT.certificate, shown(dirs)),
                format!("make one: tapwire-certs make client ~/{USER_DIR}"),
                "then, on the server: tapwire-certs authorise client.crt --privilege stapdev".to_owned(),
            ],
            Self::NoServers { lists } => vec![
                format!("looked in {}", shown(lists)),
                "name one with --use-server=HOST, and trust it with: tapwire-certs trust server FILE".to_owned(),
            ],
            Self::Resolve { .. } => vec!["check the name given to --use-server".to_owned()],
            Self::Unreachable { server, .. } => vec![
                format!("check that tapwired runs on {}", server.host),
                format!("check that no firewall keeps UDP port {} closed", server.port),
            ],
            Self::NoneReachable(errors) => errors.iter().map(ToString::to_string).collect(),
            Self::ServerNotTrusted { lists, unreadable, .. } => {
                let mut hints = vec![
                    format!("its certificate is in none of {}", shown(lists)),
                    format!(
                        "if that is the fingerprint which `tapwire-certs list` shows on the server, copy \
                         {SERVER_DIR}/server.crt from there, and here: tapwire-certs trust server server.crt"
                    ),
                ];
                hints.extend(unreadable.iter().map(|line| format!("not counted: {line}")));
                hints
            }
            Self::ServerCertificate { .. } => vec![
                "if it expired: on the server `tapwire-certs rotate server`, and trust the new certificate here; \
                 otherwise compare the clocks"
                    .to_owned(),
            ],
            Self::ClientRefused { certificate, fingerprint, .. } => vec![
                format!("the certificate is {}, fingerprint {fingerprint}", certificate.display()),
                "copy it to the server, and there: tapwire-certs authorise client.crt --privilege stapdev".to_owned(),
            ],
            Self::Incompatible { .. } => vec!["install tapwire and tapwired of the same version".to_owned()],
            Self::Lost { .. } => vec!["look into the server's log, then try again".to_owned()],
            Self::Misbehaved(_) => {
                vec!["check that it is a tapwired of this version; if it is, report a bug".to_owned()]
            }
            Self::RequestTooLarge(_) | Self::NoRuntime(_) | Self::NotAnIdentity { .. } => Vec::new(),
            Self::Unreadable { .. } | Self::UnusableIdentity { .. } => {
                vec![format!("certificate and key are made by: tapwire-certs make client ~/{USER_DIR}")]
            }
            Self::Host(error) => error.hints(),
            Self::Failed { failure, release } => failure_hints(failure, release),
        }
    }
}

fn failure_hints(failure: &Failure, release: &str) -> Vec<String> {
    match failure {
        Failure::DebuginfoNotFound { object, tried, .. } => {
            let mut hints: Vec<String> = tried.iter().map(|line| format!("tried {line}")).collect();
            hints.extend(debuginfo_hints(object, release));
            hints
        }
        Failure::NotAuthorised { needed, .. } => {
            vec![format!("on the server: tapwire-certs authorise client.crt --privilege {needed}")]
        }
        Failure::Limit(_) => Vec::new(),
        Failure::Deadline(_) => vec!["the server's configuration sets the deadline (deadline_ms)".to_owned()],
        Failure::Internal { .. } => vec!["please report it with that file, which lies on the server".to_owned()],
    }
}

/// Where debuginfo for an object is to be had, as far as the name of the kernel's release tells the distribution.
fn debuginfo_hints(object: &str, release: &str) -> Vec<String> {
    let distribution = Distribution::of(release);
    let mut hints = Vec::new();
    if let Some(Distribution { install, .. }) = &distribution
        && object == "the kernel"
    {
        hints.push(format!("install it where the server finds it: {install}"));
    }
    let mut urls = "let the server ask debuginfod: set DEBUGINFOD_URLS".to_owned();
    if let Some(Distribution { debuginfod, name, .. }) = distribution {
        // Writing to a String does not fail.
        let _ = write!(urls, " (for {name}: {debuginfod})");
    }
    hints.push(urls);
    hints
}

struct Distribution {
    name: &'static str,
    install: String,
    debuginfod: &'static str,
}

impl Distribution {
    fn of(release: &str) -> Option<Self> {
        // The release comes from the host, or from a facts file.
        let fits = |c: char| c.is_ascii_alphanumeric() || "._+-~".contains(c);
        if !release.chars().all(fits) {
            return None;
        }
        let dnf =
            |name, debuginfod| Self { name, install: format!("dnf debuginfo-install kernel-{release}"), debuginfod };
        if release.contains(".fc") {
            Some(dnf("Fedora", "https://debuginfod.fedoraproject.org/"))
        } else if release.contains(".el") {
            Some(dnf("CentOS Stream", "https://debuginfod.centos.org/"))
        } else if release.ends_with("-generic") {
            let install = format!("apt install linux-image-{release}-dbgsym");
            Some(Self { name: "Ubuntu", install, debuginfod: "https://debuginfod.ubuntu.com/" })
        } else if release.ends_with("-amd64") {
            let install = format!("apt install linux-image-{release}-dbg");
            Some(Self { name: "Debian", install, debuginfod: "https://debuginfod.debian.net/" })
        } else {
            None
        }
    }
}

fn shown(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hints(object: &str, release: &str) -> String {
        let failure = Failure::DebuginfoNotFound {
            object: object.to_owned(),
            build_id: "4c09".parse().expect("a build id"),
            tried: vec!["https://debuginfod.example.org/: no such build id".to_owned()],
        };
        SubmitError::Failed { failure, release: release.to_owned() }.hints().join("\n")
    }

    #[test]
    fn missing_debuginfo_comes_with_the_package_that_has_it() {
        let debian = hints("the kernel", "6.1.0-56-cloud-amd64");
        assert!(debian.contains("tried https://debuginfod.example.org/: no such build id"));
        assert!(debian.contains("apt install linux-image-6.1.0-56-cloud-amd64-dbg\n"), "{debian}");
        assert!(debian.contains("https://debuginfod.debian.net/"));
        assert!(hints("the kernel", "6.8.0-31-generic").contains("linux-image-6.8.0-31-generic-dbgsym"));
        assert!(
            hints("the kernel", "5.14.0-427.el9.x86_64").contains("dnf debuginfo-install kernel-5.14.0-427.el9.x86_64")
        );
        assert!(!hints("/usr/bin/bash", "6.1.0-56-cloud-amd64").contains("linux-image"));
        assert!(!hints("the kernel", "6.1; rm -rf /-amd64").contains("rm"));
    }
}
