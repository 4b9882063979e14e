//! Functions of strings, and strings from memory. A helper of the kernel's copies up to a NUL and says how far it came: the
//! fastest way to a string's length that there is.

use regalloc2::VReg;
use shared::ir::{Space, StringFunction, Type, Value};

use super::strings::Text;
use super::{Home, Refusal, Result, Selector};
use crate::bpf::code::{Alu, Helper, Jump, Size};
use crate::codegen::draft::{Base, Slot, Source};

impl Selector<'_> {
    pub(super) fn string_function(
        &mut self,
        function: StringFunction,
        arguments: &[Value],
        results: &[Value],
    ) -> Result {
        let (Some(&string), Some(&result)) = (arguments.first(), results.first()) else { return Ok(()) };
        let text = self.text(string);
        match (function, arguments) {
            (StringFunction::Length, _) => {
                let length = self.length(&text);
                self.define(result, length);
            }
            (StringFunction::Byte, &[_, at]) => {
                let at = self.long(at);
                let byte = self.byte(&text, at);
                self.define(result, byte);
            }
            (StringFunction::Substring, &[_, start, size]) => self.substring(&text, start, size, result),
            (StringFunction::Find, &[_, part]) => {
                let part = self.text(part);
                let position = self.find(&text, &part);
                self.define(result, position);
            }
            (StringFunction::Number, &[_, base]) => {
                let Some(Home::Constant(base)) = self.homes[base.0 as usize] else {
                    return Err((self.location, Refusal::NotInKernel("strtol with a base that is computed")));
                };
                let number = self.number(&text, base);
                self.define(result, number);
            }
            _ => return Err((self.location, Refusal::NotInKernel(function.name()))),
        }
        Ok(())
    }

    /// Reads a string up to its NUL; what does not come, or faults, leaves zeros.
    pub(super) fn load_string(&mut self, space: Space, address: Value, bytes_max: Option<Value>, results: &[Value]) {
        let &[result, faulted] = results else { return };
        let helper = match space {
            Space::Kernel => Helper::ProbeReadKernelStr,
            Space::User => Helper::ProbeReadUserStr,
        };
        let bound = self.bound(result);
        let slot = self.draft.new_slot(Type::String(bound).size());
        self.zero(slot, bound);
        let address = self.long(address);
        let size = match bytes_max {
            None => self.immediate(i64::from(bound) + 1),
            Some(bytes_max) => {
                let bytes_max = self.long(bytes_max);
                self.clamped(bytes_max, bound)
            }
        };
        let destination = self.frame(slot);
        let count = self.call(helper, &[destination, size, address]);
        let fault = self.set(Jump::Slt, count, Source::Immediate(0));
        self.define(faulted, fault);
        self.define_frame_text(result, slot, bound);
    }

    /// A number of bytes with the NUL: between 0 and a bound, and 1 more.
    fn clamped(&mut self, bytes: VReg, bound: u16) -> VReg {
        let (join, sizes) = self.join(1);
        let (negative, positive) = self.branch(Jump::Sle, bytes, Source::Immediate(0));
        self.switch_to(negative);
        let none = self.immediate(1);
        self.jump(join, &[none]);
        self.switch_to(positive);
        let (too_many, right) = self.branch(Jump::Gt, bytes, Source::Immediate(i32::from(bound)));
        self.switch_to(too_many);
        let all = self.immediate(i64::from(bound) + 1);
        self.jump(join, &[all]);
        self.switch_to(right);
        let size = self.alu(Alu::Add, bytes, Source::Immediate(1));
        self.jump(join, &[size]);
        self.switch_to(join);
        sizes[0]
    }

    /// Copies a string behind another's address, up to its NUL; gives its length.
    fn copy_string(&mut self, to: VReg, text: &Text) -> VReg {
        let from = self.text_pointer(text);
        let size = self.immediate(i64::from(text.bound()) + 1);
        let count = self.call(Helper::ProbeReadKernelStr, &[to, size, from]);
        // With the NUL; negative where it fails, which a string of ours does not.
        let length = self.alu(Alu::Sub, count, Source::Immediate(1));
        let (join, lengths) = self.join(1);
        let (wrong, right) = self.branch(Jump::Gt, length, Source::Immediate(i32::from(text.bound())));
        self.switch_to(wrong);
        let none = self.immediate(0);
        self.jump(join, &[none]);
        self.switch_to(right);
        self.jump(join, &[length]);
        self.switch_to(join);
        lengths[0]
    }

    fn length(&mut self, text: &Text) -> VReg {
        let copy = self.draft.new_transient_slot(text.size());
        let copy = self.frame(copy);
        self.copy_string(copy, text)
    }

    /// One string behind another, and zeros behind both.
    pub(super) fn concat(&mut self, a: Value, b: Value, result: Value) {
        let (a, b) = (self.text(a), self.text(b));
        let bound = a.bound().saturating_add(b.bound());
        let slot = self.draft.new_slot(Type::String(bound).size());
        self.zero(slot, bound);
        let start = self.frame(slot);
        let length = self.copy_string(start, &a);
        let start = self.frame(slot);
        let behind = self.alu(Alu::Add, start, Source::Register(length));
        let (from, size) = (self.text_pointer(&b), self.immediate(i64::from(b.bound()) + 1));
        self.call_for_effect(Helper::ProbeReadKernelStr, &[behind, size, from]);
        let text = self.fitted(Text::frame(slot, bound), self.bound(result));
        self.define_text(result, text);
    }

    fn substring(&mut self, text: &Text, start: Value, size: Value, result: Value) {
        let bound = self.bound(result);
        let slot = self.draft.new_slot(Type::String(bound).size());
        self.zero(slot, bound);
        let (start, size) = (self.long(start), self.long(size));
        let (after, _) = self.join(0);
        let (within, outside) = self.branch(Jump::Le, start, Source::Immediate(i32::from(text.bound())));
        self.switch_to(outside);
        self.jump(after, &[]);
        self.switch_to(within);
        let size = self.clamped(size, bound);
        let from = self.text_pointer(text);
        let from = self.alu(Alu::Add, from, Source::Register(start));
        let to = self.frame(slot);
        self.call_for_effect(Helper::ProbeReadKernelStr, &[to, size, from]);
        self.jump(after, &[]);
        self.switch_to(after);
        self.define_frame_text(result, slot, bound);
    }

    /// The byte at a position, or -1.
    fn byte(&mut self, text: &Text, at: VReg) -> VReg {
        let (join, bytes) = self.join(1);
        let (within, outside) = self.branch(Jump::Le, at, Source::Immediate(i32::from(text.bound())));
        self.switch_to(outside);
        let none = self.immediate(-1);
        self.jump(join, &[none]);
        self.switch_to(within);
        let pointer = self.text_pointer(text);
        let pointer = self.alu(Alu::Add, pointer, Source::Register(at));
        let byte = self.load(Size::B, Base::Register(pointer), 0);
        let (nul, some) = self.branch(Jump::Eq, byte, Source::Immediate(0));
        self.switch_to(nul);
        let none = self.immediate(-1);
        self.jump(join, &[none]);
        self.switch_to(some);
        self.jump(join, &[byte]);
        self.switch_to(join);
        bytes[0]
    }

    /// A copy of a string with so many zeros behind it that a word may be read at each of its bytes.
    fn padded(&mut self, text: &Text, padding: usize) -> Slot {
        let slot = self.draft.new_scratch_slot(text.size() + padding);
        self.write_text(text, Base::Slot(slot), 0, text.bound());
        self.clear(Base::Slot(slot), text.size() as i32, padding);
        slot
    }

    /// Where a part is found in a string, or -1: at each position, word by word, of the last word only what the part has.
    fn find(&mut self, text: &Text, part: &Text) -> VReg {
        let words = part.size() / 8;
        let copy = self.padded(text, part.size());
        let part_words: Vec<VReg> = (0..words).map(|index| self.word_register(part, index)).collect();
        let masks: Vec<VReg> = part_words.iter().map(|&word| self.mask(word)).collect();
        let (found, positions) = self.join(1);
        let start = self.frame(copy);
        let done = self.for_each_index(usize::from(text.bound()) + 1, |this, at| {
            let here = this.alu(Alu::Add, start, Source::Register(at));
            let mut difference = this.immediate(0);
            for (index, (&word, &mask)) in part_words.iter().zip(&masks).enumerate() {
                let read = this.load(Size::Dw, Base::Register(here), (index * 8) as i32);
                let differing = this.alu(Alu::Xor, read, Source::Register(word));
                let differing = this.alu(Alu::And, differing, Source::Register(mask));
                difference = this.alu(Alu::Or, difference, Source::Register(differing));
            }
            let (same, other) = this.branch(Jump::Eq, difference, Source::Immediate(0));
            this.switch_to(same);
            this.jump(found, &[at]);
            this.switch_to(other);
        });
        self.switch_to(done);
        let none = self.immediate(-1);
        self.jump(found, &[none]);
        self.switch_to(found);
        positions[0]
    }

    /// All bits of the bytes that are in a word of a string: there are only zeros behind the last one.
    fn mask(&mut self, word: VReg) -> VReg {
        let mut mask = word;
        // The highest byte that is not 0 fills those below it; no byte of a string is 0.
        for shift in [8, 16, 32] {
            let shifted = self.alu(Alu::Rsh, mask, Source::Immediate(shift));
            mask = self.alu(Alu::Or, mask, Source::Register(shifted));
        }
        // Each byte that is not 0 becomes 0xff: its bits are gathered in its lowest one and spread again.
        for shift in [4, 2, 1] {
            let ones = self.immediate(i64::from_ne_bytes([0xffu8 >> shift; 8]));
            let shifted = self.alu(Alu::Rsh, mask, Source::Immediate(shift));
            let shifted = self.alu(Alu::And, shifted, Source::Register(ones));
            mask = self.alu(Alu::Or, mask, Source::Register(shifted));
        }
        let lowest = self.immediate(0x0101_0101_0101_0101);
        let lowest = self.alu(Alu::And, mask, Source::Register(lowest));
        self.alu(Alu::Mul, lowest, Source::Immediate(0xff))
    }

    /// The number that a string begins with, as `StringFunction::Number` reads it.
    fn number(&mut self, text: &Text, base: i64) -> VReg {
        let copy = self.padded(text, 8);
        let at = |this: &mut Self, offset: i32| this.load(Size::B, Base::Slot(copy), offset);
        // A sign, then a prefix.
        let first = at(self, 0);
        let is_negative = self.set(Jump::Eq, first, Source::Immediate(i32::from(b'-')));
        let start = self.frame(copy);
        let digits = self.alu(Alu::Add, start, Source::Register(is_negative));
        let (skipped, base) = self.prefix(digits, base);
        let state = self.draft.new_transient_slot(8);
        self.clear(Base::Slot(state), 0, 8);
        let digits = self.alu(Alu::Add, digits, Source::Register(skipped));
        let (after, _) = self.join(0);
        let done = self.for_each_index(usize::from(text.bound()) + 1, |this, at| {
            let here = this.alu(Alu::Add, digits, Source::Register(at));
            let byte = this.load(Size::B, Base::Register(here), 0);
            let digit = this.digit(byte);
            let (beyond, within) = this.branch(Jump::Ge, digit, Source::Register(base));
            this.switch_to(beyond);
            this.jump(after, &[]);
            this.switch_to(within);
            let number = this.load(Size::Dw, Base::Slot(state), 0);
            let number = this.alu(Alu::Mul, number, Source::Register(base));
            let number = this.alu(Alu::Add, number, Source::Register(digit));
            this.store(Base::Slot(state), 0, Source::Register(number));
        });
        self.switch_to(done);
        self.jump(after, &[]);
        self.switch_to(after);
        let number = self.load(Size::Dw, Base::Slot(state), 0);
        let zero = self.immediate(0);
        let flip = self.alu(Alu::Sub, zero, Source::Register(is_negative));
        let flipped = self.alu(Alu::Xor, number, Source::Register(flip));
        self.alu(Alu::Sub, flipped, Source::Register(flip))
    }

    /// How many bytes of a prefix there are, and the base of the digits behind it.
    fn prefix(&mut self, digits: VReg, base: i64) -> (VReg, VReg) {
        if !matches!(base, 0 | 16) {
            return (self.immediate(0), self.immediate(base));
        }
        let (join, found) = self.join(2);
        let [zero, x, digit] = [0, 1, 2].map(|offset| self.load(Size::B, Base::Register(digits), offset));
        let (leading, other) = self.branch(Jump::Eq, zero, Source::Immediate(i32::from(b'0')));
        self.switch_to(other);
        let (none, plain) = (self.immediate(0), self.immediate(if base == 0 { 10 } else { base }));
        self.jump(join, &[none, plain]);
        self.switch_to(leading);
        let lower = self.alu(Alu::Or, x, Source::Immediate(0x20));
        let (hexadecimal, octal) = self.branch(Jump::Eq, lower, Source::Immediate(i32::from(b'x')));
        self.switch_to(octal);
        let (none, plain) = (self.immediate(0), self.immediate(if base == 0 { 8 } else { base }));
        self.jump(join, &[none, plain]);
        self.switch_to(hexadecimal);
        if base == 0 {
            // Without a digit behind it, it is an octal 0.
            let digit = self.digit(digit);
            let (no_digit, a_digit) = self.branch(Jump::Ge, digit, Source::Immediate(16));
            self.switch_to(no_digit);
            let (none, octal) = (self.immediate(0), self.immediate(8));
            self.jump(join, &[none, octal]);
            self.switch_to(a_digit);
        }
        let (two, sixteen) = (self.immediate(2), self.immediate(16));
        self.jump(join, &[two, sixteen]);
        self.switch_to(join);
        (found[0], found[1])
    }

    /// The value of a digit up to `f`; of anything else a number that no base has.
    fn digit(&mut self, byte: VReg) -> VReg {
        let (join, values) = self.join(1);
        let decimal = self.alu(Alu::Sub, byte, Source::Immediate(i32::from(b'0')));
        let (is_decimal, other) = self.branch(Jump::Lt, decimal, Source::Immediate(10));
        self.switch_to(is_decimal);
        self.jump(join, &[decimal]);
        self.switch_to(other);
        let lower = self.alu(Alu::Or, byte, Source::Immediate(0x20));
        let letter = self.alu(Alu::Sub, lower, Source::Immediate(i32::from(b'a')));
        let (is_letter, neither) = self.branch(Jump::Lt, letter, Source::Immediate(6));
        self.switch_to(is_letter);
        let value = self.alu(Alu::Add, letter, Source::Immediate(10));
        self.jump(join, &[value]);
        self.switch_to(neither);
        let none = self.immediate(i64::from(i32::MAX));
        self.jump(join, &[none]);
        self.switch_to(join);
        values[0]
    }
}
