//! A compile is a function: two servers that know nothing of each other make the same of the same script, to the byte. Only
//! who signs, and when, differs.

use harness::client::Client;
use harness::tapwired::{Debuginfo, Tapwired};
use harness::workspace::{self, Profile};
use harness::{kernels, packages, process, skip};
use shared::artifact::container::UntrustedArtifact;

/// Scripts of `kernel/` that need nothing but a kernel and its debuginfo.
const SCRIPTS: [&str; 5] = ["kprobe", "kretprobe", "member", "timer", "wildcard"];

#[test]
fn the_same_script_gives_the_same_bytes() {
    let kernel = packages::cached(&kernels::guest("6.1").expect("the support matrix has it"));
    let Some(kernel) = kernel.expect("the cache can be read") else {
        let reason = "the packages of 6.1 are not here; `cargo xtask setup` fetches them";
        return skip::skip("the_same_script_gives_the_same_bytes", reason);
    };
    let client = Client::build(&kernel, Profile::Dev).expect("a client");
    let trees = [kernel.debuginfo()];
    let server = || Tapwired::start(Debuginfo { urls: &[], directories: &trees }, Profile::Dev).expect("a server");
    let servers = [server(), server()];
    for script in SCRIPTS {
        let [first, second] = servers.each_ref().map(|server| compile(&client, server, script));
        assert_eq!(first.claimed(), second.claimed(), "{script}: the claims differ");
        assert!(first.unverified_elf() == second.unverified_elf(), "{script}: the programs differ");
        assert_ne!(first.signer(), second.signer(), "{script}: one server has signed both");
    }
}

fn compile(client: &Client, server: &Tapwired, script: &str) -> UntrustedArtifact {
    client.meet(server).expect("they meet");
    let path = workspace::root().join(format!("tests/kernel/{script}.stp"));
    process::output(client.tapwire(server).args(["-p4", "-m", script]).arg(path)).expect("it compiles");
    let bytes = std::fs::read(client.home().join(format!("{script}.tap"))).expect("an artifact");
    UntrustedArtifact::parse(&bytes).expect("what a server makes is well-formed")
}
