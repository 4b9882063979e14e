//! The support matrix, `vagrant/kernels.toml`: which kernels there are to test on.

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::workspace;

/// One kernel of the support matrix.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    /// What the command line calls it; for a guest, the release up to the second number: `6.12`.
    pub name: String,
    /// For people.
    pub what: String,
    /// Debian's meta packages that lead to the image, in order of preference. None for the host's own kernel.
    #[serde(default)]
    pub packages: Vec<String>,
}

/// The whole matrix, in the file's order.
///
/// # Errors
/// When the file cannot be read or is not what its head says.
pub fn matrix() -> Result<Vec<Kernel>> {
    #[derive(Deserialize)]
    struct Matrix {
        kernel: Vec<Kernel>,
    }
    let path = workspace::root().join("vagrant/kernels.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let matrix: Matrix = toml::from_str(&text).with_context(|| format!("cannot understand {}", path.display()))?;
    Ok(matrix.kernel)
}

/// The kernels that run as guests.
///
/// # Errors
/// As [`matrix`].
pub fn guests() -> Result<Vec<Kernel>> {
    Ok(matrix()?.into_iter().filter(|kernel| !kernel.packages.is_empty()).collect())
}

/// The guest kernel called `name`.
///
/// # Errors
/// As [`matrix`], and when there is none of that name.
pub fn guest(name: &str) -> Result<Kernel> {
    let guests = guests()?;
    let names = guests.iter().map(|kernel| kernel.name.clone()).collect::<Vec<_>>().join(", ");
    match guests.into_iter().find(|kernel| kernel.name == name) {
        Some(kernel) => Ok(kernel),
        None => bail!("no guest kernel {name}: vagrant/kernels.toml has {names}"),
    }
}
