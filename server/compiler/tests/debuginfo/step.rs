//! Steps: members, elements, pointers.

use compiler::debuginfo::{Debuginfo, Expr, Location, Variable, VariableError};
use gimli::constants as dw;
use gimli::write::{AttributeValue, UnitEntryId};

use crate::entry;
use crate::synthetic::{Code, Elf};

/// `f(p)` with `p` in a register or where `place` says, of the type that is made; then what `look` finds.
fn with_parameter<T>(
    place: &[u8],
    make: impl FnOnce(&mut Code) -> UnitEntryId,
    look: impl FnOnce(&Debuginfo<'_>, Variable) -> T,
) -> T {
    let mut code = Code::new(5);
    let kind = make(&mut code);
    let function = code.function("f", 0x100, 0x40);
    code.parameter(function, "p", kind, place);
    let mut elf = Elf::kernel();
    elf.function("f", 0x100, 0x40).dwarf(code);
    let bytes = elf.bytes();
    let debuginfo = Debuginfo::open(&bytes).expect("an ELF file");
    let parameter = debuginfo.variable(&entry(&debuginfo, "f"), "p").expect("a parameter");
    look(&debuginfo, parameter)
}

const RDI: &[u8] = &[dw::DW_OP_reg5.0];
const STACK: &[u8] = &[dw::DW_OP_breg7.0, 16];

/// `struct outer { long a; struct inner { long x; struct inner *next; } in; union { int u; char c[6][2]; }; }`
fn outer(code: &mut Code) -> UnitEntryId {
    let (long, int) = (code.long(), code.base_type("int", 4, dw::DW_ATE_signed));
    let char = code.base_type("char", 1, dw::DW_ATE_signed_char);
    let inner = code.structure(dw::DW_TAG_structure_type, "inner", 16);
    let pointer = code.derived(dw::DW_TAG_pointer_type, inner);
    code.member(inner, "x", long, 0);
    code.member(inner, "next", pointer, 8);
    let array = code.derived(dw::DW_TAG_array_type, char);
    for last in [5, 1] {
        let range = code.add(array, dw::DW_TAG_subrange_type);
        code.set(range, dw::DW_AT_upper_bound, AttributeValue::Data1(last));
    }
    let union = code.structure(dw::DW_TAG_union_type, "", 12);
    code.member(union, "u", int, 0);
    code.member(union, "c", array, 0);
    let outer = code.structure(dw::DW_TAG_structure_type, "outer", 40);
    code.member(outer, "a", long, 0);
    code.member(outer, "in", inner, 8);
    code.member(outer, "", union, 24);
    outer
}

fn pointer_to_outer(code: &mut Code) -> UnitEntryId {
    let outer = outer(code);
    let constant = code.derived(dw::DW_TAG_const_type, outer);
    code.derived(dw::DW_TAG_pointer_type, constant)
}

/// Follows a path: names are members, numbers indexes, `*` and `&` themselves; shows type and place.
fn follow(debuginfo: &Debuginfo<'_>, mut variable: Variable, path: &str) -> String {
    for step in path.split_whitespace() {
        let next = match (step, step.parse()) {
            ("*", _) => debuginfo.deref(&variable),
            ("&", _) => debuginfo.address_of(&variable),
            ("?", _) => debuginfo.index(&variable, Expr::Given(0)),
            (_, Ok(index)) => debuginfo.index(&variable, Expr::Constant(index)),
            (name, Err(_)) => debuginfo.member(&variable, name),
        };
        variable = match next {
            Ok(next) => next,
            Err(error) => return format!("error: {error}"),
        };
    }
    format!("{}, {}", debuginfo.type_name(variable.type_id).expect("a type"), variable.location)
}

#[test]
fn members_through_pointers_are_read_from_memory() {
    let check = |path: &str, expected: &str| {
        let found = with_parameter(RDI, pointer_to_outer, |debuginfo, p| follow(debuginfo, p, path));
        assert_eq!(found, expected, "{path}");
    };
    check("a", "long int, memory at %rdi");
    check("in x", "long int, memory at (%rdi + 8)");
    check("in next x", "long int, memory at u64[(%rdi + 16)]");
    check("in next next x", "long int, memory at u64[(u64[(%rdi + 16)] + 8)]");
    check("u", "int, memory at (%rdi + 24)");
    check("c", "char[], memory at (%rdi + 24)");
    check("c 2", "char[], memory at (%rdi + 28)");
    check("c 2 1", "char, memory at (%rdi + 29)");
    check("c ?", "char[], memory at ((%rdi + 24) + (given0 * 2))");
    check("*", "struct outer const, memory at %rdi");
    check("* in", "struct inner, memory at (%rdi + 8)");
    check("in &", "struct inner*, value (%rdi + 8)");
    check("in & x", "long int, memory at (%rdi + 8)");
    check("in next 3 x", "long int, memory at (u64[(%rdi + 16)] + 48)");
    check("2 a", "long int, memory at (%rdi + 80)");
    check("nothing", "error: struct outer has no member \"nothing\"");
    check("a x", "error: ->x needs a struct, a union or a pointer to one, and this is of type long int");
    check("a 1", "error: [] needs an array or a pointer, and this is of type long int");
    check("a *", "error: * needs a pointer, and this is of type long int");
    check("&", "error: what is kept in a register has no address");
}

#[test]
fn missing_members_come_with_those_that_there_are() {
    let error = with_parameter(RDI, pointer_to_outer, |debuginfo, p| debuginfo.member(&p, "nothing"));
    let Err(VariableError::NoMember { known, .. }) = error else { panic!("{error:?}") };
    assert_eq!(known, ["a", "in", "u", "c"]);
}

#[test]
fn structs_on_the_stack_and_in_registers_have_members() {
    let stack = |path: &str| with_parameter(STACK, outer, |debuginfo, p| follow(debuginfo, p, path));
    assert_eq!(stack("in next"), "struct inner*, memory at (%rsp + 32)");
    assert_eq!(stack("in next x"), "long int, memory at u64[(%rsp + 32)]");
    assert_eq!(stack("& in x"), "long int, memory at (%rsp + 24)");

    let inner = |code: &mut Code| {
        let outer = outer(code);
        let member = code.unit().get(outer).children().copied().nth(1).expect("the member in");
        match code.unit().get(member).get(dw::DW_AT_type) {
            Some(&AttributeValue::UnitRef(inner)) => inner,
            other => panic!("{other:?}"),
        }
    };
    let pieces = [dw::DW_OP_reg5.0, dw::DW_OP_piece.0, 8, dw::DW_OP_reg4.0, dw::DW_OP_piece.0, 8];
    let parts = |path: &str| with_parameter(&pieces, inner, |debuginfo, p| follow(debuginfo, p, path));
    assert_eq!(parts("x"), "long int, value %rdi");
    assert_eq!(parts("next x"), "long int, memory at %rsi");
    let half = [dw::DW_OP_reg5.0, dw::DW_OP_piece.0, 8, dw::DW_OP_piece.0, 8];
    let lost = with_parameter(&half, inner, |debuginfo, p| follow(debuginfo, p, "next"));
    assert_eq!(lost, "error: ->next leads into a value that lies in several places, or was partly optimised out");

    let two = |code: &mut Code| {
        let int = code.base_type("int", 4, dw::DW_ATE_signed);
        let two = code.structure(dw::DW_TAG_structure_type, "two", 8);
        code.member(two, "low", int, 0);
        code.member(two, "high", int, 4);
        two
    };
    let packed = |path: &str| with_parameter(RDI, two, |debuginfo, p| follow(debuginfo, p, path));
    assert_eq!(packed("low"), "int, value %rdi");
    assert_eq!(packed("high"), "int, value (%rdi >> 32)");
}

#[test]
fn bit_fields_say_which_bits() {
    let bits = |attributes: &[(gimli::DwAt, u64)]| {
        let structure = |code: &mut Code| {
            let int = code.base_type("int", 4, dw::DW_ATE_signed);
            let structure = code.structure(dw::DW_TAG_structure_type, "s", 8);
            let member = code.named(structure, dw::DW_TAG_member, "b");
            code.set(member, dw::DW_AT_type, AttributeValue::UnitRef(int));
            for &(name, value) in attributes {
                code.set(member, name, AttributeValue::Udata(value));
            }
            structure
        };
        with_parameter(STACK, structure, |debuginfo, p| {
            let member = debuginfo.member(&p, "b").expect("a bit field");
            assert!(debuginfo.address_of(&member).is_err(), "a bit field has no address");
            let bits = member.bits.expect("bits");
            format!("{}: {} bytes, {}+{}", member.location, bits.storage_size, bits.offset, bits.size)
        })
    };
    // struct { int a : 13; int b : 7; }
    let dwarf_5 = [(dw::DW_AT_bit_size, 7), (dw::DW_AT_data_bit_offset, 13)];
    let dwarf_3 = [
        (dw::DW_AT_bit_size, 7),
        (dw::DW_AT_bit_offset, 32 - 13 - 7),
        (dw::DW_AT_byte_size, 4),
        (dw::DW_AT_data_member_location, 0),
    ];
    for attributes in [&dwarf_5[..], &dwarf_3] {
        assert_eq!(bits(attributes), "memory at (%rsp + 17): 2 bytes, 5+7");
    }
}

#[test]
fn casts_take_their_operand_from_who_asks() {
    with_parameter(RDI, pointer_to_outer, |debuginfo, _| {
        let type_id = debuginfo.type_named("outer").expect("types").expect("struct outer");
        let cast = Variable { type_id, location: Location::Memory(Expr::Given(0)), bits: None };
        assert_eq!(follow(debuginfo, cast, "in next x"), "long int, memory at u64[(given0 + 16)]");
    });
}

#[test]
fn a_struct_that_is_only_declared_is_looked_for_in_other_units() {
    let opaque = |code: &mut Code| {
        let root = code.root();
        let declared = code.named(root, dw::DW_TAG_structure_type, "opaque");
        code.set(declared, dw::DW_AT_declaration, AttributeValue::Flag(true));
        code.derived(dw::DW_TAG_pointer_type, declared)
    };
    let alone = with_parameter(RDI, opaque, |debuginfo, p| follow(debuginfo, p, "x"));
    assert_eq!(alone, "error: the debuginfo declares struct opaque, but nowhere defines it");

    let mut code = Code::new(5);
    let kind = opaque(&mut code);
    let function = code.function("f", 0x100, 0x40);
    code.parameter(function, "p", kind, RDI);
    code.next_unit();
    let long = code.long();
    let defined = code.structure(dw::DW_TAG_structure_type, "opaque", 16);
    code.member(defined, "x", long, 8);
    let mut elf = Elf::kernel();
    elf.function("f", 0x100, 0x40).dwarf(code);
    let bytes = elf.bytes();
    let debuginfo = Debuginfo::open(&bytes).expect("an ELF file");
    let parameter = debuginfo.variable(&entry(&debuginfo, "f"), "p").expect("a parameter");
    assert_eq!(follow(&debuginfo, parameter, "x"), "long int, memory at (%rdi + 8)");
}
