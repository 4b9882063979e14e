//! The text form of [`Bpf`]: instructions as the kernel's own disassembler writes them (kernel/bpf/disasm.c), with the
//! script's places between them.

use std::fmt::{self, Display};

use super::code::{Alu, EXCHANGE, FETCH, Helper, Jump, SOURCE_REGISTER, class, mode};
use super::{Bpf, Insn, MapDef, Program, Symbol};

impl Display for Bpf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.maps.iter().try_for_each(|map| writeln!(f, "{map}"))?;
        writeln!(f, "rodata {} bytes", self.rodata.len())?;
        self.programs.iter().try_for_each(|program| write!(f, "{program}"))
    }
}

impl Display for MapDef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { map, ty, key_size, value_size, entries_max, flags } = self;
        write!(
            f,
            "map {} type {ty} key {key_size} value {value_size} entries {entries_max} flags {flags:#x}",
            map.name()
        )
    }
}

impl Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "program {} in {}", self.name, self.section)?;
        let mut lines = self.lines.iter().peekable();
        for (index, insn) in self.insns.iter().enumerate() {
            if let Some(line) = lines.next_if(|line| line.insn == index) {
                writeln!(f, "  ;{}", line.location)?;
            }
            // The second slot of a two-slot instruction.
            if insn.code == 0 {
                continue;
            }
            let symbol = self.relocations.iter().find(|relocation| relocation.insn == index);
            let symbol = symbol.map(|relocation| relocation.symbol);
            writeln!(f, "{index:4}: {}", Shown { insn, next: self.insns.get(index + 1), symbol, index })?;
        }
        Ok(())
    }
}

impl Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Map(map) => f.write_str(&map.name()),
            Self::Rodata => f.write_str("rodata"),
        }
    }
}

struct Shown<'a> {
    insn: &'a Insn,
    next: Option<&'a Insn>,
    symbol: Option<Symbol>,
    index: usize,
}

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.insn.code & 0x07 {
            class::ALU | class::ALU64 => self.alu(f),
            class::JMP => self.jump(f),
            class::LD => self.wide(f),
            _ => self.memory(f),
        }
    }
}

impl Shown<'_> {
    fn alu(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let &Insn { code, dst, src, immediate, .. } = self.insn;
        let register = if code & 0x07 == class::ALU64 { 'r' } else { 'w' };
        let operand = if code & SOURCE_REGISTER == 0 { immediate.to_string() } else { format!("{register}{src}") };
        let sign = match Alu::of(code) {
            Some(Alu::Add) => "+=",
            Some(Alu::Sub) => "-=",
            Some(Alu::Mul) => "*=",
            Some(Alu::Div) => "/=",
            Some(Alu::Or) => "|=",
            Some(Alu::And) => "&=",
            Some(Alu::Lsh) => "<<=",
            Some(Alu::Rsh) => ">>=",
            Some(Alu::Mod) => "%=",
            Some(Alu::Xor) => "^=",
            Some(Alu::Mov) => "=",
            Some(Alu::Arsh) => "s>>=",
            Some(Alu::Neg) => return write!(f, "{register}{dst} = -{register}{dst}"),
            Some(Alu::End) => return write!(f, "r{dst} = be{immediate} r{dst}"),
            None => return write!(f, "unknown {code:#04x}"),
        };
        write!(f, "{register}{dst} {sign} {operand}")
    }

    fn jump(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let &Insn { code, dst, src, offset, immediate } = self.insn;
        let target = self.index as i64 + 1 + i64::from(offset);
        let sign = match Jump::of(code) {
            Some(Jump::Always) => return write!(f, "goto {target}"),
            Some(Jump::Exit) => return write!(f, "exit"),
            Some(Jump::May) => return write!(f, "may_goto {target}"),
            Some(Jump::Call) => {
                let name = Helper::of(immediate).map_or("unknown", Helper::name);
                return write!(f, "call {name}#{immediate}");
            }
            Some(Jump::Eq) => "==",
            Some(Jump::Ne) => "!=",
            Some(Jump::Gt) => ">",
            Some(Jump::Ge) => ">=",
            Some(Jump::Lt) => "<",
            Some(Jump::Le) => "<=",
            Some(Jump::Sgt) => "s>",
            Some(Jump::Sge) => "s>=",
            Some(Jump::Slt) => "s<",
            Some(Jump::Sle) => "s<=",
            None => return write!(f, "unknown {code:#04x}"),
        };
        let operand = if code & SOURCE_REGISTER == 0 { immediate.to_string() } else { format!("r{src}") };
        write!(f, "if r{dst} {sign} {operand} goto {target}")
    }

    fn wide(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let &Insn { dst, immediate, .. } = self.insn;
        match self.symbol {
            Some(symbol @ Symbol::Map(_)) => write!(f, "r{dst} = {symbol}"),
            Some(symbol @ Symbol::Rodata) => write!(f, "r{dst} = {symbol} + {immediate}"),
            None => {
                let high = self.next.map_or(0, |next| next.immediate);
                write!(f, "r{dst} = {:#x} ll", u64::from(high as u32) << 32 | u64::from(immediate as u32))
            }
        }
    }

    fn memory(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let &Insn { code, dst, src, offset, immediate } = self.insn;
        let size = match code & 0x18 {
            0x00 => "u32",
            0x08 => "u16",
            0x10 => "u8",
            _ => "u64",
        };
        match (code & 0x07, code & 0xe0) {
            (class::LDX, _) => write!(f, "r{dst} = *({size} *)(r{src} {offset:+})"),
            (class::ST, _) => write!(f, "*({size} *)(r{dst} {offset:+}) = {immediate}"),
            (_, mode::ATOMIC) if immediate == EXCHANGE => {
                write!(f, "r{src} = atomic_xchg(({size} *)(r{dst} {offset:+}), r{src})")
            }
            (_, mode::ATOMIC) if immediate & FETCH != 0 => {
                write!(f, "r{src} = atomic_fetch_add(({size} *)(r{dst} {offset:+}), r{src})")
            }
            (_, mode::ATOMIC) => write!(f, "lock *({size} *)(r{dst} {offset:+}) += r{src}"),
            _ => write!(f, "*({size} *)(r{dst} {offset:+}) = r{src}"),
        }
    }
}
