//! Expressions: what binds tighter, and every operator.

use super::*;

#[test]
fn operators_bind_as_the_langref_says() {
    same("a || b && c | d ^ e & f == g", "a || (b && (c | (d ^ (e & (f == g)))))");
    same("a & b in t", "a & (b in t)");
    same("a < b << c . d + e * f", "a < (b << (c . (d + (e * f))))");
    same("a == b in t", "[a == b] in t");
    same("a + 1 in t", "[(a + 1)] in t");
    same("!a in t", "[!a] in t");
    same("-a * b", "(-a) * b");
    same("!a == b", "(!a) == b");
    same("-a->b", "-(a->b)");
    same("&a->b[1]", "&(a->b[1])");
    same("-x++", "-(x++)");
    same("x ? a : b ? c : d", "x ? a : (b ? c : d)");
    same("x ? a ? b : c : d", "x ? (a ? b : c) : d");
    same("x ? a = b : c", "x ? (a = b) : c");
    same("a = b ? c : d", "a = (b ? c : d)");
    same("a = b += c <<< d", "a = (b += (c <<< d))");
    same("1.2", "1 . 2");
}

#[test]
fn operators_of_a_kind_group_to_the_left() {
    for operator in ["||", "&&", "|", "^", "&", "==", "<", "<<", ">>>", ".", "-", "/", "%"] {
        same(&format!("a {operator} b {operator} c"), &format!("(a {operator} b) {operator} c"));
    }
    same("a < b == c >= d", "((a < b) == c) >= d");
    same("a << b >> c >>> d", "((a << b) >> c) >>> d");
}

#[test]
fn parentheses_stay_where_they_are_needed() {
    check_body(
        "(a + b) * c; a + (b + c); (a + b) + c; -(a + b); (a = b) + c; (a ? b : c) ? d : e; (a in t) in u",
        "
        (a + b) * c;
        a + (b + c);
        a + b + c;
        -(a + b);
        (a = b) + c;
        (a ? b : c) ? d : e;
        [[a] in t] in u;
        ",
    );
    check_body(
        "- -a; !!a; - --a; +(+a); a - -b; (a)[1]; (a)$; ($x$)$; (&a)->b; (a++)->b",
        "
        - -a;
        ! !a;
        - --a;
        + +a;
        a - -b;
        (a)[1];
        (a)$;
        ($x$)$;
        (&a)->b;
        (a++)->b;
        ",
    );
}

#[test]
fn assignments() {
    check_body(
        "a = 1 a += 1 a -= 1 a *= 1 a /= 1 a %= 1 a <<= 1 a >>= 1 a &= 1 a |= 1 a ^= 1 a .= \"x\" a <<< 1 a[b] = 1
         $x = 1 $x->y[2] = 1 @var(\"v\") = 1 @cast(p, \"t\")->m = 1 p->m = 1; ++a a--; ++a[1] $x++",
        r#"
        a = 1;
        a += 1;
        a -= 1;
        a *= 1;
        a /= 1;
        a %= 1;
        a <<= 1;
        a >>= 1;
        a &= 1;
        a |= 1;
        a ^= 1;
        a .= "x";
        a <<< 1;
        a[b] = 1;
        $x = 1;
        $x->y[2] = 1;
        @var("v") = 1;
        @cast(p, "t")->m = 1;
        p->m = 1;
        ++a;
        a--;
        ++a[1];
        $x++;
        "#,
    );
}

#[test]
fn only_what_holds_a_value_is_assigned_to() {
    check_body(
        "1 = a\nf() += 2\na + b = c",
        "
        1 = a;
        f() += 2;
        a + b = c;
        error[parse/not-assignable]: this cannot be assigned to
          2:1 `1`
          help: only variables, elements of arrays and variables of the target hold a value
        error[parse/not-assignable]: this cannot be assigned to
          3:1 `f()`
          help: only variables, elements of arrays and variables of the target hold a value
        error[parse/not-assignable]: this cannot be assigned to
          4:1 `a + b`
          help: only variables, elements of arrays and variables of the target hold a value
        ",
    );
    check_body(
        "5++",
        "
        5++;
        error[parse/not-assignable]: this cannot be stepped
          2:1 `5`
          help: only variables, elements of arrays and variables of the target hold a value
        ",
    );
}

#[test]
fn the_last_branch_was_an_expression_once() {
    let old = Environment { compatible: "3.3", ..ENVIRONMENT };
    check_in(&old, "probe p { a ? b : c = d }", "probe p {\n  a ? b : (c = d);\n}");
    check_body(
        "a ? b : c = d",
        "
        a ? b : c = d;
        error[parse/not-assignable]: this cannot be assigned to
          2:1 `a ? b : c`
          help: `a ? b : c = d` assigns to all that is before the `=`; put `(c = d)` in parentheses
          note: before SystemTap 4.0 the assignment was part of the last branch (`--compatible=3.3`)
        ",
    );
}

#[test]
fn numbers() {
    check_body(
        "0; 017; 0x1F; 9223372036854775807; 9223372036854775808; 18446744073709551615; -1",
        "
        0;
        15;
        31;
        9223372036854775807;
        0x8000000000000000;
        0xffffffffffffffff;
        -1;
        ",
    );
    check_body(
        "18446744073709551616; 08; 0x; 12a",
        "
        0;
        0;
        0;
        0;
        error[parse/number-too-large]: this number does not fit into 64 bits
          2:1 `18446744073709551616`
        error[parse/invalid-number]: `08` is no number
          2:23 `08`
          help: a number that starts with 0 is octal
        error[parse/invalid-number]: `0x` is no number
          2:27 `0x`
        error[parse/invalid-number]: `12a` is no number
          2:31 `12a`
        ",
    );
}

#[test]
fn strings() {
    check_body(
        r#""a\tb\n\"\\" "x" /* glued */ "y"; "\x41\102\e\1779" "é\xff\0""#,
        r#"
        "a\tb\n\"\\xy";
        "ABe\1779é\377\000";
        "#,
    );
    check_body(
        r#"x = "a\xg" . "\777";"#,
        r#"
        x = "a\\xg" . "\\777";
        error[parse/invalid-escape]: `\x` without a hexadecimal digit
          2:7 `\x`
        error[parse/invalid-escape]: an octal escape above \377 is no byte
          2:15 `\777`
        "#,
    );
}

#[test]
fn a_hexadecimal_escape_was_a_letter_once() {
    let old = Environment { compatible: "2.2", ..ENVIRONMENT };
    check_in(&old, r#"%( "\x41" == "x41" %? probe p { "\x41" } %)"#, "probe p {\n  \"x41\";\n}");
}

#[test]
fn arrays_and_calls() {
    check_body(
        "a[1, \"x\"]; f(); f (a, b = 1); a[1][2]; f(x)[1]->y; x in a; [x, *] in a; [x]",
        "
        a[1, \"x\"];
        f();
        f(a, b = 1);
        a[1][2];
        f(x)[1]->y;
        [x] in a;
        [x, *] in a;
        x;
        ",
    );
}

#[test]
fn a_star_is_a_key_only_where_many_are_meant() {
    check_body(
        "delete a[1, *]\nx = a[*]\ndelete a[b[*]]",
        "
        delete a[1, *];
        ;
        ;
        error[parse/misplaced-star]: `*` is a key only in `delete`, `in` and `foreach`
          3:7 `*`
        error[parse/misplaced-star]: `*` is a key only in `delete`, `in` and `foreach`
          4:12 `*`
        ",
    );
}

#[test]
fn matches_end_a_comparison() {
    check_body(
        "a =~ \"x\" \"y\" && b !~ \"z\"\na == 1 =~ \"x\"\n(a =~ \"x\") == 1\na =~ \"x\" == 1\nx = [a] in t == 1\nx = [a] == 1\na in t in u",
        r#"
        a =~ "xy" && b !~ "z";
        (a == 1) =~ "x";
        (a =~ "x") == 1;
        ;
        ;
        ;
        ;
        error[parse/unexpected-token]: expected the end of the expression, found `==`
          5:10 `==`
          help: put what is before it in parentheses
        error[parse/unexpected-token]: expected the end of the expression, found `==`
          6:14 `==`
          help: put what is before it in parentheses
        error[parse/unexpected-token]: expected the end of the expression, found `==`
          7:9 `==`
          help: put what is before it in parentheses
        error[parse/unexpected-token]: expected the end of the expression, found `in`
          8:8 `in`
          help: put what is before it in parentheses
        "#,
    );
}

#[test]
fn variables_of_the_target() {
    check_body(
        "$x; $$vars; $x$; $x$$; $$parms$; $x->y->if[i + 1]->z$; (a)$; a$; a$b; f()$$; a[1]$; $x->$y; $x -> y; $x->$; &$x->y; &@var(\"g\")",
        "
        $x;
        $$vars;
        $x$;
        $x$$;
        $$parms$;
        $x->y->if[i + 1]->z$;
        (a)$;
        a$;
        a$b;
        f()$$;
        a[1]$;
        $x->$y;
        $x->y;
        $x$;
        &$x->y;
        &@var(\"g\");
        ",
    );
    check_body(
        "$; $x$$$; $x[1, 2]",
        "
        ;
        $x$$;
        ;
        error[parse/target-without-name]: `$` names nothing
          2:1 `$`
          help: a variable of the target is `$name`, all of them are `$$vars`
        error[parse/too-many-dollars]: a value is shown by `$` or `$$`, not by more
          2:4 `$x$$$`
        error[parse/unexpected-token]: expected `]`, found `,`
          2:15 `,`
          2:13 `[` to close this `[`
        ",
    );
}

#[test]
fn operators_that_look_like_functions() {
    check_in(
        &Environment { guru: true, ..ENVIRONMENT },
        r#"probe p {
            @var("v@f.c"); @var("v", "m")->x; @cast(p, "t"); @cast(p + 1, "t" "u", "m:<n>")->x[1]$;
            @defined($x); @defined(@cast(p, "t")->m); @entry(a + $x); @probewrite(a); @probewrite($x); @perf("c");
            @const("C"); @enum("E"); @enum("E", "m"); @enumname(v); @enumname(v, "t"); @enumname(v, "t", "m");
            @kderef(8, a); @uderef(4, a + 1); @kregister(1); @uregister(0xffffffffffffffff);
            @count(s) + @sum(s[1]) + @min(s) + @max(s) + @avg(s) + @variance(s) + @variance(s, 3);
            @hist_log(s)[1]; @hist_linear(s[x], -10, 10, 2)[i]
        }"#,
        r#"
        probe p {
          @var("v@f.c");
          @var("v", "m")->x;
          @cast(p, "t");
          @cast(p + 1, "tu", "m:<n>")->x[1]$;
          @defined($x);
          @defined(@cast(p, "t")->m);
          @entry(a + $x);
          @probewrite(a);
          @probewrite($x);
          @perf("c");
          @const("C");
          @enum("E");
          @enum("E", "m");
          @enumname(v);
          @enumname(v, "t");
          @enumname(v, "t", "m");
          @kderef(8, a);
          @uderef(4, a + 1);
          @kregister(1);
          @uregister(0xffffffffffffffff);
          @count(s) + @sum(s[1]) + @min(s) + @max(s) + @avg(s) + @variance(s) + @variance(s, 3);
          @hist_log(s)[1];
          @hist_linear(s[x], -10, 10, 2)[i];
        }
        "#,
    );
}

#[test]
fn some_operators_need_guru_mode() {
    check_body(
        "x = @const(\"C\") + @uderef(4, a)",
        "
        x = @const(\"C\") + @uderef(4, a);
        error[parse/guru-needed]: `@const` needs guru mode
          2:5 `@const`
          help: run it with `-g`
        ",
    );
    let tapset = Environment { user_script: false, ..ENVIRONMENT };
    check_in(&tapset, "probe p { @kregister(1) }", "probe p {\n  @kregister(1);\n}");
}

#[test]
fn unknown_operators_have_neighbours() {
    check_body(
        "x = @cont(s)",
        "
        ;
        error[parse/unknown-operator]: no operator or macro is called `@cont`
          2:5 `@cont`
          help: did you mean `@const`, `@count`?
        ",
    );
}

#[test]
fn the_print_family() {
    check_body(
        r#"print(1, "a"); println(); printd(",", a, b); printdln("-" "+", a, b); printf("%d\n", a); printf("x");
           sprint(a); sprintln(a); sprintd(",", a, b); sprintdln(",", a, b); sprintf("%s", a = b); print_char(65);
           print(@hist_log(s)); println(@hist_linear(s, 0, 10, 1)); printx(1)"#,
        r#"
        print(1, "a");
        println();
        printd(",", a, b);
        printdln("-+", a, b);
        printf("%d\n", a);
        printf("x");
        sprint(a);
        sprintln(a);
        sprintd(",", a, b);
        sprintdln(",", a, b);
        sprintf("%s", a = b);
        print_char(65);
        print(@hist_log(s));
        println(@hist_linear(s, 0, 10, 1));
        printx(1);
        "#,
    );
}

#[test]
fn what_the_print_family_does_not_print() {
    check_body(
        "print()\nprintd(\",\", a)\nprintf(x)\nprintd(x, a, b)\nprint = 1",
        r#"
        print();
        printd(",", a);
        ;
        ;
        ;
        error[parse/nothing-to-print]: `print` needs at least a value to print
          2:1 `print()`
        error[parse/nothing-to-print]: `printd` needs at least two values to print
          3:1 `printd(",", a)`
        error[parse/unexpected-token]: expected a format in quotes, found `x`
          4:8 `x`
        error[parse/unexpected-token]: expected a delimiter in quotes, found `x`
          5:8 `x`
        error[parse/unexpected-token]: expected `(` after `print`, found `=`
          6:7 `=`
          help: `print` is a function of the language: `print(…)`
        "#,
    );
}

#[test]
fn a_histogram_is_printed_alone_or_read_by_the_bucket() {
    check_body(
        "x = @hist_log(s)\nprint(@hist_log(s), 1)",
        "
        ;
        ;
        error[parse/histogram-as-value]: a histogram is no value
          2:5 `@hist_log(s)`
          help: print it alone (`print(@hist_log(s))`), read a bucket (`@hist_log(s)[i]`), or walk over it with `foreach`
        error[parse/histogram-as-value]: a histogram is no value
          3:7 `@hist_log(s)`
          help: print it alone (`print(@hist_log(s))`), read a bucket (`@hist_log(s)[i]`), or walk over it with `foreach`
        ",
    );
}

#[test]
fn embedded_code_is_refused_with_what_to_write_instead() {
    check(
        "%{\n#include <linux/fs.h>\n%}\nfunction f:long(p) %{ STAP_RETVALUE = container_of(p, struct inode, i) %}\nprobe p { x = %{ 1 %} }",
        "
        function f:long(p) {
        }

        probe p {
          x = 0;
        }
        error[parse/embedded-c]: embedded C cannot be compiled: scripts become BPF programs, not kernel modules
          1:1 `%{`
          help: no header is needed: types and constants come from the debuginfo (`@cast`, `@enum`, `@const`)
        error[parse/embedded-c]: embedded C cannot be compiled: scripts become BPF programs, not kernel modules
          4:20 `%{`
          help: for `container_of`, write `@container_of(pointer, \"struct type\", member)` or `@cast(…)`
          help: to read members of a structure, write `@cast(pointer, \"struct type\")->member`
        error[parse/embedded-c]: embedded C cannot be compiled: scripts become BPF programs, not kernel modules
          5:15 `%{`
          help: write it in the script language; functions of the tapset reach into the kernel
        ",
    );
    for (code, help) in [
        ("-EIO", "for a constant, write `@const(\"EIO\")`, in guru mode (`-g`)"),
        ("list_for_each(p, &current->tasks)", "to walk a list, follow its pointers in a `while` loop"),
        (
            "snprintf(STAP_RETVALUE, MAXSTRINGLEN, NIPQUAD_FMT, NIPQUAD(a))",
            "to format an address, write `ip_ntop(address)`",
        ),
        ("strlcpy(STAP_RETVALUE, STAP_ARG_p, MAXSTRINGLEN)", "`kernel_string(address)`"),
        ("extern int x; STAP_RETVALUE = x", "`@var(\"name@file.c\")`"),
        ("STAP_RETVALUE = kread(&p->x)", "to read memory, write `@cast"),
        ("struct sock *s = (struct sock *)STAP_ARG_s", "`@cast(pointer, \"struct type\")->member`"),
    ] {
        let (_, _, diagnostics) = parse_text(&ENVIRONMENT, &format!("probe p {{ x = %{{ {code} %}} }}"));
        let notes = format!("{:?}", diagnostics[0].notes).replace("\\\"", "\"");
        assert!(notes.contains(help), "{code}: {notes}");
    }
}
