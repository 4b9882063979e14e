//! Many errors in one run, none of them twice, and everything that is right still in the tree.

use super::*;

#[test]
fn each_statement_fails_alone() {
    check_body(
        "a = \nb = 1\nc = (1;\nd = 2\nf(1, \ne[1 3;\ng = 3",
        "
        a = b = 1;
        ;
        d = 2;
        ;
        g = 3;
        error[parse/unexpected-token]: expected `)`, found `;`
          4:7 `;`
          4:5 `(` to close this `(`
        error[parse/unexpected-token]: expected `]`, found `3`
          7:5 `3`
          7:2 `[` to close this `[`
        ",
    );
}

#[test]
fn each_declaration_fails_alone() {
    check(
        "probe a { x = }\nprobe b. { y = 1 z = }\nglobal = 1\nfunction f( { }\nprobe c { z }",
        "
        probe a {
          ;
        }
        probe c {
          z;
        }
        error[parse/unexpected-token]: expected an expression, found `}`
          1:15 `}`
        error[parse/unexpected-token]: expected `}`, found `=`
          2:14 `=`
          2:10 `{` to close this `{`
        error[parse/unexpected-token]: expected the name of a variable, found `=`
          3:8 `=`
        error[parse/unexpected-token]: expected the name of a parameter, found `{`
          4:13 `{`
        ",
    );
}

#[test]
fn a_wrong_header_spares_the_body() {
    check_body(
        "if (a b) { c = }\nelse d\nwhile () e\nfor (i; i) f\nforeach (k, l in t) { break }",
        "
        if (0) {
          ;
        }
        else
          d;
        while (0)
          e;
        for (; ; )
          f;
        foreach ([] in 0) {
          break;
        }
        error[parse/unexpected-token]: expected `)`, found `b`
          2:7 `b`
          2:4 `(` to close this `(`
        error[parse/unexpected-token]: expected an expression, found `}`
          2:16 `}`
        error[parse/unexpected-token]: expected an expression, found `)`
          4:8 `)`
        error[parse/unexpected-token]: expected `;`, found `)`
          5:10 `)`
        error[parse/unexpected-token]: expected `in`, found `,`
          6:11 `,`
        ",
    );
}

#[test]
fn a_missing_brace_is_told_once_and_by_where_it_was_opened() {
    check(
        "probe a {\n  if (x) {\n    y\n}\nprobe b { z }",
        "
        probe a {
          if (x) {
            y;
          }
        }
        probe b {
          z;
        }
        error[parse/unexpected-token]: expected `}`, found `probe`
          5:1 `probe`
          1:9 `{` this `{` is not closed
          2:10 `{` or it is this one that is not closed…
          4:1 `}` …and this `}`, which stands elsewhere, belongs to another
        ",
    );
    check(
        "probe a { if (x) { while (y) {",
        "
        probe a {
          if (x) {
            while (y) {
            }
          }
        }
        error[parse/unexpected-token]: expected `}`, found the end of the script
          1:31 `` 
          1:30 `{` this `{` is not closed
        ",
    );
}

#[test]
fn indentation_shows_which_brace_is_missing() {
    check(
        "probe a {\n  if (x) {\n    while (y) {\n      z\n    }\n\n  w\n}\n\nprobe b { }",
        "
        probe a {
          if (x) {
            while (y) {
              z;
            }
            w;
          }
        }
        probe b {
        }
        error[parse/unexpected-token]: expected `}`, found `probe`
          10:1 `probe`
          1:9 `{` this `{` is not closed
          2:10 `{` or it is this one that is not closed…
          8:1 `}` …and this `}`, which stands elsewhere, belongs to another
        ",
    );
}

#[test]
fn a_brace_too_many_is_told_once() {
    check(
        "probe a { x } }\nprobe b { y };\nprobe c { z }",
        "
        probe a {
          x;
        }
        probe b {
          y;
        }
        probe c {
          z;
        }
        error[parse/unexpected-token]: expected `probe`, `global`, `private` or `function`, found `}`
          1:15 `}`
          help: this `}` closes nothing; is there one too many before it?
        error[parse/unexpected-token]: expected `probe`, `global`, `private` or `function`, found `;`
          2:14 `;`
          help: no `;` stands between declarations
        ",
    );
}

#[test]
fn misspelt_declarations_have_neighbours() {
    check(
        "prob begin { x }\nfuncton f() { }",
        "
        error[parse/unexpected-token]: expected `probe`, `global`, `private` or `function`, found `prob`
          1:1 `prob`
          help: did you mean `probe`?
        ",
    );
}

#[test]
fn a_global_inside_a_block_is_no_missing_brace() {
    check(
        "probe a { global x = 1; y } probe b { global z }",
        "
        probe a {
          y;
        }
        probe b {
        }
        error[parse/misplaced-global]: a global is declared outside of probes and functions
          1:11 `global`
        error[parse/misplaced-global]: a global is declared outside of probes and functions
          1:39 `global`
        ",
    );
}

#[test]
fn words_without_their_partners() {
    check_body(
        "if (a) { b }; else c\ncatch { d }\nx = 'c'",
        "
        if (a) {
          b;
        }
        ;
        ;
        ;
        x = c;
        error[parse/else-without-if]: this `else` has no `if`
          2:15 `else`
          help: a `;` or a second statement before it ends the `if`; braces hold statements together
        error[parse/catch-without-try]: this `catch` has no `try`
          3:1 `catch`
        error[parse/stray-character]: `'` means nothing here
          4:5 `'`
          help: strings are written in double quotes
        error[parse/stray-character]: `'` means nothing here
          4:7 `'`
          help: strings are written in double quotes
        ",
    );
}

#[test]
fn words_that_are_no_tokens() {
    check(
        "probe a { x = 1 ` 2; s = \"abc; }\nprobe b { é }",
        r#"
        probe a {
          x = 1;
          2;
          s = 0;
        }
        probe b {
        }
        error[parse/stray-character]: ``` means nothing here
          1:17 ```
        error[parse/unclosed-string]: this string does not end on its line
          1:26 `"`
          help: end it with `"`; a line break inside is written `\n`
        error[parse/unexpected-token]: expected `}`, found `probe`
          2:1 `probe`
          1:9 `{` this `{` is not closed
        error[parse/stray-character]: `é` means nothing here
          2:11 `é`
        "#,
    );
    check(
        "probe a { x } /* and so on",
        "
        probe a {
          x;
        }
        error[parse/unclosed-comment]: this comment does not end
          1:15 `/*`
          help: end it with `*/`
        ",
    );
    check(
        "probe a { x %} %{ y",
        "
        probe a {
          x;
        }
        error[parse/stray-character]: this `%}` has no `%{`
          1:13 `%}`
        error[parse/unclosed-embedded]: this `%{` has no `%}`
          1:16 `%{`
        ",
    );
    check(
        "%{ y }% probe a { x }",
        "
        error[parse/unclosed-embedded]: this `%{` has no `%}`
          1:1 `%{`
          1:6 `}%` is this meant to be `%}`?
        ",
    );
}

#[test]
fn what_was_copied_from_a_page() {
    check(
        "\u{feff}probe a { x = y \u{2013} 1\u{a0}z\u{201c} }",
        "
        probe a {
          x = y;
          1;
          z;
        }
        error[parse/stray-character]: `U+FEFF` means nothing here
          1:1 `\u{feff}`
          help: it cannot be seen, and may have come with a copied text: delete it
        error[parse/stray-character]: `\u{2013}` means nothing here
          1:20 `\u{2013}`
          help: a minus is written `-`
        error[parse/stray-character]: `U+00A0` means nothing here
          1:25 `\u{a0}`
          help: it cannot be seen, and may have come with a copied text: delete it
        error[parse/stray-character]: `\u{201c}` means nothing here
          1:28 `\u{201c}`
          help: strings are written in straight double quotes
        ",
    );
}

#[test]
fn nothing_is_nothing() {
    check("", "");
    check("# a comment\n", "");
}
