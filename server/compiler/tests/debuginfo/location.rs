//! DWARF expressions and location lists → locations.

use gimli::constants as dw;
use gimli::write::{Address, AttributeValue, Expression, Location, LocationList};

use crate::synthetic::{Code, Elf, TEXT, expression};
use crate::{location, variable};

/// A kernel whose function `f` has one parameter `p`, which the caller gives its location; `code` is the DWARF so far.
fn with_parameter(version: u16, locate: impl FnOnce(&mut Code) -> AttributeValue) -> Elf {
    let mut code = Code::new(version);
    let long = code.long();
    let function = code.function("f", 0x100, 0x40);
    let parameter = code.variable(function, dw::DW_TAG_formal_parameter, "p", long);
    let value = locate(&mut code);
    code.set(parameter, dw::DW_AT_location, value);
    let mut elf = Elf::kernel();
    elf.function("f", 0x100, 0x40).dwarf(code);
    elf
}

#[track_caller]
fn check(code: &[u8], expected: &str) {
    for version in [4, 5] {
        let elf = with_parameter(version, |_| expression(code));
        assert_eq!(location(&elf, "p"), expected, "DWARF {version}");
    }
}

fn op(op: dw::DwOp) -> u8 {
    op.0
}

#[test]
fn registers_hold_values_and_addresses() {
    check(&[op(dw::DW_OP_reg5)], "value %rdi");
    check(&[op(dw::DW_OP_regx), 12], "value %r12");
    check(&[op(dw::DW_OP_breg6), 0x70], "memory at (%rbp + -16)");
    check(&[op(dw::DW_OP_bregx), 8, 16], "memory at (%r8 + 16)");
    check(&[op(dw::DW_OP_breg5), 0, op(dw::DW_OP_stack_value)], "value %rdi");
    let vector = "error: the value of variable \"p\" cannot be had: it is in a vector or floating point register, which \
                  probes cannot read";
    check(&[op(dw::DW_OP_reg17)], vector);
    check(&[op(dw::DW_OP_regx), 0xff, 0x01], vector);
}

#[test]
fn the_frame_counts_from_the_canonical_frame_address() {
    check(&[op(dw::DW_OP_fbreg), 0x70], "memory at (%rsp + -8)");
    check(&[op(dw::DW_OP_fbreg), 0x78], "memory at %rsp");
    check(&[op(dw::DW_OP_call_frame_cfa), op(dw::DW_OP_stack_value)], "value (%rsp + 8)");
}

#[test]
fn constants_need_no_place() {
    check(&[op(dw::DW_OP_lit7), op(dw::DW_OP_stack_value)], "value 7");
    check(&[op(dw::DW_OP_const1s), 0xff, op(dw::DW_OP_stack_value)], "value -1");
    check(&[op(dw::DW_OP_const2u), 0x34, 0x12, op(dw::DW_OP_stack_value)], "value 4660");
    check(&[op(dw::DW_OP_constu), 0x80, 0x01, op(dw::DW_OP_stack_value)], "value 128");
    check(&[op(dw::DW_OP_implicit_value), 4, 1, 2, 3, 4], "value 67305985");
    let wide = [&[op(dw::DW_OP_implicit_value), 9][..], &[7; 9]].concat();
    check(&wide, "bytes [07, 07, 07, 07, 07, 07, 07, 07, 07]");
    check(&[op(dw::DW_OP_addr), 0x10, 0, 0, 1, 0, 0, 0, 0], "memory at @0x1000010");
}

#[test]
fn arithmetic_is_done_where_it_can_be_and_kept_where_not() {
    let value = |code: &[u8]| [code, &[op(dw::DW_OP_stack_value)]].concat();
    let two = |operation: dw::DwOp| value(&[op(dw::DW_OP_breg5), 0, op(dw::DW_OP_lit3), op(operation)]);
    check(&two(dw::DW_OP_plus), "value (%rdi + 3)");
    check(&two(dw::DW_OP_minus), "value (%rdi + -3)");
    check(&two(dw::DW_OP_mul), "value (%rdi * 3)");
    check(&two(dw::DW_OP_and), "value (%rdi & 3)");
    check(&two(dw::DW_OP_or), "value (%rdi | 3)");
    check(&two(dw::DW_OP_xor), "value (%rdi ^ 3)");
    check(&two(dw::DW_OP_shl), "value (%rdi << 3)");
    check(&two(dw::DW_OP_shr), "value (%rdi >> 3)");
    check(&two(dw::DW_OP_shra), "value (%rdi >>> 3)");
    check(&two(dw::DW_OP_eq), "value (%rdi == 3)");
    check(&two(dw::DW_OP_ne), "value (%rdi != 3)");
    check(&two(dw::DW_OP_lt), "value (%rdi < 3)");
    check(&two(dw::DW_OP_le), "value (%rdi <= 3)");
    check(&two(dw::DW_OP_gt), "value (%rdi > 3)");
    check(&two(dw::DW_OP_ge), "value (%rdi >= 3)");
    check(&value(&[op(dw::DW_OP_breg5), 4, op(dw::DW_OP_plus_uconst), 3]), "value (%rdi + 7)");
    check(&value(&[op(dw::DW_OP_breg5), 0, op(dw::DW_OP_neg)]), "value (0 - %rdi)");
    check(&value(&[op(dw::DW_OP_breg5), 0, op(dw::DW_OP_not)]), "value (-1 ^ %rdi)");
    check(&value(&[op(dw::DW_OP_lit5), op(dw::DW_OP_lit3), op(dw::DW_OP_minus)]), "value 2");
    check(&two(dw::DW_OP_div), "error: the value of variable \"p\" cannot be had: its value is computed by a division");
    check(
        &value(&[op(dw::DW_OP_lit1), op(dw::DW_OP_breg5), 0, op(dw::DW_OP_shl)]),
        "error: the value of variable \"p\" cannot be had: its value is computed by a shift whose width varies",
    );
}

#[test]
fn the_stack_is_a_stack() {
    let value = |code: &[u8]| [code, &[op(dw::DW_OP_stack_value)]].concat();
    let (five, three, minus) = (op(dw::DW_OP_breg5), op(dw::DW_OP_lit3), op(dw::DW_OP_minus));
    check(&value(&[five, 0, three, op(dw::DW_OP_swap), minus]), "value (3 - %rdi)");
    check(&value(&[five, 0, op(dw::DW_OP_dup), op(dw::DW_OP_mul)]), "value (%rdi * %rdi)");
    check(&value(&[five, 0, three, op(dw::DW_OP_over)]), "value %rdi");
    check(&value(&[five, 0, three, op(dw::DW_OP_pick), 1]), "value %rdi");
    check(&value(&[five, 0, three, op(dw::DW_OP_drop)]), "value %rdi");
    // rot: the top goes below the next two.
    check(&value(&[op(dw::DW_OP_lit1), op(dw::DW_OP_lit2), three, op(dw::DW_OP_rot)]), "value 2");
    check(&value(&[op(dw::DW_OP_lit1), op(dw::DW_OP_bra), 1, 0, five, three]), "value 3");
    check(&value(&[three, op(dw::DW_OP_skip), 1, 0, five, op(dw::DW_OP_nop)]), "value 3");
    check(
        &value(&[five, 0, op(dw::DW_OP_bra), 0, 0, three]),
        "error: the value of variable \"p\" cannot be had: it depends on a condition",
    );
}

#[test]
fn memory_is_read_where_the_expression_says() {
    let at = [op(dw::DW_OP_breg5), 8];
    check(&[&at[..], &[op(dw::DW_OP_deref)]].concat(), "memory at u64[(%rdi + 8)]");
    let four = [&at[..], &[op(dw::DW_OP_deref_size), 4, op(dw::DW_OP_stack_value)]].concat();
    check(&four, "value u32[(%rdi + 8)]");
    let three = [&at[..], &[op(dw::DW_OP_deref_size), 3, op(dw::DW_OP_stack_value)]].concat();
    check(&three, "error: the value of variable \"p\" cannot be had: it reads memory in an unusual way");
}

#[test]
fn pieces_lie_one_after_the_other() {
    let (rdi, rsi, piece) = (op(dw::DW_OP_reg5), op(dw::DW_OP_reg4), op(dw::DW_OP_piece));
    check(&[rdi, piece, 8, rsi, piece, 8], "8 bytes: value %rdi, 8 bytes: value %rsi");
    check(&[piece, 4, rsi, piece, 4], "4 bytes: nowhere, 4 bytes: value %rsi");
    let memory = [op(dw::DW_OP_breg7), 8, piece, 4, op(dw::DW_OP_lit1), op(dw::DW_OP_stack_value), piece, 4];
    check(&memory, "4 bytes: memory at (%rsp + 8), 4 bytes: value 1");
    check(&[rdi, op(dw::DW_OP_bit_piece), 32, 32], "4 bytes: value (%rdi >> 32)");
    let bits = "error: the value of variable \"p\" cannot be had: it lies in several places that are no whole bytes";
    check(&[rdi, op(dw::DW_OP_bit_piece), 3, 0], bits);
    let nowhere = "error: variable \"p\" of f has no value at the probed place: the compiler optimised it out";
    check(&[piece, 8], nowhere);
    check(&[], nowhere);
}

#[test]
fn entry_values_are_the_registers_at_the_entry() {
    let entry = |nested: &[u8]| {
        let head = [op(dw::DW_OP_entry_value), nested.len() as u8];
        [&head[..], nested, &[op(dw::DW_OP_stack_value)]].concat()
    };
    check(&entry(&[op(dw::DW_OP_reg5)]), "value %rdi");
    check(&entry(&[op(dw::DW_OP_breg5), 8]), "value (%rdi + 8)");
    let mut nested = vec![op(dw::DW_OP_reg5)];
    for _ in 0..10 {
        nested = [&[op(dw::DW_OP_entry_value), nested.len() as u8][..], &nested].concat();
    }
    check(&nested, "error: damaged debuginfo: the expressions of a location contain one another");
}

#[test]
fn typed_values_have_the_bits_of_their_type() {
    for (encoding, expected) in
        [(dw::DW_ATE_unsigned, "value ((%rdi << 32) >> 32)"), (dw::DW_ATE_signed, "value ((%rdi << 32) >>> 32)")]
    {
        let elf = with_parameter(5, |code| {
            let int = code.base_type("int", 4, encoding);
            let mut expression = Expression::new();
            expression.op_breg(gimli::Register(5), 0);
            expression.op_convert(Some(int));
            expression.op(dw::DW_OP_stack_value);
            AttributeValue::Exprloc(expression)
        });
        assert_eq!(location(&elf, "p"), expected);
    }
    let elf = with_parameter(5, |code| {
        let double = code.base_type("double", 8, dw::DW_ATE_float);
        let mut expression = Expression::new();
        expression.op_regval_type(gimli::Register(5), double);
        expression.op(dw::DW_OP_stack_value);
        AttributeValue::Exprloc(expression)
    });
    let float = "error: the value of variable \"p\" cannot be had: its value is computed with floating point numbers";
    assert_eq!(location(&elf, "p"), float);
}

#[test]
fn what_cannot_be_had_says_why() {
    let elf = with_parameter(5, |code| {
        let root = code.root();
        let other = code.add(root, dw::DW_TAG_variable);
        let mut expression = Expression::new();
        let reference = gimli::write::DebugInfoRef::Entry(code.unit, other);
        expression.op_implicit_pointer(reference, 0);
        AttributeValue::Exprloc(expression)
    });
    let error = "error: the value of variable \"p\" cannot be had: it points to a variable that was optimised out";
    assert_eq!(location(&elf, "p"), error);
    check(
        &[op(dw::DW_OP_const1u), 8, op(dw::DW_OP_form_tls_address)],
        "error: the value of variable \"p\" cannot be had: it is a variable of the thread, which is not supported yet",
    );
    let elf = with_parameter(5, |code| {
        let root = code.root();
        let removed = code.add(root, dw::DW_TAG_formal_parameter);
        let mut expression = Expression::new();
        expression.op_gnu_parameter_ref(removed);
        expression.op(dw::DW_OP_stack_value);
        AttributeValue::Exprloc(expression)
    });
    let error = "error: variable \"p\" of f has no value at the probed place: the compiler optimised it out";
    assert_eq!(location(&elf, "p"), error);
    check(
        &[op(dw::DW_OP_addr), 0x10, 0, 0, 0, 0, 0, 0, 0],
        "error: the value of variable \"p\" cannot be had: it is a per-CPU variable, which is not supported yet",
    );
}

#[test]
fn constant_values_need_no_location() {
    for (value, expected) in [
        (AttributeValue::Data1(0xff), "value 255"),
        (AttributeValue::Sdata(-2), "value -2"),
        (AttributeValue::ImplicitConst(5), "value 5"),
        (AttributeValue::Block(vec![1, 2]), "value 513"),
        (AttributeValue::Block(vec![9; 10]), "bytes [09, 09, 09, 09, 09, 09, 09, 09, 09, 09]"),
    ] {
        let mut code = Code::new(5);
        let long = code.long();
        let function = code.function("f", 0x100, 0x40);
        let parameter = code.variable(function, dw::DW_TAG_formal_parameter, "p", long);
        code.set(parameter, dw::DW_AT_const_value, value);
        let mut elf = Elf::kernel();
        elf.function("f", 0x100, 0x40).dwarf(code);
        assert_eq!(location(&elf, "p"), expected);
    }
}

/// A list as a compiler writes it, and what it says at the entry of `f`.
#[track_caller]
fn check_list(version: u16, list: Vec<Location>, expected: &str) {
    let elf =
        with_parameter(version, |code| AttributeValue::LocationListRef(code.unit().locations.add(LocationList(list))));
    assert_eq!(location(&elf, "p"), expected, "DWARF {version}");
}

fn register(number: u8) -> Expression {
    Expression::raw(vec![op(dw::DW_OP_reg0) + number])
}

#[test]
fn lists_say_which_location_holds_where() {
    let optimised_out = "error: variable \"p\" of f has no value at the probed place: the compiler optimised it out";
    let pair = |begin, end, number| Location::OffsetPair { begin, end, data: register(number) };
    for version in [4, 5] {
        // Offsets count from the unit's low_pc until a base address is given.
        check_list(version, vec![pair(0x104, 0x140, 3), pair(0x100, 0x104, 5)], "value %rdi");
        check_list(version, vec![pair(0x104, 0x140, 3)], optimised_out);
        let base = Location::BaseAddress { address: Address::Constant(TEXT + 0x80) };
        check_list(version, vec![pair(0x80, 0x84, 5), base, pair(0x80, 0x84, 4)], "value %rsi");
    }
}

#[test]
fn entries_of_lists_have_many_forms() {
    let (begin, middle) = (Address::Constant(TEXT + 0x100), Address::Constant(TEXT + 0x104));
    let range = Location::StartEnd { begin, end: middle, data: register(5) };
    check_list(5, vec![range], "value %rdi");
    let range = Location::StartLength { begin, length: 4, data: register(5) };
    check_list(5, vec![Location::DefaultLocation { data: register(3) }, range], "value %rdi");
    let range = Location::StartLength { begin: middle, length: 4, data: register(5) };
    check_list(5, vec![range, Location::DefaultLocation { data: register(3) }], "value %rbx");
}

#[test]
fn wrong_expressions_are_errors() {
    let underflow = "error: damaged debuginfo: a location's expression takes more from its stack than it put there";
    check(&[op(dw::DW_OP_plus)], underflow);
    check(&[op(dw::DW_OP_lit1), op(dw::DW_OP_swap)], underflow);
    check(&[op(dw::DW_OP_lit1), op(dw::DW_OP_pick), 9], underflow);
    let jump = "error: damaged debuginfo: a location's expression jumps out of itself";
    check(&[op(dw::DW_OP_skip), 1, 0x7f], jump);
    check(&[op(dw::DW_OP_skip), 0, 0x80], jump);
}

#[test]
fn endless_and_exploding_expressions_meet_a_limit() {
    let limited = |code: &[u8]| {
        let elf = with_parameter(5, |_| expression(code));
        let error = variable(&elf, "p").expect_err("a limit").to_string();
        assert!(error.contains("the limit is"), "{error}");
    };
    limited(&[op(dw::DW_OP_skip), 0xfd, 0xff]);
    limited(&[op(dw::DW_OP_lit0); 100]);
    let doubled = [op(dw::DW_OP_dup), op(dw::DW_OP_mul)].repeat(40);
    limited(&[&[op(dw::DW_OP_breg5), 0][..], &doubled].concat());
}
