//! The scripts that the package installed, and how upstream's own tests call each: its arguments, whether it is in guru mode,
//! and with which library. A `.meta` file beside a script says that, in a line such as `test_check: stap -gp4 psig.stp -x $$`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use harness::process;
use shared::protocol::request::Text;

use crate::ledger::Ledger;

/// Debian's package.
pub(crate) const PACKAGE: &str = "systemtap-doc";

/// Where the package puts scripts; what follows is the name of a script.
const PLACES: [&str; 2] = ["/usr/share/systemtap/", "/usr/share/doc/systemtap/"];

/// A script and how it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Script {
    /// `examples/general/ansi_colors.stp`
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    /// `$1`, `$2` and so on.
    pub(crate) arguments: Vec<String>,
    /// `-g`
    pub(crate) guru: bool,
    /// The files of the directory that `-I` names.
    pub(crate) library: Vec<Text>,
}

/// The version of the package that is installed.
pub(crate) fn version() -> Result<String> {
    let shown = process::output(Command::new("dpkg-query").args(["-W", "-f", "${Version}", PACKAGE]))?;
    Ok(String::from_utf8_lossy(&shown).into_owned())
}

/// All scripts of the package, sorted by name.
pub(crate) fn installed(ledger: &Ledger) -> Result<Vec<Script>> {
    let files = process::output(Command::new("dpkg-query").args(["-L", PACKAGE]))?;
    let files = String::from_utf8_lossy(&files);
    let named = files.lines().filter_map(|path| {
        let name = PLACES.iter().find_map(|place| path.strip_prefix(place))?;
        let name = name.strip_suffix(".gz").unwrap_or(name);
        name.ends_with(".stp").then_some((name, Path::new(path)))
    });
    let mut scripts = named.map(|(name, path)| Script::read(name, path, ledger)).collect::<Result<Vec<_>>>()?;
    scripts.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(scripts)
}

impl Script {
    fn read(name: &str, path: &Path, ledger: &Ledger) -> Result<Self> {
        let call = call(path)?;
        let arguments = ledger.arguments.get(name).cloned().unwrap_or(call.arguments);
        let library = match (&call.library, path.parent()) {
            (Some(directory), Some(parent)) => library(&parent.join(directory))?,
            _ => Vec::new(),
        };
        Ok(Self {
            name: name.to_owned(),
            path: path.to_owned(),
            text: text(path)?,
            arguments,
            guru: call.guru,
            library,
        })
    }
}

/// A file's text, unpacked where Debian has packed it.
fn text(path: &Path) -> Result<String> {
    let bytes = match path.extension().is_some_and(|extension| extension == "gz") {
        true => process::output(Command::new("gzip").arg("-dc").arg(path))?,
        false => std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?,
    };
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The files of script in a directory, sorted by name.
fn library(directory: &Path) -> Result<Vec<Text>> {
    let entries = std::fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "stp" || extension == "stpm"));
    paths.sort();
    paths.iter().map(|path| Ok(Text { name: path.display().to_string(), text: text(path)? })).collect()
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Call {
    arguments: Vec<String>,
    guru: bool,
    library: Option<String>,
}

/// How upstream's tests call a script; without anything where they do not.
fn call(path: &Path) -> Result<Call> {
    let meta = path.with_extension("meta");
    if !meta.exists() {
        return Ok(Call::default());
    }
    let script = path.file_name().unwrap_or_default().to_string_lossy();
    let meta = text(&meta)?;
    let lines = meta.lines().filter_map(|line| line.strip_prefix("test_check:"));
    let mut calls = lines.filter_map(|line| read_call(line, &script));
    Ok(calls.next().unwrap_or_default())
}

/// `stap -gp4 psig.stp -x $$`
fn read_call(line: &str, script: &str) -> Option<Call> {
    let words = words(line);
    let mut words = words.iter().map(String::as_str);
    words.find(|word| *word == "stap")?;
    let mut call = Call::default();
    let mut is_behind_script = false;
    while let Some(word) = words.next() {
        match word.strip_prefix('-') {
            Some(letters) if !letters.starts_with('-') => {
                call.guru |= letters.chars().take_while(|letter| !TAKE_A_VALUE.contains(*letter)).any(|it| it == 'g');
                call.library = call.library.or_else(|| Some(letters.strip_prefix('I')?.to_owned()));
                // The value is another word where nothing follows the letter.
                if letters.ends_with(TAKE_A_VALUE_OF_THEIR_OWN) {
                    words.next();
                }
            }
            Some(_) => {}
            None if is_behind_script => call.arguments.push(word.to_owned()),
            None => is_behind_script = word == script,
        }
    }
    is_behind_script.then_some(call)
}

/// Options of stap(1) with a value; letters behind them are theirs.
const TAKE_A_VALUE: &str = "BcdDGILmoprRsSTx";

/// Those whose value upstream's tests write as a word of its own.
const TAKE_A_VALUE_OF_THEIR_OWN: [char; 4] = ['c', 'd', 'o', 'x'];

/// The words of a shell's command line. What is to be run or looked up is left as it is written.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (None, ' ' | '\t') => words.extend(word.take()),
            (None, '\'' | '"' | '`') => quote = Some(letter),
            (Some(open), _) if open == letter => quote = None,
            (Some('"') | None, '\\') => word.get_or_insert_default().extend(letters.next()),
            _ => word.get_or_insert_default().push(letter),
        }
        if quote.is_some() {
            word.get_or_insert_default();
        }
    }
    words.extend(word);
    words
}
