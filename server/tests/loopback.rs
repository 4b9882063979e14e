//! Two real endpoints on loopback: what a client gets for good and for bad requests.
//!
//! The compiler is a fake one, in worker processes as on a real server. This program is the worker as well, which is why it has
//! a `main` of its own.

#[path = "elf_file/mod.rs"]
mod elf_file;
#[path = "loopback/fake.rs"]
mod fake;
#[path = "loopback/farm.rs"]
mod farm;
#[path = "loopback/refused.rs"]
mod refused;
#[path = "loopback/served.rs"]
mod served;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use server::job::worker;

/// Makes a test of an async function: its name is the test's.
macro_rules! trials {
    ($($module:ident: $($name:ident)+;)+) => {
        vec![$($(Trial::test(concat!(stringify!($module), "::", stringify!($name)), || run($module::$name()))),+),+]
    };
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).is_some_and(|argument| argument == worker::COMMAND) {
        let memory_bytes_max = arguments.get(2).and_then(|argument| argument.parse().ok()).expect("a number");
        return worker::main(memory_bytes_max, fake::compile);
    }
    let trials = trials! {
        served: a_request_is_answered an_artifact_is_what_its_signer_vouches_for a_repeated_request_needs_no_worker
            a_repeated_request_needs_no_worker_after_a_restart requests_at_once_are_one_compile
            many_requests_go_over_one_connection facts_are_asked_for debuginfo_of_this_host_is_found_and_mapped
            debuginfo_is_indexed_once_it_was_used missing_debuginfo_is_told_with_every_place_tried a_server_of_ones_own_starts_and_ends
            a_client_that_leaves_takes_nobodys_answer_along a_client_that_leaves_frees_its_worker
            a_client_that_is_authorised_later_gets_in what_is_under_way_ends_before_the_server_does;
        refused: a_stranger_does_not_get_in an_expired_client_does_not_get_in a_revoked_client_does_not_get_in
            a_certificate_signed_by_a_client_is_not_a_clients a_revoked_client_gets_no_further_answer
            another_protocol_does_not_get_in a_client_does_not_talk_to_a_foreign_server
            more_connections_than_allowed_are_refused an_oversized_frame_closes garbage_closes
            bytes_behind_a_request_close a_request_that_breaks_off_closes a_request_that_never_ends_closes
            a_script_that_is_too_large_closes guru_mode_needs_stapdev a_script_needs_its_privilege
            what_was_not_asked_for_is_not_signed a_deadline_ends_the_compile a_crash_is_told_and_the_request_kept
            memory_is_bounded a_compile_that_goes_in_circles_ends a_compile_can_only_compute
            a_key_that_others_may_read_is_not_used;
    };
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn run(test: impl Future<Output = ()>) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(test);
    Ok(())
}
