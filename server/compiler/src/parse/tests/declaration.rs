//! Probes, aliases, globals and functions.

use super::*;

#[test]
fn probe_points() {
    check(
        "probe begin, kernel.function(\"f@a.c:1\").return.maxactive(-1) ?, a.b(0x10) !, timer.s(1) ? if (x > 1), n if (on) { }",
        "
        probe begin, kernel.function(\"f@a.c:1\").return.maxactive(-1) ?, a.b(16) !, timer.s(1) ? if (x > 1), n if (on) {
        }
        ",
    );
}

#[test]
fn components_are_any_words_with_wildcards() {
    check(
        "probe global.probe.if.return, sys**open.*.x$y**z*, **, usb*2.$a, a.\nb /* c */ . c {}",
        "
        probe global.probe.if.return, sys**open.*.x$y**z*, **, usb*2.$a, a.b.c {
        }
        ",
    );
    check(
        "probe sys *open {}",
        "
        error[parse/unexpected-token]: expected `,`, `=`, `+=` or the `{` of the handler after a probe point, found `*`
          1:11 `*`
        ",
    );
}

#[test]
fn braces_make_several_points() {
    check(
        "probe syscall.{open,close*}.{return,call(1)}, {a.b(\"x\"),{c,d}?,e if (x)} { }",
        "
        probe syscall.open.return, syscall.open.call(1), syscall.close*.return, syscall.close*.call(1), a.b(\"x\"), c ?, d ?, e if (x) {
        }
        ",
    );
    check("probe a.{b,{c,d}.e}! if (x) { }", "probe a.b ! if (x), a.c.e ! if (x), a.d.e ! if (x) {\n}");
}

#[test]
fn suffixes_stand_once_and_at_the_end() {
    check(
        "probe a.{b?,c}.d {}\nprobe a.{b?,c}! {}\nprobe a.{b if (x),c} if (y) {}\nprobe a ? ! {}",
        "
        error[parse/unexpected-token]: expected the end of the probe point, found `.`
          1:15 `.`
          note: `?`, `!` and `if` stand at the end of a probe point, not inside it
        error[parse/suffix-twice]: a probe point has `?` or `!` only once
          2:17 `{`
          note: what stands inside braces and what follows them is for the same points
        error[parse/suffix-twice]: a probe point has a condition only once
          3:29 `{`
          note: what stands inside braces and what follows them is for the same points
        error[parse/unexpected-token]: expected `,`, `=`, `+=` or the `{` of the handler after a probe point, found `!`
          4:11 `!`
        ",
    );
}

#[test]
fn what_is_no_probe_point() {
    check(
        "probe a.\"x\" {}\nprobe a.1b {}\nprobe a.{} {}\nprobe a(b) {}\nprobe a(1 + 2) {}\nprobe a() {}\nprobe @x {}\nprobe , {}",
        "
        error[parse/unexpected-token]: expected a probe point, found the string \"x\"
          1:9 `\"x\"`
        error[parse/unexpected-token]: expected a probe point, found `1b`
          2:9 `1b`
        error[parse/unexpected-token]: expected a probe point, found `}`
          3:10 `}`
        error[parse/unexpected-token]: expected a string or a number, found `b`
          4:9 `b`
          help: only a literal can stand here: it must be known before the script runs
        error[parse/unexpected-token]: expected `)`, found `+`
          5:11 `+`
          5:8 `(` to close this `(`
        error[parse/unexpected-token]: expected a string or a number, found `)`
          6:9 `)`
        error[parse/unknown-operator]: no operator or macro is called `@x`
          7:7 `@x`
        error[parse/unexpected-token]: expected a probe point, found `,`
          8:7 `,`
        ",
    );
}

#[test]
fn aliases() {
    check(
        "probe a = b, c ? { x } probe d.e(\"1\") += f { y } probe g = h = i { p }, { e } probe j = k += l { } probe m += n = o { }",
        "
        probe a = b, c ? {
          x;
        }
        probe d.e(\"1\") += f {
          y;
        }
        probe g = h = i {
          p;
        }, {
          e;
        }
        probe j = k += l {
        }
        probe m = n += o {
        }
        ",
    );
}

#[test]
fn what_is_no_alias() {
    check(
        "probe a, b = c {}\nprobe a? = c {}\nprobe a += c { }, { }\nprobe b { } , { }",
        "
        probe a = c {
        }
        probe b {
        }
        error[parse/unexpected-token]: expected one name for the alias, found `=`
          1:12 `=`
          help: several names for the same are written `probe a = b = …`
        error[parse/alias-suffix]: the name of an alias has no `?`, `!` or `if`
          2:7 `a?`
        error[parse/unexpected-token]: expected the end of the alias, found `,`
          3:17 `,`
          3:9 `+=` this makes the block an epilogue already
          help: a prologue and an epilogue are written `probe a = b { … }, { … }`
        error[parse/unexpected-token]: expected `probe`, `global`, `private` or `function`, found `,`
          4:13 `,`
        ",
    );
}

#[test]
fn globals() {
    check(
        "global a, b%, c%[10], d[0x10] e = 1",
        "
        global a
        global b%
        global c%[10]
        global d[16]
        error[parse/unexpected-token]: expected `probe`, `global`, `private` or `function`, found `e`
          1:31 `e`
          help: statements stand in a probe: `probe begin { … }` runs at the start
        ",
    );
    check(
        "global a = - 5, b = \"x\" \"y\"; global c=0xffffffffffffffff private global d private e = 1, f private function g() {}",
        "
        global a = -5
        global b = \"xy\"
        global c = -1
        private global d
        private global e = 1
        private global f
        private function g() {
        }
        ",
    );
}

#[test]
fn what_is_no_global() {
    check(
        "global a[0], b[-1]\nglobal c[5] = 1\nglobal d[5]%\nglobal e = x\nglobal f[x]\nglobal next\nglobal $g\nglobal h,",
        "
        global a[1]
        global b[1]
        global c[5]
        global h
        error[parse/array-size]: an array holds at least one element
          1:10 `0`
        error[parse/array-size]: an array holds at least one element
          1:16 `-1`
        error[parse/array-initialized]: an array has no initial value
          2:13 `=`
        error[parse/unexpected-token]: expected the end of the declaration, found `%`
          3:12 `%`
          help: the `%` stands before the size: `d%[5]`
        error[parse/unexpected-token]: expected a string or a number, found `x`
          4:12 `x`
          help: only a literal can stand here: it must be known before the script runs
        error[parse/unexpected-token]: expected a number, found `x`
          5:10 `x`
        error[parse/unexpected-token]: expected the name of a variable, found `next`
          6:8 `next`
          help: `next` is a keyword; choose another name
        error[parse/target-as-name]: the name of a variable cannot start with `$`
          7:8 `$g`
          note: `$name` is a variable of the program that is probed
        error[parse/unexpected-token]: expected the name of a variable, found the end of the script
          8:10 ``
        ",
    );
}

#[test]
fn functions() {
    check(
        "function f() {} function g:string(a, b:long, c:string,):3 { return \"\" } private function h:long() { }",
        "
        function f() {
        }
        function g:string(a, b:long, c:string):3 {
          return \"\";
        }
        private function h:long() {
        }
        ",
    );
}

#[test]
fn what_is_no_function() {
    check(
        "function f {}\nfunction g():long {}\nfunction h:int() {}\nfunction i(a b) {}\nfunction j(a, a) {}\nfunction k();\nfunction l():-1 {}\nprivate probe a {}",
        "
        function j(a, a) {
        }
        function l():-1 {
        }
        probe a {
        }
        error[parse/unexpected-token]: expected `(`, found `{`
          1:12 `{`
        error[parse/unexpected-token]: expected a number, the priority of the function, found `long`
          2:14 `long`
          help: the type of the result stands before the parameters: `function f:long(…)`
        error[parse/unexpected-token]: expected `long` or `string`, found `int`
          3:12 `int`
        error[parse/unexpected-token]: expected `)`, found `b`
          4:14 `b`
          4:11 `(` to close this `(`
        error[parse/duplicate-parameter]: two parameters are called `a`
          5:15 `a`
          5:12 `a` the first
        error[parse/unexpected-token]: expected the `{` of the function, found `;`
          6:13 `;`
        error[parse/priority]: a priority is at least 1
          7:14 `-1`
        error[parse/unexpected-token]: expected `function`, `global` or a name after `private`, found `probe`
          8:9 `probe`
        ",
    );
}

#[test]
fn private_was_a_name_once() {
    let old = Environment { compatible: "2.9", ..ENVIRONMENT };
    check_in(&old, "global private probe p { private++ }", "global private\n\nprobe p {\n  private++;\n}");
}
