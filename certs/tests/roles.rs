//! Identities and lists: who may be in which, and what is left on the disk.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use certs::CertsError;
use certs::identity::{self, make, rotate};
use certs::list::{self, List};
use certs::pki::make_all;
use shared::trust::Privilege;
use shared::trust::role::Role;

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

fn names(side: &Path, list: List) -> Vec<String> {
    list::read(side, list).expect("a list").entries.into_iter().map(|entry| entry.name).collect()
}

#[test]
fn only_the_owner_can_read_a_key() {
    let dir = dir();
    let home = dir.path().join("new");
    for role in [Role::TlsPeer, Role::Signer, Role::Client] {
        let made = make(role, &home, "alice").expect("an identity");
        let mode = |path: &Path| fs::metadata(path).expect("a file").permissions().mode() & 0o777;
        assert_eq!(mode(&made.private), 0o600, "{}", made.private.display());
        assert_eq!(mode(&made.public), 0o644, "{}", made.public.display());
        assert_eq!(mode(&home), 0o700);
    }
}

#[test]
fn a_key_is_never_overwritten() {
    let dir = dir();
    for role in [Role::TlsPeer, Role::Signer, Role::Client] {
        let first = make(role, dir.path(), "alice").expect("an identity");
        let key = fs::read(&first.private).expect("a key");
        assert!(matches!(make(role, dir.path(), "alice"), Err(CertsError::Exists(_))));
        assert_eq!(fs::read(&first.private).expect("a key"), key);
    }
}

#[test]
fn rotating_keeps_the_old_key_beside_the_new_one() {
    let dir = dir();
    assert!(matches!(rotate(Role::Client, dir.path(), "alice"), Err(CertsError::NothingToRotate(_))));
    let first = make(Role::Client, dir.path(), "alice").expect("an identity");
    let key = fs::read(&first.private).expect("a key");
    let second = rotate(Role::Client, dir.path(), "alice").expect("an identity");
    assert_ne!(first.fingerprint, second.fingerprint);
    assert_eq!(fs::read(dir.path().join("client.key.old")).expect("the old key"), key);
    assert_eq!(identity::existing(Role::Client, dir.path()).expect("readable"), Some(second));
}

#[test]
fn a_certificate_of_one_role_does_not_get_into_the_list_of_another() {
    let dir = dir();
    let pki = make_all(dir.path()).expect("a PKI");
    let server = pki.server.join("server.crt");
    let client = pki.stranger.join("client.crt");
    let signer = pki.server.join("signer.pub");
    let stapdev = List::Clients(Privilege::Stapdev);
    let refused = |list, file: &Path| list::add(&pki.stranger, list, file, None).expect_err("should be refused");
    assert!(matches!(refused(stapdev, &server), CertsError::WrongRole { .. }));
    assert!(matches!(refused(List::Servers, &client), CertsError::WrongRole { .. }));
    assert!(matches!(refused(List::Servers, &signer), CertsError::NotACertificate(_)));
    assert!(matches!(refused(List::Signers, &server), CertsError::NotASignerKey(_)));
    assert!(matches!(refused(stapdev, &pki.expired.join("client.crt")), CertsError::Expired(_)));
}

#[test]
fn a_client_is_at_one_level_only() {
    let dir = dir();
    let pki = make_all(dir.path()).expect("a PKI");
    let certificate = pki.stapdev.join("client.crt");
    list::add(&pki.server, List::Clients(Privilege::Stapusr), &certificate, None).expect("authorised");
    assert_eq!(names(&pki.server, List::Clients(Privilege::Stapdev)), ["expired"]);
    assert_eq!(names(&pki.server, List::Clients(Privilege::Stapusr)), ["stapdev", "stapusr"]);
}

#[test]
fn a_name_stands_for_one_key() {
    let dir = dir();
    let pki = make_all(dir.path()).expect("a PKI");
    let foreign = pki.foreign.join("server.crt");
    let again = list::add(&pki.stapdev, List::Servers, &foreign, Some("farm"));
    assert!(matches!(again, Err(CertsError::NameTaken { .. })), "{again:?}");
    list::add(&pki.stapdev, List::Servers, &pki.server.join("server.crt"), Some("farm")).expect("the same key again");
    list::add(&pki.stapdev, List::Servers, &foreign, None).expect("another name");
    assert_eq!(names(&pki.stapdev, List::Servers), ["farm", "foreign"]);
}

#[test]
fn a_name_cannot_leave_the_list() {
    let dir = dir();
    let pki = make_all(dir.path()).expect("a PKI");
    for name in ["../x", "", ".hidden", "a/b", "a\nb", &"x".repeat(65)] {
        let added = list::add(&pki.stapdev, List::Servers, &pki.foreign.join("server.crt"), Some(name));
        assert!(matches!(added, Err(CertsError::BadName(_))), "{name:?} was taken");
    }
}

#[test]
fn revoking_says_what_it_removed_and_what_there_is() {
    let dir = dir();
    let pki = make_all(dir.path()).expect("a PKI");
    let removed = list::revoke(&pki.server, Role::Client, "stapsys").expect("revoked");
    assert_eq!(removed.len(), 1);
    assert_eq!(removed[0].path, pki.server.join("clients/stapsys/stapsys.crt"));
    assert!(!removed[0].path.exists());
    let again = list::revoke(&pki.server, Role::Client, "stapsys").expect_err("gone").to_string();
    assert!(again.ends_with("clients has no entry \"stapsys\": it has expired, stapdev, stapusr"), "{again}");
}

#[test]
fn a_file_that_is_no_certificate_trusts_nobody() {
    let dir = dir();
    let pki = make_all(dir.path()).expect("a PKI");
    let list = List::Clients(Privilege::Stapsys);
    fs::write(list.dir(&pki.server).join("note.txt"), "hello").expect("written");
    fs::write(list.dir(&pki.server).join(".hidden"), "hello").expect("written");
    let contents = list::read(&pki.server, list).expect("a list");
    assert_eq!(contents.entries.len(), 1);
    assert_eq!(contents.unreadable.len(), 1);
}

#[test]
fn the_command_line_goes_the_whole_way() {
    let dir = dir();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let (server, client) = (at("server"), at("client"));
    for line in [
        vec!["make", "server", &server, "--name", "farm"],
        vec!["make", "signer", &server],
        vec!["make", "client", &client, "--name", "alice"],
        vec!["trust", "server", &at("server/server.crt"), &client],
        vec!["trust", "signer", &at("server/signer.pub"), &client, "--name", "farm"],
        vec!["authorise", &at("client/client.crt"), "--privilege", "stapsys", &server],
    ] {
        let output = tapwire_certs(&line);
        assert!(output.status.success(), "{line:?}: {output:?}");
    }
    let listed = stdout(&tapwire_certs(&["list", &server]));
    assert!(listed.contains("own server") && listed.contains("own signer"), "{listed}");
    assert!(listed.contains("client (stapsys) alice") && listed.contains("expires 20"), "{listed}");
    let listed = stdout(&tapwire_certs(&["list", &client]));
    assert!(listed.contains("server farm") && listed.contains("signer farm"), "{listed}");
    let revoked = stdout(&tapwire_certs(&["revoke", "client", "alice", &server]));
    assert!(revoked.contains("revoked client alice") && revoked.contains("clients/stapsys/alice.crt"), "{revoked}");
    let again = tapwire_certs(&["make", "server", &server]);
    assert!(!again.status.success());
    assert!(String::from_utf8_lossy(&again.stderr).contains("tapwire-certs rotate"), "{again:?}");
}

fn tapwire_certs(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tapwire-certs")).args(arguments).output().expect("runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
