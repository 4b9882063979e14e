//! Lists the files of `tapset/`, so that they become part of the program.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=tapset");
    let root = fs::canonicalize("tapset")?;
    let mut files = Vec::new();
    collect(&root, &mut files)?;
    files.sort();
    let mut list = "&[".to_owned();
    for file in &files {
        let name = Path::new("tapset").join(file.strip_prefix(&root).map_err(io::Error::other)?);
        let (name, path) = (name.display().to_string(), file.display().to_string());
        write!(list, "LibraryFile {{ name: {name:?}, text: include_str!({path:?}) }}, ").map_err(io::Error::other)?;
    }
    list.push(']');
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo names no OUT_DIR"))?;
    fs::write(Path::new(&out).join("tapset.rs"), list)
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "stp" || extension == "stpm") {
            files.push(path);
        }
    }
    Ok(())
}
