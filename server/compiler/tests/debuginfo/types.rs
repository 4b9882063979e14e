//! Types: levels, sizes, spelling, names.

use compiler::debuginfo::{Debuginfo, Encoding, Qualifier, StructKind, Type, TypeId};
use gimli::constants as dw;
use gimli::write::{AttributeValue, UnitEntryId};

use crate::entry;
use crate::synthetic::{Code, Elf, text};

/// Makes a type and looks at it.
fn look<T>(make: impl FnOnce(&mut Code) -> UnitEntryId, look: impl FnOnce(&Debuginfo<'_>, TypeId) -> T) -> T {
    let mut code = Code::new(5);
    let kind = make(&mut code);
    let function = code.function("f", 0x100, 0x40);
    code.parameter(function, "p", kind, &[dw::DW_OP_reg5.0]);
    let mut elf = Elf::kernel();
    elf.function("f", 0x100, 0x40).dwarf(code);
    let bytes = elf.bytes();
    let debuginfo = Debuginfo::open(&bytes).expect("an ELF file");
    let parameter = debuginfo.variable(&entry(&debuginfo, "f"), "p").expect("a parameter");
    look(&debuginfo, parameter.type_id)
}

fn spelled(make: impl FnOnce(&mut Code) -> UnitEntryId) -> String {
    look(make, |debuginfo, id| debuginfo.type_name(id).expect("a name"))
}

fn function_type(code: &mut Code, returns: Option<UnitEntryId>, parameters: &[UnitEntryId]) -> UnitEntryId {
    let root = code.root();
    let function = code.add(root, dw::DW_TAG_subroutine_type);
    if let Some(returns) = returns {
        code.set(function, dw::DW_AT_type, AttributeValue::UnitRef(returns));
    }
    for &parameter in parameters {
        let entry = code.add(function, dw::DW_TAG_formal_parameter);
        code.set(entry, dw::DW_AT_type, AttributeValue::UnitRef(parameter));
    }
    function
}

fn typedef(code: &mut Code, name: &str, of: UnitEntryId) -> UnitEntryId {
    let typedef = code.derived(dw::DW_TAG_typedef, of);
    code.set(typedef, dw::DW_AT_name, text(name));
    typedef
}

#[test]
fn types_are_spelled_as_systemtap_lists_them() {
    let pointer = dw::DW_TAG_pointer_type;
    assert_eq!(spelled(|code| code.long()), "long int");
    assert_eq!(
        spelled(|code| {
            let char = code.base_type("char", 1, dw::DW_ATE_signed_char);
            let constant = code.derived(dw::DW_TAG_const_type, char);
            code.derived(pointer, constant)
        }),
        "char const*"
    );
    assert_eq!(
        spelled(|code| {
            let root = code.root();
            code.add(root, pointer)
        }),
        "void*"
    );
    assert_eq!(
        spelled(|code| {
            let (int, char) =
                (code.base_type("int", 4, dw::DW_ATE_signed), code.structure(dw::DW_TAG_union_type, "u", 4));
            let second = code.derived(pointer, char);
            let function = function_type(code, None, &[int, second]);
            code.derived(pointer, function)
        }),
        "void (*) (int, union u*)"
    );
    assert_eq!(
        spelled(|code| {
            let long = code.long();
            let function = function_type(code, Some(long), &[]);
            code.derived(pointer, function)
        }),
        "long int (*) (void)"
    );
    assert_eq!(spelled(|code| code.structure(dw::DW_TAG_structure_type, "", 4)), "struct {...}");
    assert_eq!(
        spelled(|code| {
            let long = code.long();
            let size_t = typedef(code, "size_t", long);
            let volatile = code.derived(dw::DW_TAG_volatile_type, size_t);
            code.derived(dw::DW_TAG_array_type, volatile)
        }),
        "size_t volatile[]"
    );
}

#[test]
fn levels_of_types_are_seen_one_by_one() {
    let make = |code: &mut Code| {
        let long = code.long();
        let typedef = typedef(code, "ssize_t", long);
        code.derived(dw::DW_TAG_const_type, typedef)
    };
    look(make, |debuginfo, id| {
        let Ok(Type::Qualified { qualifier: Qualifier::Const, to }) = debuginfo.type_of(id) else { panic!("const") };
        let Ok(Type::Typedef { name, to }) = debuginfo.type_of(to) else { panic!("typedef") };
        assert_eq!(name, "ssize_t");
        let long = Type::Integer { name: "long int".to_owned(), size: 8, encoding: Encoding::Signed };
        assert_eq!(debuginfo.type_of(to), Ok(long.clone()));
        assert_eq!(debuginfo.resolved_type(id), Ok((to, long)));
        assert_eq!(debuginfo.type_size(id), Ok(Some(8)));
    });
}

#[test]
fn enums_have_values_and_signs() {
    let make = |encoding: Option<dw::DwAte>| {
        move |code: &mut Code| {
            let (root, long) = (code.root(), code.base_type("unsigned int", 4, dw::DW_ATE_unsigned));
            let kind = code.named(root, dw::DW_TAG_enumeration_type, "e");
            code.set(kind, dw::DW_AT_byte_size, AttributeValue::Udata(4));
            code.set(kind, dw::DW_AT_type, AttributeValue::UnitRef(long));
            if let Some(encoding) = encoding {
                code.set(kind, dw::DW_AT_encoding, AttributeValue::Encoding(encoding));
            }
            for (name, value) in [("A", AttributeValue::Data1(1)), ("B", AttributeValue::Sdata(-1))] {
                let enumerator = code.named(kind, dw::DW_TAG_enumerator, name);
                code.set(enumerator, dw::DW_AT_const_value, value);
            }
            kind
        }
    };
    for (encoding, signed) in [(None, false), (Some(dw::DW_ATE_signed), true)] {
        look(make(encoding), |debuginfo, id| {
            let values = debuginfo.enumerators(id).expect("enumerators");
            let values: Vec<_> = values.iter().map(|enumerator| (enumerator.name.as_str(), enumerator.value)).collect();
            assert_eq!(values, [("A", 1), ("B", -1)]);
            assert_eq!(debuginfo.type_of(id), Ok(Type::Enum { name: Some("e".to_owned()), size: 4, signed }));
            assert_eq!(debuginfo.type_name(id).as_deref(), Ok("enum e"));
            assert_eq!(debuginfo.members(id), Ok(Vec::new()));
        });
    }
}

#[test]
fn arrays_have_sizes() {
    let make = |code: &mut Code| {
        let long = code.long();
        let array = code.derived(dw::DW_TAG_array_type, long);
        for (name, count) in [(dw::DW_AT_upper_bound, 2), (dw::DW_AT_count, 5)] {
            let range = code.add(array, dw::DW_TAG_subrange_type);
            code.set(range, name, AttributeValue::Udata(count));
        }
        array
    };
    look(make, |debuginfo, id| {
        let Ok(Type::Array { element, count: Some(3) }) = debuginfo.type_of(id) else { panic!("3 elements") };
        assert!(matches!(debuginfo.type_of(element), Ok(Type::Array { count: Some(5), .. })));
        assert_eq!(debuginfo.type_size(element), Ok(Some(40)));
        assert_eq!(debuginfo.type_size(id), Ok(Some(120)));
    });
    let open = |code: &mut Code| {
        let long = code.long();
        code.derived(dw::DW_TAG_array_type, long)
    };
    look(open, |debuginfo, id| assert_eq!(debuginfo.type_size(id), Ok(None)));
}

#[test]
fn types_are_found_by_the_names_that_c_gives_them() {
    let make = |code: &mut Code| {
        let root = code.root();
        let declared = code.named(root, dw::DW_TAG_structure_type, "task_struct");
        code.set(declared, dw::DW_AT_declaration, AttributeValue::Flag(true));
        let kind = code.named(root, dw::DW_TAG_enumeration_type, "e");
        code.set(kind, dw::DW_AT_byte_size, AttributeValue::Udata(4));
        code.base_type("long unsigned int", 8, dw::DW_ATE_unsigned);
        code.next_unit();
        let name = code.dwarf.strings.add("task_struct");
        let defined = code.structure(dw::DW_TAG_structure_type, "", 64);
        code.set(defined, dw::DW_AT_name, AttributeValue::StringRef(name));
        let long = code.long();
        typedef(code, "ssize_t", long);
        code.structure(dw::DW_TAG_union_type, "u", 8);
        code.unit = code.dwarf.units.id(0);
        code.long()
    };
    look(make, |debuginfo, _| {
        let name = |name: &str| {
            let found = debuginfo.type_named(name).expect("types");
            found.map(|id| debuginfo.type_name(id).expect("a name"))
        };
        for (asked, expected) in [
            ("task_struct", Some("struct task_struct")),
            ("struct task_struct", Some("struct task_struct")),
            ("const struct task_struct *", Some("struct task_struct*")),
            ("struct task_struct**", Some("struct task_struct**")),
            ("union task_struct", None),
            ("u", Some("union u")),
            ("enum e", Some("enum e")),
            ("unsigned long", Some("long unsigned int")),
            ("ssize_t", Some("ssize_t")),
            ("struct ssize_t", None),
            ("void*", Some("void*")),
            ("nothing_at_all", None),
            ("", None),
            ("struct", None),
        ] {
            assert_eq!(name(asked).as_deref(), expected, "{asked:?}");
        }
        let found = debuginfo.type_named("task_struct").expect("types").expect("a struct");
        let defined = Type::Struct { kind: StructKind::Struct, name: Some("task_struct".to_owned()), size: Some(64) };
        assert_eq!(debuginfo.type_of(found), Ok(defined));
    });
}

#[test]
fn types_that_lead_in_circles_are_errors() {
    let make = |code: &mut Code| {
        let long = code.long();
        let first = typedef(code, "a", long);
        let second = typedef(code, "b", first);
        code.set(first, dw::DW_AT_type, AttributeValue::UnitRef(second));
        first
    };
    look(make, |debuginfo, id| {
        assert_eq!(debuginfo.type_name(id).as_deref(), Ok("a"));
        let error = debuginfo.resolved_type(id).expect_err("a circle").to_string();
        assert_eq!(error, "damaged debuginfo: a type is defined by itself");
        assert!(debuginfo.type_size(id).is_err());
    });
    let make = |code: &mut Code| {
        let long = code.long();
        let pointer = code.derived(dw::DW_TAG_pointer_type, long);
        code.set(pointer, dw::DW_AT_type, AttributeValue::UnitRef(pointer));
        pointer
    };
    look(make, |debuginfo, id| {
        assert_eq!(debuginfo.type_size(id), Ok(Some(8)));
        assert!(debuginfo.type_name(id).expect_err("a circle").to_string().contains("the limit is"));
    });
    let make = |code: &mut Code| {
        let structure = code.structure(dw::DW_TAG_structure_type, "s", 8);
        code.member(structure, "", structure, 0);
        structure
    };
    look(make, |debuginfo, id| {
        let of = compiler::debuginfo::Variable {
            type_id: id,
            location: compiler::debuginfo::Location::Memory(compiler::debuginfo::Expr::Given(0)),
            bits: None,
        };
        assert!(debuginfo.member(&of, "x").expect_err("a circle").to_string().contains("the limit is"));
    });
}

#[test]
fn functions_of_functions_do_not_explode_when_spelled() {
    let make = |code: &mut Code| {
        let mut kind = code.long();
        for _ in 0..100 {
            kind = function_type(code, Some(kind), &[kind, kind]);
        }
        kind
    };
    look(make, |debuginfo, id| {
        assert!(debuginfo.type_name(id).expect_err("too long").to_string().contains("the limit is"));
    });
}
