//! What an artifact says of itself, for a person to read before anything is loaded. Nothing here is believed.

use std::fmt::{self, Display};

use shared::artifact::manifest::Manifest;
use shared::artifact::signature::KeyId;

use crate::verify::Refusal;

/// The claims of an artifact, and whether this host believes them.
pub struct Inspection<'a> {
    /// The key it claims to be signed with.
    pub signer: KeyId,
    /// What it claims.
    pub manifest: &'a Manifest,
    /// Why it would not be loaded, if so.
    pub refusal: Option<&'a Refusal>,
    /// Seconds since 1970.
    pub now_s: u64,
}

impl Display for Inspection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let claims = &self.manifest.claims;
        writeln!(f, "script: {} (sha256 {})", claims.script_name, claims.script_digest)?;
        match self.refusal {
            None => writeln!(f, "verified: yes")?,
            Some(refusal) => writeln!(f, "verified: no, {refusal}")?,
        }
        writeln!(f, "signer: {}", self.signer)?;
        let kernel = &claims.kernel;
        writeln!(f, "kernel: {} {} (build id {})", kernel.release, kernel.architecture, kernel.build_id)?;
        writeln!(f, "privilege: {}{}", claims.privilege, if claims.guru { ", guru mode" } else { "" })?;
        match self.manifest.expires_at_s.checked_sub(self.now_s) {
            Some(left_s) if left_s > 0 => writeln!(f, "expires: in {left_s} s")?,
            _ => writeln!(f, "expires: {} s ago", self.now_s - self.manifest.expires_at_s)?,
        }
        for parameter in &claims.parameters {
            let (min, max) = parameter.range();
            writeln!(f, "parameter: {} ({min} to {max})", parameter.name())?;
        }
        for point in claims.ir.handlers.iter().flat_map(|handler| &handler.points) {
            writeln!(f, "probe: {} ({})", point.name, point.place)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use shared::abi::map::Parameter;
    use shared::artifact::manifest::{Claims, Digest, KernelClaim};
    use shared::artifact::signature::SignerKey;
    use shared::target::Architecture;
    use shared::trust::Privilege;

    use super::*;

    #[test]
    fn every_claim_is_shown() {
        let ir =
            "function u0 \"f\"\nb0():\n  return\nhandler h0 u0\n  at \"begin\" \"\" begin 0\n  at \"end\" \"\" end 1\n";
        let kernel = KernelClaim {
            architecture: Architecture::X86_64,
            release: "6.1.0".to_owned(),
            build_id: "00ff".parse().expect("a build id"),
        };
        let claims = Claims {
            script_name: "<input>".to_owned(),
            script_digest: Digest([0; 32]),
            elf_digest: Digest([0; 32]),
            kernel,
            privilege: Privilege::Stapdev,
            guru: true,
            parameters: vec![Parameter::Target],
            ir: shared::ir::read::read(ir).expect("an IR"),
        };
        let manifest = Manifest { claims, issued_at_s: 50, expires_at_s: 150 };
        let signer = SignerKey::from_seed(&[1; 32]).public().id();
        let inspection = |refusal, now_s| Inspection { signer, manifest: &manifest, refusal, now_s }.to_string();
        let zeros = "0".repeat(64);
        assert_eq!(
            inspection(None, 100),
            format!(
                "script: <input> (sha256 {zeros})
verified: yes
signer: {signer}
kernel: 6.1.0 x86_64 (build id 00ff)
privilege: stapdev, guru mode
expires: in 50 s
parameter: target (0 to 4194304)
probe: begin (begin 0)
probe: end (end 1)
"
            )
        );
        let refused = inspection(Some(&Refusal::NotRoot), 150);
        assert!(refused.contains("verified: no, only root may name"), "{refused}");
        assert!(refused.contains("expires: 0 s ago"), "{refused}");
    }
}
