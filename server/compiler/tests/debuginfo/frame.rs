//! Frames after the prologue: call frame information and frame bases.

use gimli::constants as dw;
use gimli::write::{
    Address, AttributeValue, CallFrameInstruction, CommonInformationEntry, DebugFrame, EhFrame, EndianVec, Expression,
    FrameDescriptionEntry, FrameTable, Location, LocationList,
};
use gimli::{Encoding, Format, LittleEndian, Register};

use crate::location;
use crate::synthetic::{Code, DATA, Elf, TEXT, expression};

/// A program with `f(p)` whose prologue ends at +4, by a line table; the frame base is as given.
fn program(frame_base: impl FnOnce(&mut Code) -> AttributeValue) -> Elf {
    let mut code = Code::new(5);
    let long = code.long();
    let function = code.function("f", 0x100, 0x40);
    let frame_base = frame_base(&mut code);
    code.set(function, dw::DW_AT_frame_base, frame_base);
    code.parameter(function, "p", long, &[dw::DW_OP_fbreg.0, 0x60]);
    code.rows(&[0x100, 0x104]);
    let mut elf = Elf::program();
    elf.function("f", 0x100, 0x40).dwarf(code);
    elf
}

fn frame_address() -> AttributeValue {
    expression(&[dw::DW_OP_call_frame_cfa.0])
}

/// Call frame information as after `push %rbp; mov %rsp,%rbp`: from +4 on, the CFA is as given.
fn frames(version: u16, instruction: CallFrameInstruction) -> FrameTable {
    let encoding = Encoding { format: Format::Dwarf32, version, address_size: 8 };
    let mut cie = CommonInformationEntry::new(encoding, 1, -8, Register(16));
    cie.add_instruction(CallFrameInstruction::Cfa(Register(7), 8));
    let mut table = FrameTable::default();
    let cie = table.add_cie(cie);
    for start in [0x80, 0x100] {
        let mut fde = FrameDescriptionEntry::new(Address::Constant(TEXT + start), 0x40);
        fde.add_instruction(1, CallFrameInstruction::CfaOffset(16));
        fde.add_instruction(4, instruction.clone());
        table.add_fde(cie, fde);
    }
    table
}

#[test]
fn call_frame_information_says_where_the_frame_is() {
    let table = frames(4, CallFrameInstruction::Cfa(Register(6), 16));
    let mut debug_frame = DebugFrame(EndianVec::new(LittleEndian));
    table.write_debug_frame(&mut debug_frame).expect("frames");
    let mut elf = program(|_| frame_address());
    elf.raw(".debug_frame", debug_frame.slice().to_vec());
    assert_eq!(location(&elf, "p"), "memory at (%rbp + -16)");

    let table = frames(1, CallFrameInstruction::Cfa(Register(6), 16));
    let mut eh_frame = EhFrame(EndianVec::new(LittleEndian));
    table.write_eh_frame(&mut eh_frame).expect("frames");
    let mut elf = program(|_| frame_address());
    elf.loaded(".eh_frame", DATA + 0x4000, eh_frame.slice().to_vec());
    assert_eq!(location(&elf, "p"), "memory at (%rbp + -16)");
}

#[test]
fn frames_may_be_expressions() {
    let expression = Expression::raw(vec![dw::DW_OP_breg6.0, 8, dw::DW_OP_deref.0]);
    let mut debug_frame = DebugFrame(EndianVec::new(LittleEndian));
    let table = frames(4, CallFrameInstruction::CfaExpression(expression));
    table.write_debug_frame(&mut debug_frame).expect("frames");
    let mut elf = program(|_| frame_address());
    elf.raw(".debug_frame", debug_frame.slice().to_vec());
    assert_eq!(location(&elf, "p"), "memory at (u64[(%rbp + 8)] + -32)");
}

#[test]
fn without_call_frame_information_the_error_says_so() {
    let error = "error: the value of variable \"p\" cannot be had: it is on the stack, and no call frame information \
                 says where that is";
    assert_eq!(location(&program(|_| frame_address()), "p"), error);
}

#[test]
fn frame_bases_may_be_registers_and_lists() {
    assert_eq!(location(&program(|_| expression(&[dw::DW_OP_reg6.0])), "p"), "memory at (%rbp + -32)");
    assert_eq!(location(&program(|_| expression(&[dw::DW_OP_breg7.0, 8])), "p"), "memory at (%rsp + -24)");
    let listed = program(|code| {
        let data = |register| Expression::raw(vec![register, 16]);
        AttributeValue::LocationListRef(code.unit().locations.add(LocationList(vec![
            Location::OffsetPair { begin: 0x100, end: 0x104, data: data(dw::DW_OP_breg7.0) },
            Location::OffsetPair { begin: 0x104, end: 0x140, data: data(dw::DW_OP_breg6.0) },
        ])))
    });
    assert_eq!(location(&listed, "p"), "memory at (%rbp + -16)");
}

#[test]
fn a_frame_base_that_counts_from_itself_is_damaged() {
    let circle = program(|_| expression(&[dw::DW_OP_fbreg.0, 0]));
    assert_eq!(location(&circle, "p"), "error: damaged debuginfo: the expressions of a location contain one another");
}
