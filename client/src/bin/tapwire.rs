//! `tapwire`: runs a SystemTap script on this host, compiled elsewhere. Reads as the way of a script: its text, the host it
//! is for, a server's answer, and what is done with that.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use client::cli::{self, ColorChoice, Command, Goal, Invocation, ServerChoice};
use client::deliver::{self, DeliverError};
use client::error::Error;
use client::host::facts::HostFacts;
use client::host::{Host, HostError, live};
use client::personal::{self, Personal};
use client::progress::ProgressLine;
use client::render::color::Colors;
use client::render::{self, Look, explain, passes};
use client::script;
use client::submit::address::ServerAddress;
use client::submit::credentials::{Credentials, client_dirs};
use client::submit::{self, Answer, Asker, Product, SubmitError};
use shared::protocol::request::{CompileRequest, Output, Text};
use shared::protocol::response::Progress;
use shared::protocol::version::PORT;
use shared::target::{Fact, FactQuery, Target};
use shared::trust::store::SIGNERS;

fn main() -> ExitCode {
    let (done, look) = match cli::parse() {
        Command::Facts(facts) => {
            let look = look(ColorChoice::Auto, false);
            (print_facts(&facts).map(|()| ExitCode::SUCCESS), look)
        }
        Command::Explain(page) => {
            let text = page.map_or_else(explain::list, |page| explain::page(&page));
            (deliver::text(&text).map(|()| ExitCode::SUCCESS).map_err(Error::from), look(ColorChoice::Auto, false))
        }
        Command::Script(invocation) => {
            let look = look(invocation.color, invocation.hide_warnings);
            (run(&invocation, look), look)
        }
    };
    done.unwrap_or_else(|error| {
        say(&render::error(&error, look));
        ExitCode::FAILURE
    })
}

fn run(invocation: &Invocation, look: Look) -> Result<ExitCode, Error> {
    for option in &invocation.idle_options {
        say(&render::warning(&format!("{option} is for pass 5, which is not run"), look));
    }
    let script = script::read(&invocation.script)?;
    let host = host(invocation)?;
    if invocation.verbose > 1 {
        say(&format!("{}\n", described(host.target())));
    }
    let request = CompileRequest {
        script_name: script.name,
        script: script.text,
        additions: invocation.additions.iter().map(|text| addition(text)).collect(),
        library: script::read_library(&invocation.library)?,
        arguments: invocation.arguments.clone(),
        output: invocation.goal.output(),
        guru: invocation.guru,
        options: invocation.options.clone(),
        target: host.target().clone(),
        facts: Vec::new(),
    };
    let (answer, personal) = ask(invocation, &host, request)?;
    match answer {
        Answer::Refused(report) => {
            say(&render::report(&report, look));
            say(&format!("{}\n", render::refusal(&report, look)));
            render::further_reading(&report).iter().for_each(|line| say(&format!("{line}\n")));
            Ok(ExitCode::FAILURE)
        }
        Answer::Compiled { product, report, timings } => {
            say(&render::report(&report, look));
            if invocation.verbose > 0 {
                passes::lines(&timings).iter().for_each(|line| say(&format!("{line}\n")));
            }
            deliver(invocation, product, personal.as_ref())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// A script of `-E`.
fn addition(text: &str) -> Text {
    Text { name: "<-E>".to_owned(), text: text.to_owned() }
}

/// The host that the script is for. Only its parse does not depend on what the kernel can do.
fn host(invocation: &Invocation) -> Result<Host, HostError> {
    match &invocation.facts {
        Some(path) => HostFacts::open(path).map(Host::Described),
        None => live::target(invocation.goal.output() != Output::Parsed).map(Host::Live),
    }
}

fn described(target: &Target) -> String {
    let features: Vec<String> = target.features.iter().map(ToString::to_string).collect();
    let Target { release, architecture, kernel, .. } = target;
    format!("Host: {architecture} {}, build id {kernel}, features: {}", render::plain(release), features.join(" "))
}

/// Asks whom the user chose; where that is a server of the user's own, says which.
fn ask(invocation: &Invocation, host: &Host, request: CompileRequest) -> Result<(Answer, Option<Personal>), Error> {
    let on_terminal = io::stderr().is_terminal();
    let mut asker = Waiting { host, line: ProgressLine::new(on_terminal, invocation.verbose > 0) };
    let credentials = || Credentials::load(&client_dirs());
    match &invocation.server {
        ServerChoice::Personal => {
            let (answer, personal) = ask_personal(request, &mut asker)?;
            Ok((answer, Some(personal)))
        }
        ServerChoice::Named(servers) => Ok((submit::submit(servers, &credentials()?, request, &mut asker)?, None)),
        ServerChoice::Trusted => {
            let credentials = credentials()?;
            // An entry is named for the host it belongs to.
            let names = credentials.servers.iter().map(|server| server.name.clone());
            let servers: Vec<ServerAddress> = names.map(|host| ServerAddress { host, port: PORT }).collect();
            Ok((submit::submit(&servers, &credentials, request, &mut asker)?, None))
        }
    }
}

/// Asks the user's own server. One that ends just when it is found is not found the second time.
fn ask_personal(request: CompileRequest, asker: &mut Waiting<'_>) -> Result<(Answer, Personal), Error> {
    let mut once = |request| -> Result<(Answer, Personal), Error> {
        let personal = personal::find_or_start()?;
        if personal.is_new {
            asker.line.say(&format!("Started your own compile server in {}.", personal.dir.display()));
        }
        let credentials = Credentials::load(std::slice::from_ref(&personal.dir))?;
        let answer = submit::submit(&[personal.address.into()], &credentials, request, asker)?;
        Ok((answer, personal))
    };
    match once(request.clone()) {
        Err(Error::Submit(SubmitError::Unreachable { .. } | SubmitError::Lost { .. })) => once(request),
        done => done,
    }
}

fn deliver(invocation: &Invocation, product: Product, personal: Option<&Personal>) -> Result<(), DeliverError> {
    match (&invocation.goal, product) {
        (Goal::Text(_), Product::Text(text)) => deliver::text(&text),
        (Goal::Elf { module }, Product::Artifact(artifact)) => deliver::elf(&artifact, module.as_ref()),
        (Goal::Artifact { module }, Product::Artifact(artifact)) => deliver::artifact(&artifact, module.as_ref()),
        (Goal::Run(options), Product::Artifact(artifact)) => {
            if invocation.verbose > 0 {
                say("Pass 5: starting run.\n");
            }
            // `taprun` lets only root name a list; for others the host's list decides alone.
            let is_root = rustix::process::getuid().is_root();
            let signers = personal.filter(|_| is_root).map(|personal| personal.dir.join(SIGNERS));
            Err(deliver::run(&artifact, options, invocation.verbose, signers.as_deref()))
        }
        (Goal::Text(_), Product::Artifact(_)) | (_, Product::Text(_)) => Err(DeliverError::WrongProduct),
    }
}

fn print_facts(command: &cli::Facts) -> Result<(), Error> {
    let facts = live::facts(&command.elf)?;
    Ok(deliver::text(&facts.to_toml())?)
}

fn look(color: ColorChoice, hide_warnings: bool) -> Look {
    let is_colored = match color {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        // https://no-color.org: set and not empty.
        ColorChoice::Auto => {
            let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
            let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
            io::stderr().is_terminal() && !is_set("NO_COLOR") && !is_dumb
        }
    };
    let colors = match std::env::var("SYSTEMTAP_COLORS") {
        _ if !is_colored => None,
        Err(std::env::VarError::NotPresent) => Some(Colors::default()),
        chosen => chosen.ok().and_then(|text| Colors::parse(&text)),
    };
    Look { colors, hide_warnings }
}

/// Says something on standard error. Where nobody listens any more, there is nobody to tell that either.
fn say(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Waits for a server: answers what it asks of the host, and shows what it does.
struct Waiting<'a> {
    host: &'a Host,
    line: ProgressLine,
}

impl Asker for Waiting<'_> {
    fn connecting(&mut self, server: &ServerAddress) {
        self.line.say(&format!("Asking the compile server {server}."));
    }

    fn progress(&mut self, progress: &Progress) {
        self.line.show(progress);
    }

    fn answer(&mut self, query: &FactQuery) -> Result<Fact, HostError> {
        self.line.say(&format!("The server asks for {}.", render::plain(&query.to_string())));
        self.host.answer(query)
    }
}
