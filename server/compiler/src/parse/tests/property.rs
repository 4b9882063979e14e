//! What holds for every script: a tree that is printed parses to itself, and parsing ends, whatever it is given.

use std::collections::BTreeSet;

use bstr::BString;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::strategy::{Union, ValueTree as _};
use proptest::test_runner::TestRunner;
use shared::diagnostic::{SourceId, Span};

use super::*;
use crate::ast::*;
use crate::parse::invariants::{self, without_places};
use crate::parse::token::{Keyword, Symbol};

const NOWHERE: Span = Span { source: SourceId(0), start: 0, end: 0 };

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_printed_tree_parses_to_itself(tree in stapfile()) {
        let text = tree.to_string();
        let environment = Environment { guru: true, ..ENVIRONMENT };
        let (sources, again, diagnostics) = parse_text(&environment, &text);
        prop_assert_eq!(shown(&sources, diagnostics), "", "\n{}", text);
        prop_assert_eq!(without_places(&again), without_places(&tree), "\n{}", text);
    }

    #[test]
    fn parsing_tokens_ends(words in vec(word(), 0..200), argument in vec(word(), 0..4)) {
        let arguments = [argument.join(" ")];
        invariants::parser_in(&words.join(" "), &Environment { arguments: &arguments, ..ENVIRONMENT });
    }

    #[test]
    fn parsing_tokens_in_a_handler_ends(words in vec(word(), 0..100)) {
        let text = format!("@define m(a) %( @a %) probe p {{ {} }} probe q {{ x = 1 }}", words.join(" "));
        invariants::preprocessor(&text);
        invariants::parser(&text);
    }

    #[test]
    fn parsing_bytes_ends(bytes in vec(any::<u8>(), 0..300)) {
        let text = String::from_utf8_lossy(&bytes);
        invariants::lexer(&text);
        invariants::parser(&text);
    }

    #[test]
    fn parsing_characters_of_the_language_ends(text in r#"[ \n"\\%(){}\[\]?:$@#*/a-d0-9=+<.,;!-]{0,200}"#) {
        invariants::lexer(&text);
        invariants::preprocessor(&text);
        invariants::parser(&text);
    }
}

/// The statements and expressions that there are.
const CONSTRUCTS: &str = "AddressOf Aggregate Assign AtVar Binary Block Break Call Cast Const Continue Defined Delete Deref \
    Element Empty Entry Enum EnumName Expression For Foreach Histogram If In Index Literal Match Member Name Next Perf \
    Pretty Print ProbeWrite Register Return Step Target Ternary Try Unary While";

#[test]
fn every_construct_is_generated() {
    let mut runner = TestRunner::deterministic();
    let mut trees = || stapfile().new_tree(&mut runner).expect("a tree").current();
    let text: String = (0..500).map(|_| format!("{:?}", trees())).collect();
    let kinds = text.split("kind: ").skip(1).filter_map(|rest| rest.split(|c: char| !c.is_alphanumeric()).next());
    assert_eq!(kinds.collect::<BTreeSet<_>>(), CONSTRUCTS.split_whitespace().collect());
}

/// A word of the language, or one that is none.
fn word() -> impl Strategy<Value = String> {
    let others = [
        "x",
        "y1",
        "$x",
        "$$vars",
        "$",
        "$x$",
        "@count",
        "@sum",
        "@hist_log",
        "@hist_linear",
        "@cast",
        "@defined",
        "@m",
        "@define",
        "@nope",
        "printf",
        "print",
        "printd",
        "\"s\"",
        "\"%d\"",
        "\"",
        "1",
        "0x1f",
        "09",
        "$1",
        "@1",
        "$2",
        "$#",
        "%(",
        "%?",
        "%:",
        "%)",
        "%{",
        "%}",
        "kernel_v",
        "==",
        "`",
        "é",
        "/*",
        "*/",
        "//",
        "#",
        "\n",
        "m",
        "arch",
        "begin",
    ];
    let known = Keyword::ALL.iter().chain(Symbol::ALL).copied();
    proptest::sample::select(known.chain(others).map(str::to_owned).collect::<Vec<_>>())
}

fn stapfile() -> impl Strategy<Value = Stapfile> {
    vec(prop_oneof![global(), function(), probe(), alias()], 0..4).prop_map(|items| Stapfile { items })
}

fn name() -> impl Strategy<Value = Name> {
    "[a-z_][a-z0-9_$]{0,3}x".prop_map(|text| Name { text, span: NOWHERE })
}

fn literal(value: LiteralValue) -> Literal {
    Literal { value, span: NOWHERE }
}

fn string() -> impl Strategy<Value = Literal> {
    let bytes = prop_oneof![any::<u8>(), Just(b'\\'), Just(b'"'), b'0'..=b'9'];
    vec(bytes, 0..6).prop_map(|bytes| literal(LiteralValue::String(BString::from(bytes))))
}

fn number() -> impl Strategy<Value = Literal> {
    prop_oneof![any::<i64>(), -2..10_i64, Just(i64::MIN)].prop_map(|number| literal(LiteralValue::Number(number)))
}

fn any_literal() -> impl Strategy<Value = Literal> {
    prop_oneof![number(), string()]
}

fn global() -> impl Strategy<Value = Item> {
    let size = (1..i64::MAX).prop_map(|size| literal(LiteralValue::Number(size)));
    let shape = prop_oneof![
        (any::<bool>(), option::of(size)).prop_map(|(wrap, size)| (wrap, size, None)),
        any_literal().prop_map(|initial| (false, None, Some(initial))),
    ];
    (name(), any::<bool>(), shape).prop_map(|(name, private, (wrap, size, initial))| {
        Item::Global(GlobalDecl { name, private, wrap, size, initial })
    })
}

fn type_name() -> impl Strategy<Value = TypeName> {
    prop_oneof![Just(TypeName::Long), Just(TypeName::String)]
}

fn function() -> impl Strategy<Value = Item> {
    let parameters = vec((name(), option::of(type_name())), 0..3).prop_map(|parameters| {
        let numbered = parameters.into_iter().enumerate().map(|(index, (mut name, ty))| {
            name.text.push_str(&index.to_string());
            Parameter { name, ty }
        });
        numbered.collect()
    });
    let priority = option::of(1..i64::MAX);
    (name(), any::<bool>(), parameters, option::of(type_name()), priority, block(true)).prop_map(
        |(name, private, parameters, result, priority, body)| {
            Item::Function(FunctionDecl { name, private, parameters, result, priority, body })
        },
    )
}

/// A keyword where it is none: as a component or a member.
fn keyword() -> impl Strategy<Value = Name> {
    proptest::sample::select(Keyword::ALL.to_vec()).prop_map(|text| Name { text: text.to_owned(), span: NOWHERE })
}

fn component() -> impl Strategy<Value = Component> {
    let word = prop_oneof![4 => name(), 1 => keyword(), 4 => "[a-z*][a-z0-9*]{0,4}".prop_map(|text| Name { text, span: NOWHERE })];
    (word, option::of(any_literal())).prop_map(|(name, argument)| Component { name, argument })
}

fn point() -> impl Strategy<Value = ProbePoint> {
    (vec(component(), 1..4), 0..3, option::weighted(0.2, expression())).prop_map(|(components, suffix, condition)| {
        ProbePoint { components, optional: suffix > 0, sufficient: suffix > 1, condition, span: NOWHERE }
    })
}

fn probe() -> impl Strategy<Value = Item> {
    (vec(point(), 1..3), block(false)).prop_map(|(points, body)| Item::Probe(Probe { points, body, span: NOWHERE }))
}

fn alias() -> impl Strategy<Value = Item> {
    // `a*=` is an operator: a name that ends in a star is followed by a space when it is printed.
    let names = vec(vec(component(), 1..3), 1..3);
    (names, vec(point(), 1..3), block(false), option::of(block(false)), any::<bool>()).prop_map(
        |(names, points, body, epilogue, after)| {
            let placement = if after && epilogue.is_none() { Placement::Epilogue } else { Placement::Prologue };
            Item::Alias(ProbeAlias { names, points, placement, body, epilogue, span: NOWHERE })
        },
    )
}

fn at(kind: ExpressionKind) -> Expression {
    Expression { kind, span: NOWHERE }
}

fn boxed(expression: impl Strategy<Value = Expression>) -> impl Strategy<Value = Box<Expression>> {
    expression.prop_map(Box::new)
}

/// Keys, some of which are stars where they may be.
fn keys(expression: impl Strategy<Value = Expression>, stars: bool) -> impl Strategy<Value = Vec<Option<Expression>>> {
    let key = option::weighted(0.7, expression);
    vec(key.prop_map(move |key| key.or_else(|| (!stars).then(zero))), 1..3)
}

fn zero() -> Expression {
    at(ExpressionKind::Literal(LiteralValue::Number(0)))
}

fn expression() -> impl Strategy<Value = Expression> + Clone {
    leaf().prop_recursive(4, 24, 3, |inner| {
        let inner = inner.boxed();
        Union::new([operation(inner.clone()), assignment(inner.clone()), target(inner.clone()), operator(inner)])
    })
}

fn leaf() -> impl Strategy<Value = Expression> {
    prop_oneof![
        any_literal().prop_map(|literal| at(ExpressionKind::Literal(literal.value))),
        name().prop_map(|name| at(ExpressionKind::Name(name.text))),
        "\\$[a-z$]{0,2}x".prop_map(|text| at(ExpressionKind::Target(text))),
        (string(), option::of(string())).prop_map(|(name, module)| at(ExpressionKind::AtVar { name, module })),
        (string(), option::of(string())).prop_map(|(name, module)| at(ExpressionKind::Enum(name, module))),
        name().prop_map(|name| at(ExpressionKind::ProbeWrite(name))),
        "\\$[a-z]{1,3}".prop_map(|text| at(ExpressionKind::ProbeWrite(Name { text, span: NOWHERE }))),
        string().prop_map(|name| at(ExpressionKind::Perf(name))),
        string().prop_map(|name| at(ExpressionKind::Const(name))),
        (any::<bool>(), number()).prop_map(|(user, number)| at(ExpressionKind::Register { user, number })),
    ]
}

fn binary() -> impl Strategy<Value = Binary> {
    use Binary::*;
    proptest::sample::select(vec![
        Add,
        Subtract,
        Multiply,
        Divide,
        Modulo,
        And,
        Or,
        Xor,
        ShiftLeft,
        ShiftRight,
        ShiftRightLogical,
        LogicalAnd,
        LogicalOr,
        Equal,
        NotEqual,
        Less,
        LessEqual,
        Greater,
        GreaterEqual,
        Concat,
    ])
}

fn operation(inner: BoxedStrategy<Expression>) -> BoxedStrategy<Expression> {
    let unary = proptest::sample::select(vec![Unary::Negate, Unary::Plus, Unary::LogicalNot, Unary::Not]);
    prop_oneof![
        (unary, boxed(inner.clone())).prop_map(|(unary, operand)| at(ExpressionKind::Unary(unary, operand))),
        (binary(), boxed(inner.clone()), boxed(inner.clone()))
            .prop_map(|(binary, left, right)| at(ExpressionKind::Binary(binary, left, right))),
        (boxed(inner.clone()), boxed(inner.clone()), boxed(inner.clone()))
            .prop_map(|(condition, then, otherwise)| at(ExpressionKind::Ternary(condition, then, otherwise))),
        (keys(inner.clone(), true), name()).prop_map(|(keys, array)| at(ExpressionKind::In { keys, array })),
        (any::<bool>(), boxed(inner), string()).prop_map(|(negated, subject, pattern)| at(ExpressionKind::Match {
            negated,
            subject,
            pattern
        })),
    ]
    .boxed()
}

/// What can be assigned to.
fn place(inner: BoxedStrategy<Expression>) -> BoxedStrategy<Expression> {
    prop_oneof![
        name().prop_map(|name| at(ExpressionKind::Name(name.text))),
        (name(), keys(inner.clone(), false)).prop_map(|(name, keys)| index(name, keys)),
        (boxed(inner.clone()), boxed(inner.clone()))
            .prop_map(|(base, index)| at(ExpressionKind::Element { base, index })),
        (boxed(inner), prop_oneof![4 => name(), 1 => keyword()]).prop_map(|(base, mut member)| {
            member.text = member.text.replace('$', "_");
            at(ExpressionKind::Member { base, member })
        }),
        "\\$[a-z]{1,3}".prop_map(|text| at(ExpressionKind::Target(text))),
    ]
    .boxed()
}

fn index(name: Name, keys: Vec<Option<Expression>>) -> Expression {
    at(ExpressionKind::Index { base: Box::new(at(ExpressionKind::Name(name.text))), keys })
}

fn assignment(inner: BoxedStrategy<Expression>) -> BoxedStrategy<Expression> {
    use Binary::*;
    let with = vec![Add, Subtract, Multiply, Divide, Modulo, And, Or, Xor, ShiftLeft, ShiftRight, Concat];
    let op = prop_oneof![
        Just(Assign::Set),
        Just(Assign::Accumulate),
        proptest::sample::select(with).prop_map(Assign::With),
    ];
    prop_oneof![
        (op, boxed(place(inner.clone())), boxed(inner.clone()))
            .prop_map(|(op, target, value)| at(ExpressionKind::Assign { op, target, value })),
        (any::<bool>(), any::<bool>(), boxed(place(inner)))
            .prop_map(|(increment, postfix, target)| at(ExpressionKind::Step { increment, postfix, target })),
    ]
    .boxed()
}

fn target(inner: BoxedStrategy<Expression>) -> BoxedStrategy<Expression> {
    prop_oneof![
        place(inner.clone()),
        (boxed(inner.clone()), any::<bool>()).prop_map(|(base, deep)| at(ExpressionKind::Pretty { base, deep })),
        boxed(inner.clone()).prop_map(|operand| at(ExpressionKind::AddressOf(operand))),
        boxed(inner.clone()).prop_map(|operand| at(ExpressionKind::Defined(operand))),
        boxed(inner.clone()).prop_map(|operand| at(ExpressionKind::Entry(operand))),
        (boxed(inner.clone()), string(), option::of(string()))
            .prop_map(|(operand, ty, module)| at(ExpressionKind::Cast { operand, ty, module })),
        (any::<bool>(), number(), boxed(inner.clone())).prop_map(|(user, size, address)| at(ExpressionKind::Deref {
            user,
            size,
            address
        })),
        (boxed(inner), option::of((string(), option::of(string())))).prop_map(|(value, types)| {
            let (ty, module) = types.map_or((None, None), |(ty, module)| (Some(ty), module));
            at(ExpressionKind::EnumName(value, ty, module))
        }),
    ]
    .boxed()
}

fn aggregate() -> impl Strategy<Value = Aggregate> {
    use Aggregate::*;
    proptest::sample::select(vec![Count, Sum, Min, Max, Average, Variance])
}

fn histogram(inner: BoxedStrategy<Expression>) -> impl Strategy<Value = Expression> {
    let histogram = prop_oneof![
        Just(Histogram::Log),
        (any::<i64>(), any::<i64>(), any::<i64>()).prop_map(|(low, high, step)| Histogram::Linear { low, high, step }),
    ];
    (histogram, boxed(inner)).prop_map(|(histogram, statistic)| at(ExpressionKind::Histogram { histogram, statistic }))
}

fn operator(inner: BoxedStrategy<Expression>) -> BoxedStrategy<Expression> {
    let several = || vec(inner.clone(), 0..3);
    let plain = |arguments_min: usize| vec(inner.clone(), arguments_min..arguments_min + 2);
    let printed = prop_oneof![
        (string(), several()).prop_map(|(format, arguments)| (PrintForm::Format(format), arguments)),
        plain(1).prop_map(|arguments| (PrintForm::Character, arguments)),
        plain(1).prop_map(|arguments| (PrintForm::Plain { delimiter: None, newline: false }, arguments)),
        plain(0).prop_map(|arguments| (PrintForm::Plain { delimiter: None, newline: true }, arguments)),
        (histogram(inner.clone()), any::<bool>())
            .prop_map(|(argument, newline)| (PrintForm::Plain { delimiter: None, newline }, vec![argument])),
        (string(), any::<bool>(), plain(2)).prop_map(|(delimiter, newline, arguments)| {
            (PrintForm::Plain { delimiter: Some(delimiter), newline }, arguments)
        }),
    ];
    prop_oneof![
        (name(), several()).prop_map(|(function, arguments)| at(ExpressionKind::Call { function, arguments })),
        (aggregate(), boxed(inner.clone()), any::<i64>()).prop_map(|(aggregate, statistic, shift)| {
            let shift = (aggregate == Aggregate::Variance && shift > 0).then_some(shift);
            at(ExpressionKind::Aggregate { aggregate, statistic, shift })
        }),
        (boxed(histogram(inner.clone())), keys(inner.clone(), false))
            .prop_map(|(base, keys)| at(ExpressionKind::Index { base, keys })),
        (any::<bool>(), printed).prop_map(|(to_string, (form, arguments))| {
            at(ExpressionKind::Print(Print { to_string, form, arguments }))
        }),
    ]
    .boxed()
}

fn block(function: bool) -> BoxedStrategy<Block> {
    vec(statement(function), 0..4).prop_map(|statements| Block { statements, span: NOWHERE }).boxed()
}

fn statement(function: bool) -> impl Strategy<Value = Statement> {
    let simple = prop_oneof![
        1 => Just(StatementKind::Empty),
        1 => Just(StatementKind::Next),
        4 => expression().prop_map(StatementKind::Expression),
        1 => name().prop_map(|name| StatementKind::Delete(at(ExpressionKind::Name(name.text)))),
        1 => (name(), keys(expression(), true)).prop_map(|(name, keys)| StatementKind::Delete(index(name, keys))),
        1 => option::of(expression()).prop_map(move |value| match function {
            true => StatementKind::Return(value),
            false => StatementKind::Empty,
        }),
    ];
    let simple = simple.prop_map(stated).boxed();
    simple.clone().prop_recursive(3, 12, 3, move |inner| {
        let looped = prop_oneof![
            4 => inner.clone(),
            1 => Just(stated(StatementKind::Break)),
            1 => Just(stated(StatementKind::Continue)),
        ];
        Union::new([branch(inner, simple.clone()), looping(looped.boxed())])
    })
}

fn stated(kind: StatementKind) -> Statement {
    Statement { kind, span: NOWHERE }
}

fn several(inner: BoxedStrategy<Statement>) -> impl Strategy<Value = Block> {
    vec(inner, 0..3).prop_map(|statements| Block { statements, span: NOWHERE })
}

/// `simple` is what can stand before an `else`: nothing that takes the `else` for itself.
fn branch(inner: BoxedStrategy<Statement>, simple: BoxedStrategy<Statement>) -> BoxedStrategy<Statement> {
    let closed = prop_oneof![simple, several(inner.clone()).prop_map(|block| stated(StatementKind::Block(block))),];
    prop_oneof![
        several(inner.clone()).prop_map(StatementKind::Block),
        (expression(), inner.clone()).prop_map(|(condition, then)| StatementKind::If {
            condition,
            then: Box::new(then),
            otherwise: None
        }),
        (expression(), closed, inner.clone()).prop_map(|(condition, then, otherwise)| StatementKind::If {
            condition,
            then: Box::new(then),
            otherwise: Some(Box::new(otherwise)),
        }),
        (several(inner.clone()), option::of(name()), several(inner))
            .prop_map(|(body, message, handler)| StatementKind::Try { body, message, handler }),
    ]
    .prop_map(stated)
    .boxed()
}

fn looping(inner: BoxedStrategy<Statement>) -> BoxedStrategy<Statement> {
    let part = || option::of(boxed(expression()));
    prop_oneof![
        (expression(), inner.clone())
            .prop_map(|(condition, body)| StatementKind::While { condition, body: Box::new(body) }),
        (part(), part(), part(), inner.clone()).prop_map(|(init, condition, step, body)| StatementKind::For {
            init,
            condition,
            step,
            body: Box::new(body),
        }),
        foreach(inner).prop_map(|foreach| StatementKind::Foreach(Box::new(foreach))),
    ]
    .prop_map(stated)
    .boxed()
}

fn foreach(inner: BoxedStrategy<Statement>) -> impl Strategy<Value = Foreach> {
    let over =
        prop_oneof![name().prop_map(|name| at(ExpressionKind::Name(name.text))), histogram(expression().boxed()),];
    let slice = prop_oneof![Just(Vec::new()), keys(expression(), true)];
    let by = prop_oneof![Just(SortBy::Key(0)), Just(SortBy::Value), aggregate().prop_map(SortBy::Aggregate)];
    let sort = option::of((by, any::<bool>()).prop_map(|(by, descending)| Sort { by, descending }));
    (option::of(name()), vec(name(), 1..3), over, slice, sort, option::of(expression()), inner).prop_map(
        |(value, keys, over, slice, mut sort, limit, body)| {
            if let Some(Sort { by: SortBy::Key(index), .. }) = &mut sort {
                *index = keys.len() - 1;
            }
            Foreach { value, keys, over, slice, sort, limit, body }
        },
    )
}
