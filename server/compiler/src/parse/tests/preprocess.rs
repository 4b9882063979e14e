//! Conditionals, macros and script arguments.

use super::*;

/// The branch that a condition takes: `y` or `n`.
#[track_caller]
fn holds(environment: &Environment<'_>, condition: &str) -> bool {
    let (sources, tree, diagnostics) = parse_text(environment, &format!("probe %( {condition} %? y %: n %) {{}}"));
    assert_eq!(shown(&sources, diagnostics), "", "{condition}");
    match tree.to_string().as_str() {
        "probe y {\n}\n" => true,
        "probe n {\n}\n" => false,
        other => panic!("{condition} made {other}"),
    }
}

#[test]
fn conditions_ask_for_the_environment() {
    let config: BTreeMap<String, Option<String>> =
        [("CONFIG_SMP", "y"), ("CONFIG_NR_CPUS", "64"), ("CONFIG_BASE", "0x10"), ("CONFIG_NAME", "\"a b\"")]
            .into_iter()
            .map(|(name, value)| (name.to_owned(), Some(value.to_owned())))
            .chain([("CONFIG_NO".to_owned(), None)])
            .collect();
    let environment = Environment { config: &config, ..ENVIRONMENT };
    for (condition, expected) in [
        ("kernel_v >= \"6.1\"", true),
        ("kernel_v == \"6.1.0\"", true),
        ("kernel_v < \"6.10\"", true),
        ("kernel_v == \"6.*\"", true),
        ("kernel_v != \"6.*\"", false),
        ("kernel_vr == \"6.1.0-56-cloud-amd64\"", true),
        ("kernel_vr > \"6.1.0-9\"", true),
        ("systemtap_v >= \"5.5\"", true),
        ("systemtap_v < \"4.0\"", false),
        ("arch == \"x86*\"", true),
        ("arch != \"[ip]*\"", true),
        ("runtime != \"bpf\"", true),
        ("systemtap_privilege == \"stapdev\"", true),
        ("systemtap_privilege == \"stap*\"", false),
        ("guru_mode == 0", true),
        ("guru_mode != 0", false),
        ("CONFIG_SMP == \"y\"", true),
        ("CONFIG_SMP == \"[ym]\"", true),
        ("CONFIG_NO == \"\"", true),
        ("CONFIG_NO == \"y\"", false),
        ("CONFIG_NO == 0", true),
        ("CONFIG_NAME == \"\\\"a b\\\"\"", true),
        ("CONFIG_NR_CPUS >= 64", true),
        ("CONFIG_NR_CPUS > CONFIG_BASE", true),
        ("CONFIG_NR_CPUS == CONFIG_NR_CPUS", true),
        ("\"a\" < \"b\"", true),
        ("\"a*\" == \"ab\"", false),
        ("2 > 10", false),
        ("-1 < 0", true),
        ("1 == 1 && 2 == 3 || 4 == 4", true),
        ("1 == 1 || 2 == 3 && 4 == 5", true),
        ("1 == 2 || 2 == 2 && 4 == 5", false),
    ] {
        assert_eq!(holds(&environment, condition), expected, "{condition}");
    }
}

#[test]
fn wrong_conditions_take_neither_branch() {
    check(
        "probe a {
           x %( kernl_v > \"6\" %? 1 %: 2 %)
           %( kernel_v > 6 %? 1 %: 2 %)
           %( kernel_v > \"6.*\" %? 1 %: 2 %)
           %( arch > \"x\" %? 1 %: 2 %)
           %( (1 == 1) %? 1 %)
           %( 1 == 1 %)
           %( 1 == \"a\" %? 1 %)
           %( guru_mode == 2 %? 1 %)
           %( 1 = 1 %? 1 %)
           %( @nope == 1 %? 1 %)
           y }",
        r#"
        probe a {
          x;
          y;
        }
        error[parse/condition]: no condition is called `kernl_v`
          2:17 `kernl_v`
          help: did you mean `kernel_v` or `kernel_vr`?
        error[parse/condition]: expected a string
          3:26 `6`
        error[parse/condition]: a version with wildcards can be equal (`==`) or not (`!=`), but has no order
          4:24 `>`
        error[parse/condition]: expected `==` or `!=`
          5:20 `>`
        error[parse/condition]: expected a name, a string or a number to compare
          6:15 `(`
          help: a condition has no parentheses: `&&` binds tighter than `||`
          help: where no condition but a remainder is meant, write `% (` with a space
        error[parse/condition]: expected `%?`, `&&` or `||` after the comparison
          7:22 `%)`
        error[parse/condition]: a number compares only with a number
          8:20 `"a"`
        error[parse/condition]: `guru_mode` compares only with 0 or 1
          9:28 `2`
        error[parse/condition]: expected `<`, `<=`, `==`, `!=`, `>` or `>=`
          10:17 `=`
        error[parse/unknown-operator]: no operator or macro is called `@nope`
          11:15 `@nope`
        "#,
    );
}

#[test]
fn an_unknown_macro_is_told_wherever_it_stands() {
    check(
        "@define nope %( %)
         @nop probe a { x }
         probe b(@nop) { }
         function f(@nop) { }",
        "
        probe a {
          x;
        }
        error[parse/unknown-operator]: no operator or macro is called `@nop`
          2:10 `@nop`
          help: did you mean `@nope`?
        error[parse/unknown-operator]: no operator or macro is called `@nop`
          3:18 `@nop`
          help: did you mean `@nope`?
        error[parse/unknown-operator]: no operator or macro is called `@nop`
          4:21 `@nop`
          help: did you mean `@nope`?
        ",
    );
}

#[test]
fn an_unknown_configuration_is_told() {
    check(
        "%( CONFIG_SMP == \"y\" %? probe a {} %)",
        "
        warning[parse/config-unknown]: the host's kernel configuration is not known: `CONFIG_SMP` counts as not set
          1:4 `CONFIG_SMP`
        ",
    );
}

#[test]
fn branches_nest_and_what_is_not_taken_is_not_read() {
    check(
        "probe a {
           %( 1 == 1 %? %( 1 == 2 %? a %: b %) %: c %)
           %( 1 == 2 %? %( nonsense %? @nope(` 99x \"\\xx\" $7 %{ c %} %: %) @define m %( 1 %) %: d %)
           %( 1 == 1 %? %) %( 1 == 2 %? %: %) %( 1 == 2 %? e %)
           %( 1 == 1 %? \"f\" %) \"g\"
         }
         %( 1 == 1 %? probe b { %: probe c { %) h }",
        r#"
        probe a {
          b;
          d;
          "fg";
        }
        probe b {
          h;
        }
        "#,
    );
}

#[test]
fn conditionals_without_their_ends() {
    check(
        "probe a { %( 1 == 1 %? x }",
        "
        probe a {
          x;
        }
        error[parse/unclosed-conditional]: this `%(` has no `%)`
          1:11 `%(`
          help: a conditional is written `%( condition %? tokens %: tokens %)`
        ",
    );
    check(
        "probe a { %( 1 == 2 %? x }",
        "
        probe a {
        }
        error[parse/unclosed-conditional]: this `%(` has no `%)`
          1:11 `%(`
          help: a conditional is written `%( condition %? tokens %: tokens %)`
        ",
    );
    check(
        "probe a { %( 1 == 1 %? x %: y }",
        "
        probe a {
          x;
        }
        error[parse/unclosed-conditional]: this `%(` has no `%)`
          1:11 `%(`
          help: a conditional is written `%( condition %? tokens %: tokens %)`
        ",
    );
    check(
        "probe a { %( 1 == 1",
        "
        probe a {
        }
        error[parse/unclosed-conditional]: this `%(` has no `%)`
          1:11 `%(`
          help: a conditional is written `%( condition %? tokens %: tokens %)`
        ",
    );
    check(
        "probe a { x %) y %? z %: 1 }",
        "
        probe a {
          x;
          y;
          z;
          1;
        }
        error[parse/stray-conditional]: this `%)` has no `%(`
          1:13 `%)`
        error[parse/stray-conditional]: this `%?` has no `%(`
          1:18 `%?`
        error[parse/stray-conditional]: this `%:` has no `%(`
          1:23 `%:`
        ",
    );
    check(
        "probe a { %( 1 == 1 %? x %: y %: z %) w }",
        "
        probe a {
          x;
          w;
        }
        error[parse/stray-conditional]: a second `%:` in one conditional
          1:31 `%:`
          1:26 `%:` it belongs to this one
        ",
    );
    check(
        "probe a { x = y %(z) }",
        "
        probe a {
          x = y;
        }
        error[parse/condition]: expected `<`, `<=`, `==`, `!=`, `>` or `>=`
          1:20 `)`
          help: a condition has no parentheses: `&&` binds tighter than `||`
          help: where no condition but a remainder is meant, write `% (` with a space
        ",
    );
}

#[test]
fn macros_expand() {
    check(
        "@define one %( 1 %)
         @define add(a, b) %( (@a + @b) %)
         @define twice(x) %( @add(@x, @x) %)
         @define choose(c, a, b) %( %( @c == 1 %? @a %: @b %) %)
         @define join %( \"a\" %)
         probe p {
           @one; @add(f(1, 2), a[1, 2]); @twice(@twice(@one)); @choose(1, x, y) @choose(2, x, y) @add (1, 2) @join \"b\"
           @define late %( z %) @late; @add((1), \"a,b\") \"@one\"
         }",
        r#"
        probe p {
          1;
          f(1, 2) + a[1, 2];
          1 + 1 + (1 + 1);
          x;
          y(1 + 2);
          "ab";
          z;
          1 + "a,b";
          "@one";
        }
        "#,
    );
}

#[test]
fn a_parameter_means_what_it_meant_where_it_was_given() {
    check(
        "@define inner(cast) %( @cast %) @define outer(a) %( @inner(@a) %)
         @define shadow(one) %( @one %) @define one %( wrong %)
         probe p { @outer(@cast(x, \"t\")->y); @shadow(right) }",
        r#"
        probe p {
          @cast(x, "t")->y;
          right;
        }
        "#,
    );
}

#[test]
fn a_local_macro_hides_one_of_the_library() {
    let (mut sources, macros, diagnostics) = library(&["@define m %( library %) @define n(a) %( @m . @a %)"]);
    assert!(diagnostics.is_empty());
    let environment = Environment { macros: &macros, ..ENVIRONMENT };
    let id = sources.add("script", "@define m %( local %) probe p { @m; @n(1) }");
    let (tree, diagnostics) = parse(&mut sources, id, &environment);
    assert_same(&format!("{tree}{}", shown(&sources, diagnostics)), "probe p {\n  local;\n  local . 1;\n}");
}

#[test]
fn macros_that_are_called_wrongly() {
    check(
        "@define m(a, b) %( @a + @b %)
         @define n %( 1 %)
         probe p {
           x = @m(1)
           x = @m(1, 2, 3)
           x = @m
           x = @m(1, (2
         }",
        "
        probe p {
          x = 0;
          x = 0;
          x = 0;
          x = 0;
        }
        error[parse/macro-arguments]: the macro `@m` takes 2 arguments, not 1
          4:16 `@m(1)`
          1:9 `m` defined here
          help: it is called as `@m(a, b)`
        error[parse/macro-arguments]: the macro `@m` takes 2 arguments, not 3
          5:16 `@m(1, 2, 3)`
          1:9 `m` defined here
          help: it is called as `@m(a, b)`
        error[parse/macro-arguments]: the macro `@m` needs arguments
          6:16 `@m`
          1:9 `m` defined here
          help: it is called as `@m(a, b)`
        error[parse/macro-arguments]: the arguments of `@m` have no `)`
          7:18 `(`
          1:9 `m` defined here
          help: it is called as `@m(a, b)`
        ",
    );
    check(
        "@define m(a) %( @b %) probe p { x = @m(1); @m1 }",
        "
        probe p {
          ;
          ;
        }
        error[parse/unknown-operator]: no operator or macro is called `@b`
          1:17 `@b`
          1:37 `@m` in the expansion of `@m`
          help: did you mean `@m`?
        error[parse/unknown-operator]: no operator or macro is called `@m1`
          1:44 `@m1`
          help: did you mean `@m`?
        ",
    );
    check(
        "@define call %( @m %) @define m(a) %( @a %) probe p { @call(1) }",
        "
        probe p {
          0;
          1;
        }
        error[parse/macro-arguments]: the macro `@m` needs arguments
          1:17 `@m`
          1:31 `m` defined here
          1:55 `@call` in the expansion of `@call`
          help: it is called as `@m(a)`
        ",
    );
}

#[test]
fn macros_that_are_defined_wrongly() {
    check(
        "@define 1 %( x %) probe a {}",
        "
        probe a {
        }
        error[parse/macro-definition]: expected the name of the macro
          1:9 `1`
          help: a macro is defined by `@define name %( body %)` or `@define name(a, b) %( body %)`
        ",
    );
    check(
        "@define m() %( x %) probe b {}",
        "
        probe b {
        }
        error[parse/macro-definition]: expected the name of a parameter
          1:11 `)`
          help: a macro is defined by `@define name %( body %)` or `@define name(a, b) %( body %)`
        ",
    );
    check(
        "@define m(a b) %( x %) probe c {}",
        "
        probe c {
        }
        error[parse/macro-definition]: expected `,` or `)` after the parameter
          1:13 `b`
          help: a macro is defined by `@define name %( body %)` or `@define name(a, b) %( body %)`
        ",
    );
    check(
        "@define m x probe d {}",
        "
        probe d {
        }
        error[parse/macro-definition]: expected `%(` before the body of the macro
          1:11 `x`
          help: a macro is defined by `@define name %( body %)` or `@define name(a, b) %( body %)`
        ",
    );
    check(
        "@define m %( x probe e {}",
        "
        error[parse/macro-definition]: the body of this macro has no `%)`
          1:9 `m`
          help: a macro is defined by `@define name %( body %)` or `@define name(a, b) %( body %)`
        ",
    );
    check(
        "@define m %( 1 %) @define m %( 2 %) probe f { @m }",
        "
        probe f {
          1;
        }
        error[parse/macro-redefined]: `@m` is defined twice
          1:27 `m`
          1:9 `m` first defined here
        ",
    );
    check(
        "@define m %( @define n %( 1 %) %) probe g { @m }",
        "
        probe g {
        }
        error[parse/macro-definition]: a macro cannot define another
          1:14 `@define`
          1:45 `@m` in the expansion of `@m`
        ",
    );
    check(
        "@define sum(a) %( @a %) probe h { @sum(1) }",
        "
        probe h {
          1;
        }
        warning[parse/macro-hides-operator]: the macro `@sum` hides the operator of the same name
          1:9 `sum`
        ",
    );
}

#[test]
fn a_macro_that_expands_to_itself_is_refused() {
    check(
        "@define a %( @b %) @define b %( @a %) probe p { x = @a }",
        "
        probe p {
          x = 0;
        }
        error[parse/macro-recursion]: `@a` expands to itself
          1:33 `@a`
          1:9 `a` `@a` is defined here
          1:14 `@b` in the expansion of `@b`
          1:53 `@a` in the expansion of `@a`
        ",
    );
    check(
        "@define id(x) %( @x %) probe p { @id(@id(1)) }",
        "
        probe p {
          1;
        }
        ",
    );
}

#[test]
fn errors_in_expansions_lead_to_the_script() {
    check(
        "@define inner(x) %( @x = = 3 %)\n@define outer %(\n  @inner(y)\n%)\nprobe p { @outer; @inner(1 +); }",
        "
        probe p {
          ;
          ;
        }
        error[parse/unexpected-token]: expected an expression, found `=`
          1:26 `=`
          3:3 `@inner` in the expansion of `@inner`
          5:11 `@outer` in the expansion of `@outer`
        error[parse/unexpected-token]: expected an expression, found `=`
          1:24 `=`
          5:19 `@inner` in the expansion of `@inner`
        ",
    );
}

#[test]
fn libraries_define_under_conditions_and_once() {
    let (sources, macros, diagnostics) = library(&[
        "%( arch == \"x86_64\" %? @define m %( 1 %) %: @define m %( 2 %) %)",
        "// more\n@define n %( 3 %) @define m %( 4 %) 5",
    ]);
    assert_eq!(macros.names().collect::<Vec<_>>(), ["m", "n"]);
    assert_same(
        &shown(&sources, diagnostics),
        "
        error[parse/macro-redefined]: `@m` is defined twice
          1.stpm:2:27 `m`
          0.stpm:1:32 `m` first defined here
        error[parse/not-a-definition]: a macro library holds nothing but `@define`
          1.stpm:2:37 `5`
        ",
    );
}

#[track_caller]
fn with_arguments(arguments: &[&str], input: &str, expected: &str) {
    let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    check_in(&Environment { arguments: &arguments, ..ENVIRONMENT }, input, expected);
}

#[test]
fn arguments_are_pasted() {
    with_arguments(
        &["kernel.function(\"f\")", "5", "a \"b\" \\"],
        "probe $1, timer.s($2), process(@3 \"x\") { a$2 = $2 . @2; @3; \"$1\"; $#; @#; $02; %( $# == 3 && $2 > 4 && @2 == \"5\" %? y %) }",
        r#"
        probe kernel.function("f"), timer.s(5), process("a \"b\" \\x") {
          a$2 = 5 . "5";
          "a \"b\" \\";
          "$1";
          3;
          "3";
          5;
          y;
        }
        "#,
    );
    with_arguments(
        &["x"],
        "probe p { $1_total = $1y }",
        "
        probe p {
          x_total = xy;
        }
        ",
    );
    with_arguments(
        &["@m(1) %( 1 == 1 %? a %)"],
        "@define m(a) %( @a %) probe p { $1 }",
        "
        probe p {
          1;
          a;
        }
        ",
    );
    with_arguments(
        &[""],
        "probe p { $1 }",
        "
        probe p {
        }
        ",
    );
}

#[test]
fn arguments_that_are_not_there() {
    with_arguments(
        &[],
        "probe p { x = $1 + 1; %( $# > 0 %? $1 %) }",
        "
        probe p {
          x = 0 + 1;
        }
        error[parse/argument-missing]: the script needs an argument 1, but none is given
          1:15 `$1`
          help: arguments follow the script on the command line
        ",
    );
    with_arguments(
        &["a"],
        "probe p { x = @2; y = $0 }",
        "
        probe p {
          x = 0;
          y = 0;
        }
        error[parse/argument-missing]: the script needs an argument 2, but only one is given
          1:15 `@2`
          help: arguments follow the script on the command line
        error[parse/argument-missing]: script arguments count from 1
          1:23 `$0`
          help: arguments follow the script on the command line
        warning[parse/argument-unused]: the script does not use its argument 1
        ",
    );
    with_arguments(
        &["$2 @1", "b"],
        "probe p { $1; $2 }",
        "
        probe p {
          0;
          0;
          b;
        }
        error[parse/nested-argument]: `$2` inside a script argument is not replaced
          script argument $1:1:1 `$2`
          1:11 `$1` in the script argument that `$1` stands for
        error[parse/nested-argument]: `@1` inside a script argument is not replaced
          script argument $1:1:4 `@1`
          1:11 `$1` in the script argument that `$1` stands for
        ",
    );
    with_arguments(
        &["1 +"],
        "probe p { x = $1; }",
        "
        probe p {
          ;
        }
        error[parse/unexpected-token]: expected an expression, found `;`
          1:17 `;`
        ",
    );
}

#[test]
fn unused_arguments_are_told() {
    with_arguments(
        &["a", "b", "c"],
        "probe p { $2 }",
        "
        probe p {
          b;
        }
        warning[parse/argument-unused]: the script does not use its arguments 1, 3
        ",
    );
    with_arguments(
        &["a", "b"],
        "probe p { argv_1 }",
        "
        probe p {
          argv_1;
        }
        warning[parse/argument-unused]: the script does not use its argument 2
        ",
    );
    with_arguments(
        &["a", "b"],
        "probe p { argv[argc] }",
        "
        probe p {
          argv[argc];
        }
        ",
    );
}
