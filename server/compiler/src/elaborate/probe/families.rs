//! Families of probe points that SystemTap has and this version does not: who uses one is told so, and what to do instead
//! where there is a way, rather than that it is unknown.

use shared::diagnostic::Diagnostic;

use crate::ast::{Component, ProbePoint};

/// A family: how its points start, with `()` for an argument, and what to know of it.
struct Family {
    start: &'static str,
    state: State,
    advice: &'static str,
}

/// Whether there is hope.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It comes with a later version.
    Later,
    /// It cannot be had with eBPF.
    Never,
    /// SystemTap has removed it as well.
    Gone,
}

use State::{Gone, Later, Never};

const fn family(start: &'static str, state: State, advice: &'static str) -> Family {
    Family { start, state, advice }
}

/// Where two of them fit, the longer one counts.
const FAMILIES: &[Family] = &[
    family("error", Later, "catch errors where they happen: `try { … } catch (message) { … }`"),
    family("timer.hz()", Later, "write `timer.ms(N)`, with N = 1000 / hertz"),
    family("timer.jiffies()", Later, "write `timer.ms(N)`"),
    family("timer.profile", Later, "it needs a perf event on every processor"),
    family("timer.*().randomize()", Later, "leave `.randomize` out: the interval is then fixed"),
    family("kernel.function().callee", Later, "probe the callee, and compare with its caller there"),
    family("kernel.function().callees", Later, "probe the callees by their names"),
    family("kernel.function().inline", Later, "probe a caller of the function"),
    family("kernel.function().exported", Later, "leave `.exported` out where the function has that name only"),
    family("kernel.function().label", Later, "it needs the places of labels in debuginfo"),
    family("kernel.function().return.maxactive()", Later, "leave `.maxactive` out: the kernel chooses a number"),
    family("kernel.statement()", Later, "probe the function: `kernel.function(\"f\")`"),
    family("kernel.tracepoint()", Later, "write `kernel.trace(\"name\")`"),
    family("kernel.data()", Later, "it needs a hardware watchpoint"),
    family("kernel.lsm()", Later, "it needs a BPF LSM program"),
    family("kernel.mark()", Gone, "write `kernel.trace(\"name\")`"),
    family("module()", Later, "it needs the debuginfo and the address of the module"),
    family("kprobe.function()", Later, "write `kernel.function(\"f\")`"),
    family("kprobe.module()", Later, "it needs the address of the module"),
    family("kprobe.statement()", Later, "write `kernel.function(\"f\")`"),
    family("process", Later, "name the program: `process(\"path\").function(\"f\")`"),
    family("process().statement()", Later, "probe the function: `process(\"path\").function(\"f\")`"),
    family("process().function().callee", Later, "probe the callee, and compare with its caller there"),
    family("process().function().callees", Later, "probe the callees by their names"),
    family("process().function().inline", Later, "probe a caller of the function"),
    family("process().function().exported", Later, "leave `.exported` out where the function has that name only"),
    family("process().function().label", Later, "it needs the places of labels in debuginfo"),
    family("process().mark()", Later, "it needs the markers (SDT notes) of the program"),
    family("process().provider()", Later, "it needs the markers (SDT notes) of the program"),
    family("process().plt", Later, "probe the function in its library: `process(\"lib.so\").function(\"f\")`"),
    family("process().library()", Later, "name the library as the program: `process(\"lib.so\").function(\"f\")`"),
    family("process().begin", Later, "write `kernel.trace(\"sched_process_exec\")`"),
    family("process().end", Later, "write `kernel.trace(\"sched_process_exit\")`"),
    family(
        "process().thread",
        Later,
        "write `kernel.trace(\"sched_process_fork\")` or `kernel.trace(\"sched_process_exit\")`",
    ),
    family("process().syscall", Later, "write `kernel.trace(\"sys_enter\")` or `kernel.trace(\"sys_exit\")`"),
    family("process().data()", Later, "it needs a hardware watchpoint"),
    family("process().insn", Gone, "it stepped through every instruction; probe functions"),
    family("perf", Later, "it needs a perf event on every processor"),
    family("procfs", Later, "print from a timer probe"),
    family("input", Later, "it needs a channel to the running script"),
    family("prometheus", Later, "print from a timer probe"),
    family("json_data", Later, "print from a timer probe"),
    family("netfilter", Later, "probe the function that handles the packet, for example `kernel.function(\"ip_rcv\")`"),
    family("python2", Gone, "it was for a language that is no more"),
    family("python3", Never, "it needs a helper inside the interpreter; probe the interpreter's markers"),
    family("java", Never, "it needs a helper inside the virtual machine; probe its markers"),
    family("debuginfod", Later, "name the program: `process(\"path\")`"),
    family("syscall", Later, "write `kernel.trace(\"sys_enter\")` or `kernel.trace(\"sys_exit\")`"),
    family("nd_syscall", Later, "write `kernel.trace(\"sys_enter\")` or `kernel.trace(\"sys_exit\")`"),
    family("dw_syscall", Later, "write `kernel.trace(\"sys_enter\")` or `kernel.trace(\"sys_exit\")`"),
    family("tp_syscall", Later, "write `kernel.trace(\"sys_enter\")` or `kernel.trace(\"sys_exit\")`"),
    family("syscall_any", Later, "write `kernel.trace(\"sys_enter\")` or `kernel.trace(\"sys_exit\")`"),
    family("lsm", Later, "it needs a BPF LSM program"),
];

/// Refuses a point of a family; nothing where it is of none.
pub(super) fn refuse(written: &ProbePoint) -> Option<Diagnostic> {
    let fits = FAMILIES.iter().filter(|family| family.starts(&written.components));
    let family = fits.max_by_key(|family| family.start.split('.').count())?;
    let named = family.start.replace("*()", "s()");
    let message = match family.state {
        Later => format!("`{named}` probes are not supported by this version"),
        Never => format!("`{named}` probes cannot be had with eBPF"),
        Gone => format!("`{named}` probes are no more, in SystemTap neither"),
    };
    Some(Diagnostic::error("elaborate/probe-family", written.span, message).help(family.advice))
}

impl Family {
    fn starts(&self, written: &[Component]) -> bool {
        let mut written = written.iter();
        self.start.split('.').all(|known| {
            written.next().is_some_and(|component| match known.strip_suffix("()") {
                Some("*") => component.argument.is_some(),
                Some(name) => component.name.text == name && component.argument.is_some(),
                None => component.name.text == known,
            })
        })
    }
}
