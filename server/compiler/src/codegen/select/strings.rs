//! Strings: they lie in memory as [`shared::abi::value`] says, padded with zeros to whole words, so that most of what is done
//! with them is done a word at a time.

use bstr::BString;
use regalloc2::VReg;
use shared::abi::format::{Conversion, Extent, Format, Piece, Verb};
use shared::ir::{FormatId, Op, PointField, Relation, Type, Value};
use shared::target::Feature;

use super::{Home, Refusal, Result, Selector};
use crate::bpf::Symbol;
use crate::bpf::code::{Alu, Helper, Jump, Size};
use crate::codegen::draft::{Base, Inst, Slot, Source};

/// Words that are copied or compared one by one; what is longer is left to helpers and loops.
const WORDS_MAX: usize = 16;

/// A string at hand.
#[derive(Debug, Clone)]
pub(super) struct Text {
    place: TextPlace,
    /// Bytes at the most, without the NUL.
    bound: u16,
}

#[derive(Debug, Clone)]
enum TextPlace {
    /// Known when the code is generated.
    Literal(BString),
    /// In a slot of the frame.
    Frame(Slot),
    /// Behind a pointer.
    Pointer(VReg),
}

impl Text {
    pub(super) fn pointer(register: VReg, bound: u16) -> Self {
        Self { place: TextPlace::Pointer(register), bound }
    }

    fn literal(string: &[u8], bound: u16) -> Self {
        let cut = &string[..string.len().min(usize::from(bound))];
        Self { place: TextPlace::Literal(cut.into()), bound }
    }

    pub(super) fn frame(slot: Slot, bound: u16) -> Self {
        Self { place: TextPlace::Frame(slot), bound }
    }

    pub(super) fn is_literal(&self) -> bool {
        matches!(self.place, TextPlace::Literal(_))
    }

    pub(super) fn bound(&self) -> u16 {
        self.bound
    }

    pub(super) fn size(&self) -> usize {
        Type::String(self.bound).size()
    }
}

impl Selector<'_> {
    pub(super) fn string_op(&mut self, op: &Op, result: Value) -> Result {
        match op {
            Op::String(string) => {
                let text = Text::literal(string, self.bound(result));
                self.define_text(result, text);
            }
            Op::CompareStrings(relation, a, b) => {
                let (a, b) = (self.text(*a), self.text(*b));
                let register = match relation {
                    Relation::Equal | Relation::NotEqual => self.compare_equal(*relation, &a, &b),
                    _ => self.compare_order(*relation, &a, &b),
                };
                self.define(result, register);
            }
            Op::Concat(a, b) => {
                self.concat(*a, *b, result);
            }
            Op::Format(format, arguments) => self.format(*format, arguments, result)?,
            Op::Point(field) => self.point(*field, result)?,
            _ => {}
        }
        Ok(())
    }

    pub(super) fn bound(&self, value: Value) -> u16 {
        match self.function.ty(value) {
            Type::String(bound) => bound,
            Type::Long | Type::Iterator => 0,
        }
    }

    pub(super) fn text(&self, value: Value) -> Text {
        match &self.homes[value.0 as usize] {
            Some(Home::String(text)) => text.clone(),
            // The IR's verifier excludes the rest.
            _ => Text::literal(b"", 0),
        }
    }

    /// The address of a string, for helpers.
    pub(super) fn text_pointer(&mut self, text: &Text) -> VReg {
        match &text.place {
            TextPlace::Literal(string) => {
                let mut bytes = string.to_vec();
                bytes.resize(text.size(), 0);
                let offset = self.rodata.offset(bytes);
                self.address(Symbol::Rodata, offset)
            }
            TextPlace::Frame(slot) => self.frame(*slot),
            TextPlace::Pointer(register) => *register,
        }
    }

    /// The words of a string, by their index.
    fn word(&mut self, text: &Text, index: usize) -> Source {
        let offset = (index * 8) as i32;
        match &text.place {
            TextPlace::Literal(string) => {
                let mut bytes = [0; 8];
                let rest = string.get(index * 8..).unwrap_or(&[]);
                let count = rest.len().min(8);
                bytes[..count].copy_from_slice(&rest[..count]);
                let word = i64::from_le_bytes(bytes);
                i32::try_from(word).map_or_else(|_| Source::Register(self.immediate(word)), Source::Immediate)
            }
            TextPlace::Frame(slot) => Source::Register(self.load(Size::Dw, Base::Slot(*slot), offset)),
            TextPlace::Pointer(register) => Source::Register(self.load(Size::Dw, Base::Register(*register), offset)),
        }
    }

    pub(super) fn word_register(&mut self, text: &Text, index: usize) -> VReg {
        match self.word(text, index) {
            Source::Register(register) => register,
            Source::Immediate(word) => self.immediate(i64::from(word)),
        }
    }

    /// Writes a string to memory, cut to a bound and padded.
    pub(super) fn write_text(&mut self, text: &Text, base: Base, offset: i32, bound: u16) {
        let size = Type::String(bound).size();
        let copied = text.size().min(size);
        if copied <= WORDS_MAX * 8 {
            for index in 0..copied / 8 {
                let word = self.word(text, index);
                self.store(base, offset + (index * 8) as i32, word);
            }
        } else {
            let (to, from) = (self.pointer(base, offset), self.text_pointer(text));
            self.copy_bytes(to, from, copied);
        }
        self.clear(base, offset + copied as i32, size - copied);
        let (last, kept) = (usize::from(bound) / 8 * 8, usize::from(bound) % 8);
        if text.bound > bound {
            let at = offset + last as i32;
            let word = self.load(Size::Dw, base, at);
            let mask = self.immediate((1i64 << (kept * 8)) - 1);
            let word = self.alu(Alu::And, word, Source::Register(mask));
            self.store(base, at, Source::Register(word));
        }
    }

    /// The address of something in memory.
    fn pointer(&mut self, base: Base, offset: i32) -> VReg {
        let register = match base {
            Base::Register(register) => register,
            Base::Slot(slot) => self.frame(slot),
        };
        if offset == 0 { register } else { self.alu(Alu::Add, register, Source::Immediate(offset)) }
    }

    /// Copies many bytes: a helper does it faster than instructions.
    fn copy_bytes(&mut self, to: VReg, from: VReg, size: usize) {
        let size = self.immediate(size as i64);
        self.call_for_effect(Helper::ProbeReadKernel, &[to, size, from]);
    }

    /// Fills whole words with zeros.
    pub(super) fn clear(&mut self, base: Base, offset: i32, size: usize) {
        if size <= WORDS_MAX * 8 {
            (0..size).step_by(8).for_each(|at| self.store(base, offset + at as i32, Source::Immediate(0)));
        } else {
            let zeros = self.rodata.offset(vec![0; size]);
            let (to, from) = (self.pointer(base, offset), self.address(Symbol::Rodata, zeros));
            self.copy_bytes(to, from, size);
        }
    }

    /// A copy of a string in the frame, where it does not change any more.
    pub(super) fn copy_to_frame(&mut self, base: Base, offset: i32, bound: u16) -> Text {
        let slot = self.draft.new_slot(Type::String(bound).size());
        let pointer = self.pointer(base, offset);
        self.write_text(&Text::pointer(pointer, bound), Base::Slot(slot), 0, bound);
        Text { place: TextPlace::Frame(slot), bound }
    }

    /// The string with another bound: cut or padded, where that makes a difference.
    pub(super) fn fitted(&mut self, text: Text, bound: u16) -> Text {
        let size = Type::String(bound).size();
        match &text.place {
            TextPlace::Literal(string) => Text::literal(string, bound),
            _ if text.bound <= bound && text.size() == size => Text { bound, ..text },
            _ => {
                let slot = self.draft.new_slot(size);
                self.write_text(&text, Base::Slot(slot), 0, bound);
                Text { place: TextPlace::Frame(slot), bound }
            }
        }
    }

    /// A copy of a string that only the operation at hand needs.
    pub(super) fn copied(&mut self, text: &Text, bound: u16) -> Text {
        let slot = self.draft.new_transient_slot(Type::String(bound).size());
        self.write_text(text, Base::Slot(slot), 0, bound);
        Text { place: TextPlace::Frame(slot), bound }
    }

    pub(super) fn define_frame_text(&mut self, value: Value, slot: Slot, bound: u16) {
        self.define_text(value, Text { place: TextPlace::Frame(slot), bound });
    }

    /// Clears a slot for a helper to write a string to: it writes up to the NUL and no further, the padding is ours. (That of
    /// `bpf_get_current_comm` came and went with the kernel's choice of string function.)
    pub(super) fn zero(&mut self, slot: Slot, bound: u16) {
        self.clear(Base::Slot(slot), 0, Type::String(bound).size());
    }

    pub(super) fn execname(&mut self, result: Value) {
        let bound = self.bound(result);
        let slot = self.draft.new_slot(Type::String(bound).size());
        self.zero(slot, bound);
        let (destination, size) = (self.frame(slot), self.immediate(Type::String(bound).size() as i64));
        self.call_for_effect(Helper::GetCurrentComm, &[destination, size]);
        self.define_frame_text(result, slot, bound);
    }

    /// Equal where no word that both have differs: the shorter one ends in a zero, which the longer must have there, too.
    fn compare_equal(&mut self, relation: Relation, a: &Text, b: &Text) -> VReg {
        let words = a.size().min(b.size()) / 8;
        if words > WORDS_MAX {
            let (left, right) = self.first_difference(a, b);
            let relation = if relation == Relation::Equal { Jump::Eq } else { Jump::Ne };
            return self.set(relation, left, Source::Register(right));
        }
        let mut difference = None;
        for index in 0..words {
            let (left, right) = (self.word_register(a, index), self.word(b, index));
            let word = self.alu(Alu::Xor, left, right);
            difference = Some(match difference {
                None => word,
                Some(before) => self.alu(Alu::Or, before, Source::Register(word)),
            });
        }
        let difference = difference.unwrap_or_else(|| self.immediate(0));
        let relation = if relation == Relation::Equal { Jump::Eq } else { Jump::Ne };
        self.set(relation, difference, Source::Immediate(0))
    }

    /// The first words that differ, or the last ones compared.
    fn first_difference(&mut self, a: &Text, b: &Text) -> (VReg, VReg) {
        let words = a.size().min(b.size()) / 8;
        let (decide, parameters) = self.join(2);
        if words > WORDS_MAX {
            let (left, right) = (self.text_pointer(a), self.text_pointer(b));
            let last = self.for_each_index(words, |this, index| {
                let at = this.alu(Alu::Lsh, index, Source::Immediate(3));
                let [left, right] = [left, right].map(|text| {
                    let word = this.alu(Alu::Add, text, Source::Register(at));
                    this.load(Size::Dw, Base::Register(word), 0)
                });
                let (differ, same) = this.branch(Jump::Ne, left, Source::Register(right));
                this.switch_to(differ);
                this.jump(decide, &[left, right]);
                this.switch_to(same);
                // Where the last byte is 0, both end here.
                let last = this.alu(Alu::Rsh, left, Source::Immediate(56));
                let (end, go_on) = this.branch(Jump::Eq, last, Source::Immediate(0));
                this.switch_to(end);
                this.jump(decide, &[left, right]);
                this.switch_to(go_on);
            });
            self.switch_to(last);
            let zero = self.immediate(0);
            self.jump(decide, &[zero, zero]);
        } else {
            let mut last = (self.immediate(0), self.immediate(0));
            for index in 0..words {
                last = (self.word_register(a, index), self.word_register(b, index));
                let (differ, same) = self.branch(Jump::Ne, last.0, Source::Register(last.1));
                self.switch_to(differ);
                self.jump(decide, &[last.0, last.1]);
                self.switch_to(same);
            }
            self.jump(decide, &[last.0, last.1]);
        }
        self.switch_to(decide);
        (parameters[0], parameters[1])
    }

    /// The first word that differs decides, read as a big-endian number.
    fn compare_order(&mut self, relation: Relation, a: &Text, b: &Text) -> VReg {
        let (left, right) = self.first_difference(a, b);
        let [left, right] = [left, right].map(|source| {
            let result = self.draft.new_register();
            self.inst(Inst::BigEndian { result, source });
            result
        });
        let relation = match relation {
            Relation::Equal => Jump::Eq,
            Relation::NotEqual => Jump::Ne,
            Relation::Less => Jump::Lt,
            Relation::LessEqual => Jump::Le,
            Relation::Greater => Jump::Gt,
            Relation::GreaterEqual => Jump::Ge,
        };
        self.set(relation, left, Source::Register(right))
    }

    /// `sprintf`, by the kernel's.
    fn format(&mut self, format: FormatId, arguments: &[Value], result: Value) -> Result {
        let declared = &self.ir.formats[usize::from(format.0)];
        let Some(text) = kernel_format(&declared.format) else {
            return Err((self.location, Refusal::NotInKernel("a conversion of this sprintf")));
        };
        let mut registers = Vec::new();
        for (&argument, ty) in arguments.iter().zip(&declared.arguments) {
            registers.push(match ty {
                Type::String(_) => {
                    let text = self.text(argument);
                    self.text_pointer(&text)
                }
                Type::Long | Type::Iterator => self.long(argument),
            });
        }
        self.snprintf(&text, &registers, result)
    }

    fn snprintf(&mut self, format: &[u8], arguments: &[VReg], result: Value) -> Result {
        if !self.target.features.contains(&Feature::Snprintf) {
            return Err((self.location, Refusal::NoFeature("putting strings together", Feature::Snprintf)));
        }
        let bound = self.bound(result);
        let slot = self.draft.new_slot(Type::String(bound).size());
        self.zero(slot, bound);
        let data = self.draft.new_transient_slot(arguments.len() * 8);
        for (index, &argument) in arguments.iter().enumerate() {
            self.store(Base::Slot(data), (index * 8) as i32, Source::Register(argument));
        }
        let destination = self.frame(slot);
        let size = self.immediate(i64::from(bound) + 1);
        let offset = self.rodata.offset([format, b"\0"].concat());
        let format = self.address(Symbol::Rodata, offset);
        let data = self.frame(data);
        let data_size = self.immediate(arguments.len() as i64 * 8);
        self.call_for_effect(Helper::Snprintf, &[destination, size, format, data, data_size]);
        self.define_frame_text(result, slot, bound);
        Ok(())
    }

    /// A name of the probe point that fired: the only one's, or a row of a table, by the cookie.
    fn point(&mut self, field: PointField, result: Value) -> Result {
        let bound = self.bound(result);
        if let [point] = self.handler.points.as_slice() {
            let text = Text::literal(field.of(point).as_bytes(), bound);
            self.define_text(result, text);
            return Ok(());
        }
        let stride = Type::String(bound).size();
        let mut table = Vec::new();
        for point in &self.handler.points {
            let name = field.of(point).as_bytes();
            let row = table.len() + stride;
            table.extend_from_slice(&name[..name.len().min(usize::from(bound))]);
            table.resize(row, 0);
        }
        let offset = self.rodata.offset(table);
        let index = self.point_index();
        let row = self.alu(Alu::Mul, index, Source::Immediate(stride as i32));
        let table = self.address(Symbol::Rodata, offset);
        let pointer = self.alu(Alu::Add, table, Source::Register(row));
        self.define_text(result, Text::pointer(pointer, bound));
        Ok(())
    }

    /// The index of the probe point that fired, in a form that the verifier knows to be in range.
    pub(super) fn point_index(&mut self) -> VReg {
        let cookie = self.call(Helper::GetAttachCookie, &[self.context]);
        let (join, index) = self.join(1);
        let count = Source::Immediate(self.handler.points.len() as i32);
        let (valid, invalid) = self.branch(Jump::Lt, cookie, count);
        self.switch_to(invalid);
        let zero = self.immediate(0);
        self.jump(join, &[zero]);
        self.switch_to(valid);
        self.jump(join, &[cookie]);
        self.switch_to(join);
        index[0]
    }
}

/// The format as `bpf_snprintf` reads it (kernel/bpf/helpers.c, `bpf_bprintf_prepare`), where it has all of its conversions.
fn kernel_format(format: &Format) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    for piece in &format.pieces {
        match piece {
            Piece::Text(piece) => text.extend(piece.iter().flat_map(|&byte| match byte {
                b'%' => b"%%".to_vec(),
                byte => vec![byte],
            })),
            Piece::Conversion(conversion) => text.extend(kernel_conversion(*conversion)?.into_bytes()),
        }
    }
    // The helper prints ASCII only.
    text.is_ascii().then_some(text)
}

fn kernel_conversion(conversion: Conversion) -> Option<String> {
    let Conversion { verb, left, plus, space, alternate, zero, width, precision } = conversion;
    if alternate || precision != Extent::None || width == Extent::Argument {
        return None;
    }
    let flags: String =
        [(left, '-'), (plus, '+'), (space, ' '), (zero, '0')].iter().filter(|(set, _)| *set).map(|(_, c)| c).collect();
    let letters = match verb {
        Verb::Decimal => "lld",
        Verb::Unsigned => "llu",
        Verb::Hex => "llx",
        Verb::HexUpper => "llX",
        Verb::String => "s",
        Verb::Pointer if width == Extent::None => return Some("0x%llx".to_owned()),
        Verb::Pointer | Verb::Octal | Verb::Character | Verb::Binary => return None,
    };
    Some(format!("%{flags}{width}{letters}"))
}
