//! What a line of script costs: generated scripts of 500, 5,000 and 50,000 lines through pass 1 and through pass 2, which
//! looks into no debuginfo here. Ten times the lines should take ten times as long.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::{Figure, served};
use crate::client::Client;
use crate::kernels;
use crate::packages;
use crate::tapwired::{Debuginfo, Tapwired};
use crate::workspace::Profile;

/// How often everything is measured.
const ROUNDS: usize = 7;

/// How long the scripts are.
const LINES: [usize; 3] = [500, 5_000, 50_000];

/// Passes that are measured, by the option that ends behind them.
const PASSES: [&str; 2] = ["-p1", "-p2"];

/// What is to be reached by which script through which pass.
const GOAL: (usize, &str, Duration) = (5_000, "-p2", Duration::from_millis(200));

/// Measures.
///
/// # Errors
/// When the kernel cannot be had, or a script does not pass.
pub fn run() -> Result<()> {
    let kernel = packages::fetch(&kernels::guest("6.1")?)?;
    let client = Client::build(&kernel, Profile::Release)?;
    let server = Tapwired::start(Debuginfo { urls: &[], directories: &[] }, Profile::Release)?;
    client.meet(&server)?;
    let mut figures = PASSES.map(|pass| LINES.map(|lines| figure(pass, lines)));
    for round in 0..ROUNDS {
        for (index, lines) in LINES.into_iter().enumerate() {
            std::fs::write(client.home().join(FILE), script(lines, round)?)?;
            for (pass, figures) in PASSES.into_iter().zip(&mut figures) {
                let (at_server, _) = served(&server, client.tapwire(&server).args([pass, FILE]))?;
                figures[index].rounds.push(at_server);
            }
        }
    }
    println!("at the server, from request to answer, medians of {ROUNDS} rounds");
    for figures in &figures {
        figures.iter().for_each(|figure| println!("{figure}"));
        for pair in figures.windows(2) {
            println!("{:<44} ratio {:.2}", format!("{} / {}", pair[1].what, pair[0].what), pair[1].ratio(&pair[0]));
        }
    }
    Ok(())
}

const FILE: &str = "bench.stp";

fn figure(pass: &str, lines: usize) -> Figure {
    let figure = Figure::new(&format!("{pass}, {lines} lines"));
    let (goal_lines, goal_pass, goal) = GOAL;
    if (goal_lines, goal_pass) == (lines, pass) { figure.with_goal(goal) } else { figure }
}

/// A script of so many lines, of all kinds of statements, which no other round has.
fn script(lines_count: usize, round: usize) -> Result<String> {
    let mut script = format!("global never = {}\n", 1_000_000 + round);
    let part_lines = part(0)?.lines().count();
    for index in 0..lines_count / part_lines {
        script.push_str(&part(index)?);
    }
    let missing = lines_count.saturating_sub(script.lines().count());
    script.push_str(&"# padded\n".repeat(missing));
    ensure!(script.lines().count() == lines_count, "{} lines", script.lines().count());
    Ok(script)
}

/// Declarations as people write them, with names of their own.
fn part(index: usize) -> Result<String> {
    let mut text = String::new();
    write!(
        text,
        r#"
# part {index} counts what it sees, and by whom
global seen_{index}[100], total_{index}, last_{index} = "nobody"

function weigh_{index}:long(size:long, name:string) {{
  weight = size * 3 + {index}
  while (weight > 4096 && weight % 7 != 0)
    weight = (weight >> 1) ^ 0x2a
  if (name == "init" || weight < 0) {{
    return 0
  }} else if (weight == 1)
    return -1
  return weight
}}

probe timer.s({seconds}) {{
  name = execname() . "/{index}"
  weight = weigh_{index}(pid() + never, name)
  if (weight) {{
    seen_{index}[name, pid()] += weight
    total_{index}++
    last_{index} = name
  }}
  foreach ([who, id] in seen_{index}- limit 10)
    printf("%s %d %d\n", who, id, seen_{index}[who, id])
  printf("%s: %d, %x\n", last_{index}, total_{index}, total_{index} & 255)
  delete seen_{index}
}}
"#,
        seconds = index % 60 + 1
    )?;
    Ok(text)
}
