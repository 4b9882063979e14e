//! Rejection vectors: one defect each, everything else right.

use std::os::unix::fs::PermissionsExt as _;

use shared::artifact::container::{MAGIC, sign};
use shared::artifact::manifest::{Claims, Digest, KernelClaim};
use shared::artifact::signature::SignerKey;
use shared::ir::read::read;
use shared::trust::Privilege;
use shared::trust::policy::{Allow, PolicyRefusal};

use super::*;

const NOW_S: u64 = 1_800_000_000;

const ELF: &[u8] = b"\x7fELF and so on";

fn kernel() -> BuildId {
    "00aa11bb".parse().expect("a build id")
}

fn key(seed: u8) -> SignerKey {
    SignerKey::from_seed(&[seed; 32])
}

fn manifest() -> Manifest {
    let ir = read("function u0 \"f\"\nb0():\n  return\nhandler h0 u0\n  at \"begin\" \"\" begin 0\n").expect("an IR");
    let claims = Claims {
        script_name: "<input>".to_owned(),
        script_digest: Digest::of(b"probe begin {}"),
        elf_digest: Digest::of(ELF),
        kernel: KernelClaim { architecture: Architecture::X86_64, release: "6.1.0".to_owned(), build_id: kernel() },
        privilege: Privilege::Stapsys,
        guru: false,
        parameters: Vec::new(),
        ir,
    };
    Manifest { claims, issued_at_s: NOW_S - 10, expires_at_s: NOW_S + 10 }
}

fn signed(manifest: &Manifest) -> Vec<u8> {
    sign(manifest, ELF.to_vec(), &key(1)).expect("an artifact")
}

/// A host that trusts key 1 as "farm", up to stapsys.
fn trust() -> Trust {
    let places = Places { signers: vec!["/list".into()], policy: "/policy".into(), is_root: false };
    let allow = Allow { signer: "farm".to_owned(), privilege: Privilege::Stapsys, guru: false };
    Trust { signers: vec![("farm".to_owned(), key(1).public())], policy: HostPolicy { allow: vec![allow] }, places }
}

#[track_caller]
fn rejected(trust: &Trust, bytes: &[u8], now_s: u64) -> ArtifactRejected {
    match trust.verify(bytes, &kernel(), now_s) {
        Err(Refusal::Artifact { rejected, .. }) => rejected,
        other => panic!("not rejected: {other:?}"),
    }
}

#[test]
fn what_a_trusted_signer_signed_for_this_host_passes() {
    let artifact = trust().verify(&signed(&manifest()), &kernel(), NOW_S).expect("an artifact");
    assert_eq!((artifact.claims(), artifact.elf()), (&manifest().claims, ELF));
}

#[test]
fn what_is_claimed_can_be_read_by_whoever_does_not_believe_it() {
    let (signer, claimed) = claimed(&signed(&manifest())).expect("claims");
    assert_eq!((signer, claimed), (key(1).public().id(), manifest()));
}

#[test]
fn a_key_in_no_list_is_refused_with_the_lists_that_were_read() {
    let trust = Trust { signers: vec![("other".to_owned(), key(2).public())], ..trust() };
    let refusal = trust.verify(&signed(&manifest()), &kernel(), NOW_S).expect_err("an unknown signer");
    let id = key(1).public().id();
    assert_eq!(
        refusal.to_string(),
        format!(
            "refused by the signature (role signer) check: the artifact is signed by key {id}, which is not in this host's list of trusted signers"
        )
    );
    assert_eq!(refusal.hints()[0], "1 signers were read from /list");
}

#[test]
fn no_byte_can_be_altered() {
    let artifact = signed(&manifest());
    for index in 0..artifact.len() {
        let mut altered = artifact.clone();
        altered[index] ^= 1;
        assert!(trust().verify(&altered, &kernel(), NOW_S).is_err(), "byte {index} was altered unnoticed");
    }
}

#[test]
fn no_byte_can_be_missing_or_follow() {
    let artifact = signed(&manifest());
    for end in 0..artifact.len() {
        assert!(trust().verify(&artifact[..end], &kernel(), NOW_S).is_err(), "{end} bytes were taken for all");
    }
    let longer = [artifact.as_slice(), b"\0"].concat();
    assert_eq!(rejected(&trust(), &longer, NOW_S), ArtifactRejected::Damaged("end"));
}

#[test]
fn another_elf_is_refused() {
    let mut artifact = signed(&manifest());
    let last = artifact.len() - 1;
    artifact[last] ^= 1;
    assert_eq!(rejected(&trust(), &artifact, NOW_S), ArtifactRejected::ElfDigest);
}

#[test]
fn other_claims_under_the_same_signature_are_refused() {
    // A wider probe list, with the signature of the narrow one.
    let mut wider = manifest();
    wider.claims.ir.handlers[0].points[0].name = "begin(1)".to_owned();
    let signature = key(1).sign(&postcard::to_stdvec(&manifest()).expect("bytes"));
    let container = (postcard::to_stdvec(&wider).expect("bytes"), signature, ELF);
    let version = shared::artifact::manifest::MANIFEST_VERSION.to_le_bytes();
    let bytes = [MAGIC.as_slice(), &version, &postcard::to_stdvec(&container).expect("bytes")].concat();
    assert_eq!(rejected(&trust(), &bytes, NOW_S), ArtifactRejected::BadSignature("farm".to_owned()));
}

#[test]
fn another_version_is_refused_before_anything_is_read() {
    let bytes = [MAGIC.as_slice(), &9u16.to_le_bytes()].concat();
    assert!(matches!(rejected(&trust(), &bytes, NOW_S), ArtifactRejected::Version { got: 9, .. }));
    assert_eq!(rejected(&trust(), b"\x7fELF", NOW_S), ArtifactRejected::NotAnArtifact);
}

#[test]
fn an_artifact_has_its_time() {
    assert_eq!(rejected(&trust(), &signed(&manifest()), NOW_S + 10), ArtifactRejected::Expired(0));
    assert_eq!(rejected(&trust(), &signed(&manifest()), NOW_S - 1_000), ArtifactRejected::NotYetValid(990));
    let much_later = u64::MAX;
    assert!(matches!(rejected(&trust(), &signed(&manifest()), much_later), ArtifactRejected::Expired(_)));
}

#[test]
fn an_artifact_is_for_one_kernel() {
    let mut other = manifest();
    other.claims.kernel.build_id = "00aa11bc".parse().expect("a build id");
    let refusal = trust().verify(&signed(&other), &kernel(), NOW_S).expect_err("another kernel");
    assert_eq!(
        refusal.to_string(),
        "refused by the target check: the artifact is for kernel 6.1.0 (build id 00aa11bc), this host runs build id 00aa11bb"
    );
}

#[test]
fn the_policy_is_deny_by_default() {
    let refused = |change: &dyn Fn(&mut Trust, &mut Manifest)| {
        let (mut trust, mut manifest) = (trust(), manifest());
        change(&mut trust, &mut manifest);
        match rejected(&trust, &signed(&manifest), NOW_S) {
            ArtifactRejected::Policy(refusal) => refusal,
            other => panic!("rejected otherwise: {other}"),
        }
    };
    assert_eq!(refused(&|trust, _| trust.policy.allow.clear()), PolicyRefusal::NoPolicy);
    let farm = || "farm".to_owned();
    assert_eq!(refused(&|trust, _| trust.policy.allow[0].signer.clear()), PolicyRefusal::Signer(farm()));
    let needed = Privilege::Stapdev;
    let privilege = PolicyRefusal::Privilege { signer: farm(), needed, allowed: Privilege::Stapsys };
    assert_eq!(refused(&|_, manifest| manifest.claims.privilege = needed), privilege);
    assert_eq!(refused(&|_, manifest| manifest.claims.guru = true), PolicyRefusal::Guru(farm()));
}

#[test]
fn a_signed_but_wrong_ir_is_refused() {
    let mut wrong = manifest();
    wrong.claims.ir.handlers[0].points.clear();
    assert!(matches!(rejected(&trust(), &signed(&wrong), NOW_S), ArtifactRejected::Ir(_)));
}

/// Lists and policy in a new directory, which is root's where root runs the test.
struct Lists {
    directory: tempfile::TempDir,
}

impl Lists {
    /// None where the test is not run by root, whose lists these must be.
    fn new(test: &str) -> Option<Self> {
        if !rustix::process::getuid().is_root() {
            println!("SKIPPED {test}: only root can make lists that count");
            return None;
        }
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(directory.path().join("signers")).expect("a list");
        Some(Self { directory })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> &Self {
        std::fs::write(self.path(name), text).expect("a file");
        self
    }

    fn read(&self) -> Result<Trust> {
        let signers = vec![self.path("missing"), self.path("signers")];
        Trust::read(Places { signers, policy: self.path("policy.toml"), is_root: true })
    }

    #[track_caller]
    fn refused(&self) -> String {
        self.read().expect_err("a list that does not count").to_string()
    }
}

#[test]
fn lists_are_directories_of_keys_named_for_their_signers() {
    let Some(lists) = Lists::new("lists_are_directories_of_keys_named_for_their_signers") else { return };
    let pem = |seed| key(seed).public().to_pem().expect("a key");
    lists.write("signers/farm.pem", &pem(1)).write("signers/desk.pub", &pem(2)).write("signers/.README", "hello");
    let trust = lists.read().expect("a trust");
    let names: Vec<_> = trust.signers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["desk", "farm"]);
    // Without a policy, root may load what its signers vouch for,
    trust.verify(&signed(&manifest()), &kernel(), NOW_S).expect("an artifact");
    // and with one only what it says.
    lists.write("policy.toml", "[[allow]]\nsigner = \"desk\"\nprivilege = \"stapdev\"\n");
    let trust = lists.read().expect("a trust");
    let refusal = PolicyRefusal::Signer("farm".to_owned());
    assert_eq!(rejected(&trust, &signed(&manifest()), NOW_S), ArtifactRejected::Policy(refusal));
}

#[test]
fn a_list_that_others_may_write_does_not_count() {
    let Some(lists) = Lists::new("a_list_that_others_may_write_does_not_count") else { return };
    let file = lists.write("signers/farm.pem", &key(1).public().to_pem().expect("a key")).path("signers/farm.pem");
    let list = lists.path("signers");
    for (path, mode) in [(&file, 0o664), (&file, 0o646), (&list, 0o775), (&list, 0o1777)] {
        let before = std::fs::metadata(path).expect("a file").permissions();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("permissions");
        let reason = format!("does not count: others than root may write it (mode {mode:o})");
        assert_eq!(lists.refused(), format!("the list of trust at {} {reason}", path.display()));
        std::fs::set_permissions(path, before).expect("permissions");
    }
    lists.read().expect("a list that counts again");
    for path in [&file, &list, &lists.path("")] {
        std::os::unix::fs::chown(path, Some(1234), None).expect("another owner");
        assert!(lists.refused().ends_with("it belongs to user 1234, not to root"), "{}", path.display());
        std::os::unix::fs::chown(path, Some(0), None).expect("root again");
    }
}

#[test]
fn a_list_that_cannot_be_read_is_not_an_empty_one() {
    let Some(lists) = Lists::new("a_list_that_cannot_be_read_is_not_an_empty_one") else { return };
    lists.write("signers/farm.pem", "no key");
    assert!(lists.refused().ends_with("signers/farm.pem: not an Ed25519 key in PEM form"));
    std::fs::remove_file(lists.path("signers/farm.pem")).expect("no file");
    lists.write("policy.toml", "[[allow]]\nsigner = \"farm\"\nprivilege = \"all\"\n");
    assert!(lists.refused().contains("policy.toml: unknown variant `all`"), "{}", lists.refused());
    lists.write("policy.toml", &"#".repeat(TRUST_FILE_BYTES_MAX as usize + 1));
    assert!(lists.refused().ends_with("larger than 65536 bytes"));
    lists.write("policy.toml", "").write("signers/link.pem", "");
    std::fs::remove_file(lists.path("signers/link.pem")).expect("no file");
    std::os::unix::fs::symlink("/dev/zero", lists.path("signers/link.pem")).expect("a link");
    assert!(lists.refused().ends_with("signers/link.pem: not a regular file"));
}

#[test]
fn only_root_names_further_lists() {
    let further = || vec![PathBuf::from("/tmp/x")];
    assert!(matches!(Places::of_host(false, further()), Err(Refusal::NotRoot)));
    let places = Places::of_host(false, Vec::new()).expect("places");
    assert_eq!(places.signers, [PathBuf::from("/etc/tapwire/signers")]);
    let places = Places::of_host(true, further()).expect("places");
    assert_eq!((places.signers.len(), places.signers.last()), (3, Some(&PathBuf::from("/tmp/x"))));
}
