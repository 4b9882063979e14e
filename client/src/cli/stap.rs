//! Options of stap(1): what their values look like; and those that `tapwire` does not have: who gives one is told so, and what
//! to do instead where there is a way.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use shared::protocol::request::Define;

/// `NAME=VALUE`, `NAME`
pub(super) fn define(text: &str) -> Result<Define, String> {
    let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value.to_owned())));
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let starts_well = name.bytes().next().is_some_and(|first| is_word(first) && !first.is_ascii_digit());
    match starts_well && name.bytes().all(is_word) {
        true => Ok(Define { name: name.to_owned(), value }),
        false => Err("write -D NAME=VALUE, for example -D MAXMAPENTRIES=10000".to_owned()),
    }
}

/// `4.0`
pub(super) fn version(text: &str) -> Result<String, String> {
    let is_number = |part: &str| (1..=9).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    match text.split('.').count() <= 4 && text.split('.').all(is_number) {
        true => Ok(text.to_owned()),
        false => Err("a version of SystemTap is written like 4.0".to_owned()),
    }
}

/// Adds to a complaint about an unknown option what is known about it.
pub(super) fn explain(mut error: clap::Error) -> clap::Error {
    if error.kind() == ErrorKind::UnknownArgument
        && let Some(advice) = super::invalid_option(&error).and_then(advice)
    {
        // What clap would suggest is the nearest spelling, or a `--` that makes a script argument of it.
        error.remove(ContextKind::SuggestedArg);
        error.remove(ContextKind::SuggestedValue);
        error.remove(ContextKind::Suggested);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![advice.into()]));
    }
    error
}

fn advice(option: &str) -> Option<&'static str> {
    let name = option.split('=').next().unwrap_or(option);
    if let Some((_, advice)) = REPLACED.iter().find(|(options, _)| options.contains(&name)) {
        return Some(advice);
    }
    MISSING.contains(&name).then_some("this is an option of stap that tapwire does not have yet")
}

/// Options whose purpose is served otherwise.
const REPLACED: &[(&[&str], &str)] = &[
    (&["--bpf", "--runtime", "--dyninst"], "tapwire always compiles to eBPF: leave it out"),
    (&["-a", "-r", "-R"], "to compile for another host, describe it with `tapwire facts` there, and use --facts FILE"),
    (&["-k", "--tmpdir"], "tapwire leaves no temporary files: look at a pass with -p1 to -p3 or --emit=bpf"),
    (&["-B", "--modinfo"], "there is no kernel module to build: leave it out"),
    (
        &["-d", "--ldd", "--all-modules"],
        "symbols come from debuginfo by build id, without being asked for: leave it out",
    ),
    (&["--download-debuginfo"], "the server asks debuginfod of its own accord: leave it out"),
    (&["--list-servers"], "`tapwire-certs list` shows the trusted servers"),
    (&["--trust-servers"], "trust a server with `tapwire-certs trust server FILE`"),
    (&["--sign-module"], "every artifact is signed: leave it out"),
    (&["--disable-cache", "--poison-cache", "--clean-cache"], "tapwire compiles anew each time: leave it out"),
];

/// Options whose purpose is not served yet.
const MISSING: &[&str] = &[
    "-F",
    "-G",
    "-L",
    "-P",
    "-S",
    "-b",
    "-i",
    "-l",
    "-q",
    "-s",
    "-t",
    "-u",
    "--build-as",
    "--debug",
    "--dump-functions",
    "--dump-probe-aliases",
    "--dump-probe-types",
    "--example",
    "--interactive",
    "--language-server",
    "--monitor",
    "--no-global-var-display",
    "--privilege",
    "--prologue-searching",
    "--remote",
    "--remote-prefix",
    "--rlimit-as",
    "--rlimit-cpu",
    "--rlimit-fsize",
    "--rlimit-nproc",
    "--rlimit-stack",
    "--save-uprobes",
    "--sysenv",
    "--sysroot",
    "--target-namespaces",
    "--unprivileged",
    "--use-server-on-error",
    "--vp",
];

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    fn refusal(option: &str) -> String {
        let words = ["tapwire", option, "a.stp"].map(OsString::from);
        crate::cli::parse_from(words).expect_err("the option was taken").to_string()
    }

    #[test]
    fn options_of_stap_are_recognised() {
        for option in ["-Gx=5", "-L", "--monitor=3", "-l"] {
            assert!(refusal(option).contains("option of stap"), "{}", refusal(option));
        }
        assert!(refusal("--runtime=bpf").contains("always compiles to eBPF"));
        assert!(refusal("--trust-servers=ssl").contains("tapwire-certs trust server FILE"));
    }

    #[test]
    fn misspelt_options_get_the_nearest_name() {
        let refusal = refusal("--use-sever=x");
        assert!(refusal.contains("--use-server"), "{refusal}");
    }

    #[test]
    fn no_option_is_both_ours_and_missing() {
        let ours = <super::super::Options as clap::CommandFactory>::command();
        let spelled = ours.get_arguments().flat_map(|argument| {
            let short = argument.get_short().map(|short| format!("-{short}"));
            short.into_iter().chain(argument.get_long().map(|long| format!("--{long}")))
        });
        for option in spelled {
            assert_eq!(super::advice(&option), None, "{option} is both");
        }
    }
}
