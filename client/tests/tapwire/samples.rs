//! Requests, answers and artifacts that several tests need.

use std::collections::BTreeSet;

use shared::artifact::container::sign;
use shared::artifact::manifest::{Claims, Digest, KernelClaim, Manifest};
use shared::artifact::signature::SignerKey;
use shared::diagnostic::Report;
use shared::ir::Ir;
use shared::protocol::request::{CompileRequest, Options, Output};
use shared::protocol::response::{Outcome, Progress, Response, Timing};
use shared::target::{Architecture, BuildId, Target};
use shared::trust::Privilege;

use crate::fake_server::Step;

pub(crate) const ELF: &[u8] = b"\x7fELF, or so";

pub(crate) fn request(script: &str) -> CompileRequest {
    CompileRequest {
        script_name: "<input>".to_owned(),
        script: script.to_owned(),
        additions: Vec::new(),
        library: Vec::new(),
        arguments: vec!["10".to_owned()],
        output: Output::Parsed,
        guru: false,
        options: Options::default(),
        target: Target {
            architecture: Architecture::X86_64,
            release: "6.1.0-56-cloud-amd64".to_owned(),
            kernel: build_id(),
            features: BTreeSet::new(),
        },
        facts: Vec::new(),
    }
}

pub(crate) fn build_id() -> BuildId {
    "4c094903".parse().expect("a build id")
}

pub(crate) fn text(text: &str) -> Step {
    let (report, timings) = (Report::default(), timings());
    finished(Outcome::Text { text: text.to_owned(), report, timings })
}

pub(crate) fn artifact_with(report: Report) -> Step {
    finished(Outcome::Artifact { artifact: artifact(), report, timings: timings() })
}

pub(crate) fn finished(outcome: Outcome) -> Step {
    Step::Say(Response::Finished(Box::new(outcome)))
}

pub(crate) fn progress(activity: &str) -> Step {
    let (activity, bytes_done, bytes_total) = (activity.to_owned(), 1 << 20, Some(5 << 20));
    Step::Say(Response::Progress(Progress { activity, bytes_done, bytes_total }))
}

pub(crate) fn timings() -> Vec<Timing> {
    let timing = |stage: &str, duration_us| Timing { stage: stage.to_owned(), duration_us };
    vec![timing("parse", 1_500), timing("debuginfo", 250_000), timing("elaborate", 30_000)]
}

pub(crate) fn artifact() -> Vec<u8> {
    let claims = Claims {
        script_name: "<input>".to_owned(),
        script_digest: Digest::of(b"probe begin {}"),
        elf_digest: Digest::of(ELF),
        kernel: KernelClaim {
            architecture: Architecture::X86_64,
            release: "6.1.0-56-cloud-amd64".to_owned(),
            build_id: build_id(),
        },
        privilege: Privilege::Stapusr,
        guru: false,
        parameters: Vec::new(),
        ir: Ir::default(),
    };
    let manifest = Manifest { claims, issued_at_s: 1, expires_at_s: 2 };
    sign(&manifest, ELF.to_vec(), &SignerKey::from_seed(&[1; 32])).expect("an artifact")
}
