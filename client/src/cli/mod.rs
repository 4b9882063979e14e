//! The command line of `tapwire`: words in, a [`Command`] out that holds nothing contradictory.
//!
//! Options are called and combined as stap(1) has them. What they do is elsewhere; this module opens no file.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::LazyLock;

use clap::builder::PossibleValue;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, CommandFactory, Parser, ValueEnum};
use shared::artifact::manifest::MANIFEST_VERSION;
use shared::diagnostic::explain::{self, Page};
use shared::diagnostic::similar;
use shared::protocol::request::{Define, Output};
use shared::protocol::version::ALPN;

use crate::submit::address::ServerAddress;

mod stap;

/// What the user wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Take a script through the passes.
    Script(Box<Invocation>),
    /// Print a facts file of this host.
    Facts(Facts),
    /// Print the page of a diagnostic's code, or which there are.
    Explain(Option<Page>),
}

/// A script and how far it shall go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// Where the script is.
    pub script: ScriptSource,
    /// `$1`, `@1` and so on.
    pub arguments: Vec<String>,
    /// What shall come of it.
    pub goal: Goal,
    /// Who compiles it.
    pub server: ServerChoice,
    /// A facts file, where the script is for another host.
    pub facts: Option<PathBuf>,
    /// `-g`
    pub guru: bool,
    /// `-E`: scripts that belong to the first.
    pub additions: Vec<String>,
    /// `-I`: directories of the user's own libraries.
    pub library: Vec<PathBuf>,
    /// `-D`, `--compatible` and what else is for the server.
    pub options: shared::protocol::request::Options,
    /// `-v`, counted.
    pub verbose: u8,
    /// `-w`
    pub hide_warnings: bool,
    /// `--color`
    pub color: ColorChoice,
    /// Options that were given but only mean something for a run, as the user wrote them: `-c`.
    pub idle_options: Vec<&'static str>,
}

/// Where a script comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScriptSource {
    /// A file.
    File(PathBuf),
    /// `-`
    Stdin,
    /// `-e SCRIPT`
    Text(String),
}

/// What shall come of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goal {
    /// `-p1` to `-p3`, `--emit=bpf`: the text of a pass on standard output.
    Text(Output),
    /// `--emit=elf`: the object that would be loaded.
    Elf {
        /// `-m`
        module: Option<ModuleName>,
    },
    /// `-p4`: a signed artifact in a file.
    Artifact {
        /// `-m`
        module: Option<ModuleName>,
    },
    /// `-p5`: run it.
    Run(RunOptions),
}

impl Goal {
    /// What the server is asked for.
    #[must_use]
    pub fn output(&self) -> Output {
        match self {
            Self::Text(output) => *output,
            Self::Elf { .. } | Self::Artifact { .. } | Self::Run(_) => Output::Artifact,
        }
    }
}

/// What `taprun` is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// `-c CMD`
    pub command: Option<OsString>,
    /// `-x PID`
    pub pid: Option<u32>,
    /// `-o FILE`
    pub output: Option<PathBuf>,
    /// `-T SEC`
    pub timeout_s: Option<u64>,
    /// `-m NAME`: a copy of the artifact is left under this name.
    pub module: Option<ModuleName>,
}

/// `-m NAME`: the name of a file in the current directory, without its extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleName(String);

impl ModuleName {
    /// As it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for ModuleName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.strip_suffix(".tap").unwrap_or(text);
        let fits = (1..=64).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        if fits { Ok(Self(name.to_owned())) } else { Err("use 1 to 64 letters, digits, _ and -, without a directory") }
    }
}

/// Who compiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerChoice {
    /// A server of the user's own, on this host.
    Personal,
    /// `--use-server`: those in the list of trusted servers, by the names of their entries.
    Trusted,
    /// `--use-server=HOST`: these, in this order, until one answers.
    Named(Vec<ServerAddress>),
}

/// When to use colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Describe this host, so that scripts can be compiled for it elsewhere
///
/// Prints a facts file: the kernel's build id, what the kernel can do, its tracepoints,
/// and the build ids of the programs named with --elf. `tapwire --facts FILE -p4`
/// compiles for the host it describes.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(name = "tapwire facts", bin_name = "tapwire facts", disable_version_flag = true, verbatim_doc_comment)]
pub struct Facts {
    /// A program or library that scripts will probe (may be repeated)
    #[arg(long = "elf", value_name = "PATH")]
    pub elf: Vec<PathBuf>,
}

/// Reads the command line; on a mistake, or for `--help` and `--version`, says what there is to say and ends the process.
#[must_use]
pub fn parse() -> Command {
    parse_from(std::env::args_os()).unwrap_or_else(|error| error.exit())
}

/// Reads a command line, the program's name in front.
///
/// # Errors
/// What clap shows for a mistake, and for `--help` and `--version`.
pub fn parse_from(words: impl IntoIterator<Item = OsString>) -> Result<Command, clap::Error> {
    let words: Vec<OsString> = words.into_iter().collect();
    if words.get(1).is_some_and(|first| first == "facts") {
        return Facts::try_parse_from(words.into_iter().skip(1)).map(Command::Facts);
    }
    let options = Options::try_parse_from(words).map_err(stap::explain)?;
    if let Some(page) = options.explain {
        return Ok(Command::Explain(page));
    }
    options.into_invocation().map(|invocation| Command::Script(Box::new(invocation)))
}

static VERSION: LazyLock<String> = LazyLock::new(|| {
    let protocol = String::from_utf8_lossy(ALPN);
    format!("{} (protocol {protocol}, artifact version {MANIFEST_VERSION})", env!("CARGO_PKG_VERSION"))
});

const USAGE: &str = "\
tapwire [OPTIONS] FILE|- [ARGS]...
       tapwire [OPTIONS] -e SCRIPT [ARGS]...
       tapwire facts [--elf PATH]... > FILE";

const AFTER_HELP: &str = "\
FILE is the script, - standard input. ARGS are its $1, @1 and so on; behind -- they may start with -.

A script runs in five passes: 1 parse, 2 elaborate, 3 translate, 4 compile and sign, 5 run. Passes 1 to 4 are the
server's; pass 5 is `taprun`, which needs privileges. A script file called \"facts\" is ./facts.";

/// Run a SystemTap script on this host, compiled elsewhere
#[derive(Debug, Parser)]
#[command(name = "tapwire", version = VERSION.as_str(), override_usage = USAGE, after_help = AFTER_HELP)]
struct Options {
    /// The script's file, and its arguments: the usage lines and what follows the options say it better
    #[arg(hide = true)]
    words: Vec<OsString>,

    /// The script itself; all other words are its arguments
    #[arg(short = 'e', value_name = "SCRIPT")]
    script: Option<String>,

    /// Stop after pass 1 to 5
    #[arg(short = 'p', value_name = "PASS", value_parser = clap::value_parser!(u8).range(1..=5))]
    last_pass: Option<u8>,

    /// With -p4: the generated code as text (bpf), or the object file (elf)
    #[arg(long, value_name = "bpf|elf", hide_possible_values = true)]
    emit: Option<Emit>,

    /// Say what happens; more with each -v
    #[arg(short, action = ArgAction::Count)]
    verbose: u8,

    /// Run CMD and end with it; target() is its process
    #[arg(short, value_name = "CMD", conflicts_with = "pid")]
    command: Option<OsString>,

    /// Make target() this process
    #[arg(short = 'x', value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pid: Option<u32>,

    /// Write what the script prints to FILE
    #[arg(short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Leave the artifact as NAME.tap in the current directory
    #[arg(short, value_name = "NAME")]
    module: Option<ModuleName>,

    /// End the script after SEC seconds
    #[arg(short = 'T', value_name = "SEC", value_parser = clap::value_parser!(u64).range(1..))]
    timeout_s: Option<u64>,

    /// Guru mode: let the script write to the kernel
    #[arg(short)]
    guru: bool,

    /// A script that belongs to the first (may be repeated)
    #[arg(short = 'E', value_name = "SCRIPT")]
    additions: Vec<String>,

    /// Find aliases, functions and macros in DIR, too: its *.stp and *.stpm (may be repeated)
    #[arg(short = 'I', value_name = "DIR")]
    library: Vec<PathBuf>,

    /// Set a limit, such as MAXMAPENTRIES (may be repeated)
    #[arg(short = 'D', value_name = "NAME=VALUE", value_parser = stap::define)]
    defines: Vec<Define>,

    /// Hide warnings
    #[arg(short = 'w')]
    hide_warnings: bool,

    /// Take warnings for errors
    #[arg(short = 'W', conflicts_with = "hide_warnings")]
    warnings_are_errors: bool,

    /// Follow the rules of this version of SystemTap
    #[arg(long, value_name = "VERSION", value_parser = stap::version)]
    compatible: Option<String>,

    /// Warn of what other versions of SystemTap take otherwise
    #[arg(long)]
    check_version: bool,

    /// Take target variables that cannot be read for 0, with a warning
    #[arg(long)]
    skip_badvars: bool,

    /// Report every error of pass 2, however many there are
    #[arg(long)]
    semantic_keep_going: bool,

    /// Survive errors in handlers
    #[arg(long)]
    suppress_handler_errors: bool,

    /// Let handlers run for as long as they like (needs -g)
    #[arg(long, requires = "guru")]
    suppress_time_limits: bool,

    /// Compile on this server, or on those trusted here (may be repeated)
    #[arg(long, value_name = "HOST[:PORT]", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    use_server: Vec<String>,

    /// Compile for the host that FILE describes (`tapwire facts`)
    #[arg(long, value_name = "FILE")]
    facts: Option<PathBuf>,

    /// Colours: auto, always or never; SYSTEMTAP_COLORS says which
    #[arg(
        long,
        visible_alias = "colour",
        value_name = "WHEN",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "always",
        hide_possible_values = true
    )]
    color: Option<ColorChoice>,

    /// Explain the code of an error or a warning; without CODE, list them
    #[arg(long, value_name = "CODE", num_args = 0..=1, value_parser = page, exclusive = true)]
    explain: Option<Option<Page>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Emit {
    Bpf,
    Elf,
}

impl ValueEnum for Emit {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Bpf, Self::Elf]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            Self::Bpf => PossibleValue::new("bpf"),
            Self::Elf => PossibleValue::new("elf"),
        })
    }
}

impl Options {
    fn into_invocation(mut self) -> Result<Invocation, clap::Error> {
        let script = self.take_script()?;
        let arguments = std::mem::take(&mut self.words).into_iter().map(argument).collect::<Result<_, _>>()?;
        let idle_options = if self.runs() { Vec::new() } else { self.run_options() };
        Ok(Invocation {
            script,
            arguments,
            server: self.server()?,
            guru: self.guru,
            additions: std::mem::take(&mut self.additions),
            library: std::mem::take(&mut self.library),
            options: self.server_options(),
            verbose: self.verbose,
            hide_warnings: self.hide_warnings,
            color: self.color.unwrap_or_default(),
            idle_options,
            goal: self.goal()?,
            facts: self.facts,
        })
    }

    fn take_script(&mut self) -> Result<ScriptSource, clap::Error> {
        if let Some(text) = self.script.take() {
            return Ok(ScriptSource::Text(text));
        }
        if self.words.is_empty() {
            let message = "no script: name a file, - for standard input, or give the script itself with -e";
            return Err(mistake(ErrorKind::MissingRequiredArgument, message));
        }
        let file = self.words.remove(0);
        Ok(if file == "-" { ScriptSource::Stdin } else { ScriptSource::File(file.into()) })
    }

    /// What the server is told.
    fn server_options(&mut self) -> shared::protocol::request::Options {
        shared::protocol::request::Options {
            compatible: self.compatible.take(),
            check_version: self.check_version,
            warnings_are_errors: self.warnings_are_errors,
            skip_badvars: self.skip_badvars,
            keep_going: self.semantic_keep_going,
            suppress_handler_errors: self.suppress_handler_errors,
            suppress_time_limits: self.suppress_time_limits,
            defines: std::mem::take(&mut self.defines),
        }
    }

    /// Whether all five passes are asked for.
    fn runs(&self) -> bool {
        self.emit.is_none() && self.last_pass.unwrap_or(5) == 5
    }

    /// The options given that only a run knows, as they are spelled.
    fn run_options(&self) -> Vec<&'static str> {
        let given = [
            ("-c", self.command.is_some()),
            ("-x", self.pid.is_some()),
            ("-o", self.output.is_some()),
            ("-T", self.timeout_s.is_some()),
        ];
        given.into_iter().filter(|(_, given)| *given).map(|(option, _)| option).collect()
    }

    fn goal(&mut self) -> Result<Goal, clap::Error> {
        if self.emit.is_some() && self.last_pass.is_some_and(|pass| pass != 4) {
            return Err(mistake(
                ErrorKind::ArgumentConflict,
                "--emit shows what pass 4 makes: leave out -p, or say -p4",
            ));
        }
        if self.facts.is_some() && self.runs() {
            let message = "--facts describes another host, where the script cannot be run from here: \
                           stop before that with -p4 -m NAME, and run NAME.tap there with taprun";
            return Err(mistake(ErrorKind::ArgumentConflict, message));
        }
        let module = self.module.take();
        Ok(match (self.emit, self.last_pass.unwrap_or(5)) {
            (Some(Emit::Bpf), _) => Goal::Text(Output::Disassembled),
            (Some(Emit::Elf), _) => Goal::Elf { module },
            (None, 1) => Goal::Text(Output::Parsed),
            (None, 2) => Goal::Text(Output::Elaborated),
            (None, 3) => Goal::Text(Output::Translated),
            (None, 4) => Goal::Artifact { module },
            (None, _) => Goal::Run(RunOptions {
                command: self.command.take(),
                pid: self.pid,
                output: self.output.take(),
                timeout_s: self.timeout_s,
                module,
            }),
        })
    }

    fn server(&self) -> Result<ServerChoice, clap::Error> {
        let named: Vec<&String> = self.use_server.iter().filter(|text| !text.is_empty()).collect();
        if self.use_server.is_empty() {
            return Ok(ServerChoice::Personal);
        }
        if named.is_empty() {
            return Ok(ServerChoice::Trusted);
        }
        let parsed = named.into_iter().map(|text| {
            text.parse().map_err(|error| {
                mistake(ErrorKind::ValueValidation, format!("invalid value '{text}' for '--use-server': {error}"))
            })
        });
        parsed.collect::<Result<_, _>>().map(ServerChoice::Named)
    }
}

fn argument(word: OsString) -> Result<String, clap::Error> {
    word.into_string().map_err(|word| {
        mistake(ErrorKind::InvalidUtf8, format!("the script argument {word:?} is not UTF-8, as stap strings must be"))
    })
}

fn page(code: &str) -> Result<Page, String> {
    explain::page(code).ok_or_else(|| match similar(code, explain::pages().map(|page| page.code)).first() {
        Some(nearest) => format!("no error or warning has this code; did you mean {nearest}?"),
        None => "no error or warning has this code; `tapwire --explain` lists them".to_owned(),
    })
}

/// A mistake in clap's words and looks.
fn mistake(kind: ErrorKind, message: impl std::fmt::Display) -> clap::Error {
    Options::command().error(kind, message)
}

/// The option that a clap error complains about.
fn invalid_option(error: &clap::Error) -> Option<&str> {
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(option)) => Some(option),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invocation(words: &[&str]) -> Invocation {
        let words = ["tapwire"].iter().chain(words).map(OsString::from);
        match parse_from(words) {
            Ok(Command::Script(invocation)) => *invocation,
            other => panic!("not taken for a script: {other:?}"),
        }
    }

    fn refusal(words: &[&str]) -> String {
        let words = ["tapwire"].iter().chain(words).map(OsString::from);
        parse_from(words).expect_err("the command line was taken").to_string()
    }

    #[test]
    fn words_after_the_file_are_script_arguments() {
        let got = invocation(&["script.stp", "10", "foo"]);
        assert_eq!(got.script, ScriptSource::File("script.stp".into()));
        assert_eq!(got.arguments, ["10", "foo"]);
        let got = invocation(&["-e", "probe begin {}", "10", "foo"]);
        assert_eq!(got.script, ScriptSource::Text("probe begin {}".to_owned()));
        assert_eq!(got.arguments, ["10", "foo"]);
        assert_eq!(invocation(&["-"]).script, ScriptSource::Stdin);
    }

    #[test]
    fn options_may_follow_the_file_and_two_dashes_end_them() {
        let got = invocation(&["script.stp", "-v", "10", "-x", "7"]);
        assert_eq!((got.verbose, got.arguments), (1, vec!["10".to_owned()]));
        let got = invocation(&["script.stp", "--", "-v", "10"]);
        assert_eq!((got.verbose, got.arguments), (0, vec!["-v".to_owned(), "10".to_owned()]));
    }

    #[test]
    fn short_options_combine() {
        let got = invocation(&["-vvgp4", "a.stp"]);
        assert_eq!((got.verbose, got.guru, got.goal), (2, true, Goal::Artifact { module: None }));
        assert_eq!(invocation(&["-p", "2", "a.stp"]).goal, Goal::Text(Output::Elaborated));
        assert_eq!(invocation(&["-wT5", "a.stp"]).goal.output(), Output::Artifact);
    }

    #[test]
    fn what_is_for_the_server_is_passed_on() {
        let got = invocation(&["-I", "lib", "-Iother", "-DMAXMAPENTRIES=7", "-D", "STP_NO_OVERLOAD", "-W", "a.stp"]);
        assert_eq!(got.library, [PathBuf::from("lib"), PathBuf::from("other")]);
        let define = |name: &str, value: Option<&str>| Define { name: name.into(), value: value.map(str::to_owned) };
        assert_eq!(got.options.defines, [define("MAXMAPENTRIES", Some("7")), define("STP_NO_OVERLOAD", None)]);
        assert!(got.options.warnings_are_errors);
        let got = invocation(&["-E", "global a", "-E", "global b", "--compatible=4.0", "--check-version", "a.stp"]);
        assert_eq!(got.additions, ["global a", "global b"]);
        assert_eq!((got.options.compatible.as_deref(), got.options.check_version), (Some("4.0"), true));
        let got = invocation(&["-g", "--suppress-time-limits", "--semantic-keep-going", "a.stp"]);
        assert!(got.options.suppress_time_limits && got.options.keep_going);
    }

    #[test]
    fn what_the_server_could_not_take_is_refused() {
        assert!(refusal(&["-D7", "a.stp"]).contains("-D NAME=VALUE"));
        assert!(refusal(&["--compatible", "new", "a.stp"]).contains("like 4.0"));
        assert!(refusal(&["--suppress-time-limits", "a.stp"]).contains("-g"));
        assert!(refusal(&["-w", "-W", "a.stp"]).contains("cannot be used with"));
    }

    #[test]
    fn emit_means_pass_4() {
        assert_eq!(invocation(&["--emit=bpf", "a.stp"]).goal, Goal::Text(Output::Disassembled));
        assert_eq!(invocation(&["-p4", "--emit=elf", "a.stp"]).goal, Goal::Elf { module: None });
        assert!(refusal(&["-p3", "--emit=elf", "a.stp"]).contains("say -p4"));
    }

    #[test]
    fn options_of_the_run_are_named_when_nothing_runs() {
        assert_eq!(invocation(&["-p2", "-c", "ls", "-o", "f", "a.stp"]).idle_options, ["-c", "-o"]);
        let got = invocation(&["-c", "ls", "-o", "f", "a.stp"]);
        assert!(got.idle_options.is_empty());
        let expected = RunOptions { command: Some("ls".into()), output: Some("f".into()), ..RunOptions::default() };
        assert_eq!(got.goal, Goal::Run(expected));
    }

    #[test]
    fn the_word_facts_is_a_command_only_in_front() {
        assert_eq!(invocation(&["./facts"]).script, ScriptSource::File("./facts".into()));
        assert_eq!(invocation(&["a.stp", "facts"]).arguments, ["facts"]);
        assert_eq!(invocation(&["-v", "facts"]).script, ScriptSource::File("facts".into()));
        let words = ["tapwire", "facts", "--elf", "/bin/sh"].map(OsString::from);
        let facts = parse_from(words).expect("a command");
        assert_eq!(facts, Command::Facts(Facts { elf: vec!["/bin/sh".into()] }));
    }

    #[test]
    fn codes_are_explained_or_the_nearest_is_named() {
        let explained = |words: &[&str]| match parse_from(["tapwire"].iter().chain(words).map(OsString::from)) {
            Ok(Command::Explain(page)) => page.map(|page| page.code),
            other => panic!("not taken for a code: {other:?}"),
        };
        assert_eq!(explained(&["--explain", "parse/unclosed-string"]), Some("parse/unclosed-string"));
        assert_eq!(explained(&["--explain"]), None);
        assert!(refusal(&["--explain", "parse/unclosed-strng"]).contains("did you mean parse/unclosed-string?"));
        assert!(refusal(&["--explain", "E0308"]).contains("lists them"));
        assert!(refusal(&["--explain", "parse/unclosed-string", "-g"]).contains("cannot be used with"));
    }

    #[test]
    fn servers_are_personal_trusted_or_named() {
        assert_eq!(invocation(&["a.stp"]).server, ServerChoice::Personal);
        assert_eq!(invocation(&["--use-server", "a.stp"]).server, ServerChoice::Trusted);
        let named = invocation(&["--use-server=farm:7000", "--use-server=other", "a.stp"]).server;
        let expected = ["farm:7000", "other"].map(|text| text.parse().expect("an address"));
        assert_eq!(named, ServerChoice::Named(expected.to_vec()));
        assert!(refusal(&["--use-server=farm:zzz", "a.stp"]).contains("'farm:zzz'"));
    }

    #[test]
    fn contradictions_are_refused() {
        assert!(refusal(&["--facts", "f", "a.stp"]).contains("-p4"));
        assert!(refusal(&["-c", "ls", "-x", "1", "a.stp"]).contains("cannot be used with"));
        assert!(refusal(&["-m", "../x", "a.stp"]).contains("without a directory"));
        assert!(refusal(&["-x", "0", "a.stp"]).contains('0'));
        assert!(refusal(&["-p6", "a.stp"]).contains("1..=5"));
        assert!(refusal(&[]).contains("no script"));
    }

    #[test]
    fn arguments_must_be_text() {
        use std::os::unix::ffi::OsStringExt as _;
        let words = ["tapwire", "a.stp"].map(OsString::from).into_iter().chain([OsString::from_vec(vec![0xff])]);
        let refusal = parse_from(words).expect_err("the argument was taken").to_string();
        assert!(refusal.contains("not UTF-8"), "{refusal}");
    }
}
