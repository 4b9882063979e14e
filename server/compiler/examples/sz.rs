//! x
#![allow(missing_docs)]
use compiler::parse::*;
use compiler::source::Sources;
fn run(o: &str, m: &str, c: &str) {
    let n = 3000;
    let text = format!("probe p {{ {}{m}{} }}", o.repeat(n), c.repeat(n));
    let macros = Macros::default();
    let env = Environment {
        kernel_release: "6",
        architecture: "x",
        config: None,
        runtime: "kernel",
        privilege: shared::trust::Privilege::Stapdev,
        guru: true,
        compatible: "5.6",
        arguments: &[],
        macros: &macros,
        user_script: true,
    };
    let mut s = Sources::default();
    let id = s.add("x", text);
    let (t, d) = parse(&mut s, id, &env);
    let p = t.to_string();
    let _ = (p.len(), d.len());
    let q = format!("{t:?}");
    let _ = q.len();
}
fn main() {
    let a: Vec<String> = std::env::args().collect();
    if a.len() > 2 {
        let kb: usize = a[5].parse().unwrap();
        let (o, m, c) = (a[2].clone(), a[3].clone(), a[4].clone());
        std::thread::Builder::new().stack_size(kb * 1024).spawn(move || run(&o, &m, &c)).unwrap().join().unwrap();
        return;
    }
    use compiler::ast::*;
    println!(
        "{} {} {} {}",
        size_of::<Expression>(),
        size_of::<ExpressionKind>(),
        size_of::<Statement>(),
        size_of::<Print>()
    );
    for (o, m, c) in [
        ("(", "1", ")"),
        ("-", "1", ""),
        ("a[", "1", "]"),
        ("print(", "1", ")"),
        ("@cast(", "1", ", \"t\")"),
        ("{", "1", "}"),
        ("if (1) ", "1", ""),
        ("if (1) 1; else ", "1", ""),
        ("[[", "1", "] in a] in a"),
        ("try { ", "1", " } catch { }"),
        ("1 ? ", "1", " : 1"),
        ("1 || ", "1", ""),
        ("", "1", " + 1"),
    ] {
        for kb in [64usize, 128, 256, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192] {
            let st = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["child", o, m, c, &kb.to_string()])
                .stderr(std::process::Stdio::null())
                .status()
                .unwrap();
            if st.success() {
                println!("{o:20} {kb} KB");
                break;
            }
        }
    }
}
