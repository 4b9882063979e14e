//! The configuration that the running kernel was built with, where a distribution leaves it. Nothing here knows what an option
//! means.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};

use flate2::read::GzDecoder;
use shared::limits::KERNEL_CONFIG_BYTES_MAX;

/// What is set: each option with its value as the file has it.
///
/// # Errors
/// With the reason why it is not known, where no file can be read.
pub(super) fn open() -> Result<BTreeMap<String, String>, String> {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let plain = [format!("/boot/config-{release}"), format!("/lib/modules/{release}/config")];
    let found = plain.iter().find_map(|path| text(File::open(path).ok()?).ok());
    // With CONFIG_IKCONFIG_PROC.
    let found = found.or_else(|| text(GzDecoder::new(File::open("/proc/config.gz").ok()?)).ok());
    match found {
        Some(text) => Ok(options(&text)),
        None => Err(format!("there is neither {} nor /proc/config.gz", plain.join(" nor "))),
    }
}

fn text(file: impl Read) -> io::Result<String> {
    let mut text = String::new();
    file.take(KERNEL_CONFIG_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// `CONFIG_SMP=y`; other lines are comments.
fn options(text: &str) -> BTreeMap<String, String> {
    let set = text.lines().filter(|line| line.starts_with("CONFIG_")).filter_map(|line| line.split_once('='));
    set.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_read_and_comments_are_not() {
        let text = "#\n# General\n#\nCONFIG_SMP=y\n# CONFIG_KCOV is not set\nCONFIG_HZ=250\nCONFIG_NAME=\"a=b\"\n";
        let got = options(text);
        let expected = [("CONFIG_HZ", "250"), ("CONFIG_NAME", "\"a=b\""), ("CONFIG_SMP", "y")];
        assert!(got.iter().map(|(name, value)| (name.as_str(), value.as_str())).eq(expected), "{got:?}");
    }
}
