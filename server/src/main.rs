//! `tapwired`: the command line. What it does is in the library.
#![forbid(unsafe_code)]

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use server::config::{Config, split_urls};
use server::job::assignment::End;
use server::job::worker;
use server::listener::Server;
use server::personal::{self, Home};
use tokio::signal::unix::{SignalKind, signal};

/// The Tapwire compile server.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    flags: Flags,
}

#[derive(clap::Args)]
struct Flags {
    /// Read this configuration [default: /etc/tapwired/tapwired.toml if it is there]
    #[arg(long)]
    config: Option<PathBuf>,
    /// Listen here (UDP)
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Identities and lists of clients
    #[arg(long)]
    directory: Option<PathBuf>,
    /// Debuginfo and compiled scripts
    #[arg(long)]
    cache: Option<PathBuf>,
    /// debuginfod servers, separated by blanks
    #[arg(long)]
    debuginfod_urls: Option<String>,
    /// Look for debuginfo in this tree too; may be repeated
    #[arg(long)]
    debuginfo_directory: Vec<PathBuf>,
    /// Milliseconds after which a compile is ended
    #[arg(long)]
    deadline_ms: Option<u64>,
    /// Serve one user: make keys in this directory, listen on loopback, and end when nobody asks
    #[arg(long, value_name = "DIR", conflicts_with_all = ["listen", "directory"])]
    personal: Option<PathBuf>,
    /// With --personal: seconds without a connection after which it ends
    #[arg(long, requires = "personal")]
    idle_seconds: Option<u64>,
}

#[derive(Subcommand)]
enum Command {
    /// Compile a request that was kept because of a bug, in this process
    Replay {
        /// The file that the failure named
        file: PathBuf,
    },
    #[command(name = worker::COMMAND, hide = true)]
    CompileWorker { memory_bytes_max: u64 },
}

fn main() -> ExitCode {
    let CommandLine { command, flags } = CommandLine::parse();
    let done = match command {
        Some(Command::CompileWorker { memory_bytes_max }) => return worker::main(memory_bytes_max, compiler::compile),
        Some(Command::Replay { file }) => replay(&file),
        None => serve(flags),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tapwired: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn replay(file: &std::path::Path) -> anyhow::Result<()> {
    let end = worker::replay(file, compiler::compile);
    match end.with_context(|| format!("{} is no kept request", file.display()))? {
        End::Internal { stage, message } => anyhow::bail!("bug in {stage}: {message}"),
        end => println!("{end:#?}"),
    }
    Ok(())
}

fn serve(flags: Flags) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    log.with_ansi(std::io::stderr().is_terminal()).init();
    let config = configure(&flags)?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        match &flags.personal {
            Some(dir) => {
                let home = Home::take(dir)?;
                let config = home.configure(config);
                let idle = flags.idle_seconds.map_or(personal::IDLE_DEFAULT, Duration::from_secs);
                home.serve(&config, idle, told_to_end()?).await?;
            }
            None => {
                let server = Server::start(&config).await?;
                tracing::info!(address = %server.address(), "serving");
                let end = told_to_end()?;
                let mut hang_up = signal(SignalKind::hangup())?;
                tokio::pin!(end);
                loop {
                    tokio::select! {
                        () = &mut end => break,
                        _ = hang_up.recv() => server.reload(),
                    }
                }
                server.shut_down().await;
            }
        }
        tracing::info!("ended");
        Ok(())
    })
}

fn configure(flags: &Flags) -> anyhow::Result<Config> {
    let mut config = match (&flags.config, &flags.personal) {
        (Some(file), _) => Config::read(file)?,
        // The host's server is another one.
        (None, Some(home)) => Config { cache: personal::cache_dir(home), ..Config::default() },
        (None, None) => Config::read_default()?,
    };
    if let Some(listen) = flags.listen {
        config.listen = listen;
    }
    if let Some(directory) = &flags.directory {
        config.directory.clone_from(directory);
    }
    if let Some(cache) = &flags.cache {
        config.cache.clone_from(cache);
    }
    if let Some(urls) = &flags.debuginfod_urls {
        config.debuginfo.urls = split_urls(urls);
    }
    config.debuginfo.directories.extend(flags.debuginfo_directory.iter().cloned());
    if let Some(deadline_ms) = flags.deadline_ms {
        config.job.deadline_ms = deadline_ms;
    }
    Ok(config)
}

/// Ends with SIGTERM or SIGINT.
fn told_to_end() -> std::io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
