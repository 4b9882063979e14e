//! What a host with one of Debian's kernels would say of itself, for compiling without such a host: a facts file.

use std::process::Command;

use anyhow::{Context, Result};

use crate::debuginfod::build_id;
use crate::packages::Unpacked;
use crate::process;

/// The text of a facts file, as `tapwire facts` writes it, of a host that runs `kernel`.
///
/// # Errors
/// When the kernel's build id cannot be read.
pub fn of_kernel(kernel: &Unpacked) -> Result<String> {
    let mut objcopy = Command::new("objcopy");
    objcopy.args(["-O", "binary", "--only-section=.notes"]).arg(kernel.vmlinux()).arg("/dev/stdout");
    let id = build_id(&process::output(&mut objcopy)?).context("vmlinux has no build id")?;
    Ok(format!(
        r#"tracepoints = ["sched_switch", "sched_wakeup", "sys_enter"]

[target]
architecture = "x86_64"
release = "{}"
kernel = "{id}"
features = ["kprobe", "uprobe", "raw_tracepoint", "ring_buffer", "attach_cookie", "snprintf", "tai_clock"]
"#,
        kernel.release
    ))
}
