//! Agreement with upstream: every script of Debian's systemtap-doc, as far as it gets. `ledger.toml` says how far that is.
//!
//! The scripts are read from where the package installed them; no line of them is in this repository. Each is called as
//! upstream's own tests call it, and compiled for Debian's 6.1 kernel. A script that gets less far than the ledger says
//! fails, and so does one that gets further: `BLESS=1` writes that down, and only that. Whatever parses must also print as a
//! script that parses to the same tree.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use harness::{packages, setup, skip, workspace};
use libtest_mimic::{Arguments, Trial};

mod ledger;

mod scripts;

mod host;

use self::host::Host;
use self::ledger::{Entry, Ledger};
use self::scripts::{PACKAGE, Script};

/// How a new state of things is written down.
const BLESS: &str = "`BLESS=1 cargo test -p tapwire-tests --test conformance` writes it down";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = trials().unwrap_or_else(|error| {
        let error = format!("{error:#}");
        vec![Trial::test("ledger", move || Err(error.into()))]
    });
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trials() -> Result<Vec<Trial>> {
    if let Some(reason) = setup::lacking(&[PACKAGE])? {
        skip::skip("conformance", &reason);
        return Ok(Vec::new());
    }
    let path = workspace::root().join("tests/conformance/ledger.toml");
    let ledger = Ledger::read(&path)?;
    let version = scripts::version()?;
    if version != ledger.package {
        skip::skip(
            "conformance",
            &format!("the ledger is of {PACKAGE} {}, and {version} is installed", ledger.package),
        );
        return Ok(Vec::new());
    }
    let scripts = scripts::installed(&ledger)?;
    let kernel = packages::cached(&harness::kernels::guest("6.1")?)?;
    if kernel.is_none() {
        let reason = "only parsing is checked: the packages of Debian's 6.1 kernel are not here; `cargo xtask setup` fetches them";
        skip::skip("conformance", reason);
    }
    let host = Arc::new(Host::new(kernel.as_ref())?);
    if std::env::var_os("BLESS").is_some() {
        ensure!(kernel.is_some(), "the ledger is of Debian's 6.1 kernel, which is not here: `cargo xtask setup`");
        let found = scripts.iter().map(|script| Ok((script.name.clone(), host.compile(script)?)));
        ledger.risen(found.collect::<Result<_>>()?)?.write(&path)?;
        return trials_of(Ledger::read(&path)?, scripts, &host);
    }
    trials_of(ledger, scripts, &host)
}

fn trials_of(ledger: Ledger, scripts: Vec<Script>, host: &Arc<Host>) -> Result<Vec<Trial>> {
    let names: Vec<&str> = scripts.iter().map(|script| script.name.as_str()).collect();
    let listed = ledger.check_names(&names).and_then(|()| ledger.check_counts());
    let listed = listed.map_err(|error| format!("{error:#}"));
    let mut trials = vec![Trial::test("ledger", move || Ok(listed?))];
    for script in scripts {
        let host = Arc::clone(host);
        let expected = ledger.scripts.get(&script.name).cloned().unwrap_or_default();
        trials.push(Trial::test(script.name.clone(), move || {
            Ok(check(&host, &script, &expected).map_err(|error| format!("{error:#}"))?)
        }));
    }
    Ok(trials)
}

/// Compares what becomes of a script with what the ledger says.
fn check(host: &Host, script: &Script, expected: &Entry) -> Result<()> {
    host.check_print(script)?;
    let found = host.compile(script).with_context(|| format!("compiling {}", script.path.display()))?;
    let expected = if host.elaborates() { expected.clone() } else { expected.only_parsed(&found) };
    let (reaches, lacks) = (&found.reaches, &found.lacks);
    ensure!(
        found.rank() >= expected.rank(),
        "it reached `{}`, and now only `{reaches}`; it lacks {lacks:#?}",
        expected.reaches
    );
    ensure!(
        found.rank() == expected.rank(),
        "good news: it reached `{}`, and now `{reaches}`; {BLESS}",
        expected.reaches
    );
    ensure!(lacks == &expected.lacks, "it lacks other things than the ledger says: {lacks:#?}; {BLESS}");
    Ok(())
}
