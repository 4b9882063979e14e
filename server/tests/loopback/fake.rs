//! A compiler that does what the first word of the script says. It runs in worker processes of this very test program.

use compiler::debuginfo::index::Index;
use compiler::world::{DebuginfoFile, World};
use compiler::{Compilation, DebuginfoNeed, InternalError, Object, Request, Stage};
use shared::artifact::manifest::{Claims, Digest, KernelClaim};
use shared::diagnostic::Report;
use shared::ir::Ir;
use shared::target::FactQuery;
use shared::trust::Privilege;

/// What takes the place of [`compiler::compile`].
pub(crate) fn compile(request: &Request<'_>, world: &dyn World) -> Result<Compilation, InternalError> {
    world.entered(Stage::Parse);
    let mut words = request.script.split_whitespace();
    let verb = words.next().unwrap_or_default();
    let object = words.next().unwrap_or_default();
    world.entered(Stage::Elaborate);
    Ok(match verb {
        "text" => text(object),
        "process" => text(std::process::id().to_string()),
        "artifact" => artifact(request, object.parse().unwrap_or_default()),
        "lie" => lie(request, object),
        "refuse" => Compilation::Refused(Report::default()),
        "ask" if request.facts.is_empty() => Compilation::NeedFacts(vec![FactQuery::Elf { path: object.to_owned() }]),
        "ask" => text(format!("{:?}", request.facts)),
        "read" => read_debuginfo(request, world),
        "index" => text(match world.index(&request.target.kernel).map(Index::open) {
            Some(index) => format!("{:?}", index.map(|index| index.is_intact())),
            None => "none".to_owned(),
        }),
        "insist" => Compilation::NeedDebuginfo(vec![need(request)]),
        "break" => return Err(InternalError { stage: Stage::Codegen, message: "out of registers".to_owned() }),
        "panic" => panic!("so be it"),
        "abort" => std::process::abort(),
        "recurse" => text(recurse(0).to_string()),
        "loop" => loop {
            std::hint::spin_loop();
        },
        "dawdle" => {
            let began = std::time::Instant::now();
            while began.elapsed() < std::time::Duration::from_millis(500) {
                std::hint::spin_loop();
            }
            text(std::process::id().to_string())
        }
        "eat" => text(vec![1u8; 8 << 30].len().to_string()),
        "escape" => text(escape()),
        _ => text("?"),
    })
}

fn text(text: impl Into<String>) -> Compilation {
    Compilation::Text(text.into(), Report::default())
}

fn claims(request: &Request<'_>, elf: &[u8], privilege: Privilege) -> Claims {
    let target = request.target;
    Claims {
        script_name: request.script_name.to_owned(),
        script_digest: Digest::of(request.script.as_bytes()),
        elf_digest: Digest::of(elf),
        kernel: KernelClaim {
            architecture: target.architecture,
            release: target.release.clone(),
            build_id: target.kernel.clone(),
        },
        privilege,
        guru: request.guru,
        parameters: Vec::new(),
        ir: Ir::default(),
    }
}

fn artifact(request: &Request<'_>, privilege: Privilege) -> Compilation {
    let elf = b"an ELF object".to_vec();
    let claims = claims(request, &elf, privilege);
    Compilation::Object(Box::new(Object { claims, elf }), Report::default())
}

/// As a worker that was taken over would.
fn lie(request: &Request<'_>, about: &str) -> Compilation {
    let elf = b"an ELF object".to_vec();
    let mut claims = claims(request, &elf, Privilege::Stapusr);
    match about {
        "script" => claims.script_digest = Digest([0; 32]),
        "program" => claims.elf_digest = Digest([0; 32]),
        "kernel" => claims.kernel.build_id = "ffff".parse().expect("a build id"),
        "guru" => claims.guru = !claims.guru,
        _ => claims.kernel.release = "0".to_owned(),
    }
    Compilation::Object(Box::new(Object { claims, elf }), Report::default())
}

fn need(request: &Request<'_>) -> DebuginfoNeed {
    DebuginfoNeed { object: "the kernel".to_owned(), build_id: request.target.kernel.clone() }
}

fn read_debuginfo(request: &Request<'_>, world: &dyn World) -> Compilation {
    match world.debuginfo(&request.target.kernel) {
        DebuginfoFile::Bytes(bytes) => text(format!("{:?} and {} bytes", &bytes[1..4], bytes.len() - 4)),
        DebuginfoFile::Missing => Compilation::DebuginfoMissing(need(request)),
        DebuginfoFile::NotHere => Compilation::NeedDebuginfo(vec![need(request)]),
    }
}

#[expect(unconditional_recursion, reason = "that is the point")]
fn recurse(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 100]);
    recurse(depth + 1) + frame[50]
}

/// Tries everything a worker must not be able to do, and says what worked.
fn escape() -> String {
    let tries: [(&str, bool); 8] = [
        ("read a file", std::fs::read("/etc/passwd").is_ok()),
        ("write a file", std::fs::write("/tmp/tapwire-escaped", "x").is_ok()),
        ("list a directory", std::fs::read_dir("/").is_ok()),
        ("connect", std::net::TcpStream::connect("127.0.0.1:1").is_err_and(|error| error.raw_os_error() != Some(1))),
        ("listen", std::net::UdpSocket::bind("127.0.0.1:0").is_ok()),
        ("start a program", std::process::Command::new("/bin/true").spawn().is_ok()),
        ("start a thread", std::thread::Builder::new().spawn(|| ()).is_ok()),
        ("read the environment", std::env::vars_os().next().is_some()),
    ];
    let worked: Vec<&str> = tries.into_iter().filter(|(_, worked)| *worked).map(|(what, _)| what).collect();
    if worked.is_empty() { "nothing worked".to_owned() } else { worked.join(", ") }
}
