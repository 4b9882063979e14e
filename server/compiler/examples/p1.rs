//! scratch
#![allow(missing_docs, clippy::all)]
use compiler::parse::*;
use compiler::source::Sources;
use std::time::Instant;
fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut macros = Macros::default();
    let config: std::collections::BTreeMap<String, String> =
        [("CONFIG_X86_64", "y"), ("CONFIG_FOO", "\"y\""), ("CONFIG_UTRACE", "n"), ("CONFIG_64BIT", "y")]
            .into_iter()
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .collect();
    let mut files = vec![];
    let mut sargs: Vec<String> = vec![];
    let mut guru = false;
    let mut user = true;
    let mut compat = SYSTEMTAP_VERSION.to_owned();
    let mut stpm = vec![];
    let mut quiet = false;
    let mut text = None;
    let mut it = args.into_iter();
    while let Some(a) = it.next() {
        match a.as_str() {
            "-g" => guru = true,
            "-t" => user = false,
            "-q" => quiet = true,
            "-c" => compat = it.next().unwrap(),
            "-m" => stpm.push(it.next().unwrap()),
            "-a" => sargs.push(it.next().unwrap()),
            "-e" => text = Some(it.next().unwrap()),
            _ => files.push(a),
        }
    }
    let empty = Macros::default();
    let mut lib = Sources::default();
    {
        let env = Environment {
            kernel_release: "6.1.0-56-cloud-amd64",
            architecture: "x86_64",
            config: Some(&config),
            runtime: "kernel",
            privilege: shared::trust::Privilege::Stapdev,
            guru,
            compatible: &compat,
            arguments: &sargs,
            macros: &empty,
            user_script: false,
        };
        for f in &stpm {
            let t = std::fs::read_to_string(f).unwrap();
            let id = lib.add(f.clone(), t);
            let d = define_macros(&mut lib, id, &env, &mut macros);
            if !d.is_empty() {
                show(&lib.report(d));
            }
        }
    }
    let env = Environment {
        kernel_release: "6.1.0-56-cloud-amd64",
        architecture: "x86_64",
        config: Some(&config),
        runtime: "kernel",
        privilege: shared::trust::Privilege::Stapdev,
        guru,
        compatible: &compat,
        arguments: &sargs,
        macros: &macros,
        user_script: user,
    };
    let texts: Vec<(String, String)> = match text {
        Some(t) => vec![("<input>".into(), t)],
        None => files
            .into_iter()
            .map(|f| {
                let t = String::from_utf8_lossy(&std::fs::read(&f).unwrap()).into_owned();
                (f, t)
            })
            .collect(),
    };
    let mut ok = 0;
    for (f, t) in texts {
        let mut s = lib.clone();
        let id = s.add(f.clone(), t);
        let start = Instant::now();
        let (tree, d) = parse(&mut s, id, &env);
        let el = start.elapsed();
        let printed = tree.to_string();
        let bad = d.iter().any(|d| d.severity == shared::diagnostic::Severity::Error);
        let emb = d.iter().any(|d| d.code == "parse/embedded-c");
        let only = d.iter().all(|d| d.code == "parse/embedded-c" || d.severity != shared::diagnostic::Severity::Error);
        let mut s2 = lib.clone();
        let id2 = s2.add("again", printed.clone());
        let (tree2, d2) = parse(&mut s2, id2, &env);
        let rt = tree2.to_string() == printed && d2.iter().all(|d| d.severity != shared::diagnostic::Severity::Error);
        if bad && !only {
            println!("BAD {f}");
            show(&s.report(d));
        } else if emb {
            println!("EMB {f}");
        } else {
            ok += 1;
            if !d.is_empty() {
                show(&s.report(d));
            }
            if !quiet {
                println!("OK {f} {el:?}\n{printed}");
            } else {
                println!("OK {f} {el:?}");
            }
        }
        if !bad && !rt {
            println!("ROUNDTRIP {f}");
            show(&s2.report(d2));
        }
    }
}
fn show(r: &shared::diagnostic::Report) {
    let mut s = Sources::default();
    for x in &r.sources {
        s.add(x.name.clone(), x.text.clone());
    }
    for d in &r.diagnostics {
        println!("  {:?}[{}] {}", d.severity, d.code, d.message);
        for l in &d.labels {
            let p = s.line_column(l.span);
            println!("    --> {}:{}:{} `{}` {}", s.get(l.span.source).name, p.line, p.column, s.text(l.span), l.text);
        }
        for n in &d.notes {
            println!("    = {n:?}");
        }
    }
}
