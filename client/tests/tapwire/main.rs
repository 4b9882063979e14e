//! `tapwire` from outside: as a library that asks a server over loopback, and as a program whose words are compared with
//! `snapshots/`. `BLESS=1 cargo test` rewrites these; what changed is then what `git diff` shows.

mod command;
mod fake_server;
mod personal;
mod program;
mod samples;
mod submit;
