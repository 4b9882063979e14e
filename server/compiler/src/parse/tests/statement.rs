//! Statements, and where they may stand.

use super::*;

#[test]
fn statements_need_no_separators() {
    check_body(
        "x = 1 y = 2 ;; { z } next next; f() delete a",
        "
        x = 1;
        y = 2;
        ;
        {
          z;
        }
        next;
        next;
        f();
        delete a;
        ",
    );
}

#[test]
fn branches() {
    check_body(
        "if (a) b; else if (c) d else { e } if (f) ; if (g) if (h) i else j if (k) { if (l) m } else n",
        "
        if (a)
          b;
        else if (c)
          d;
        else {
          e;
        }
        if (f)
          ;
        if (g)
          if (h)
            i;
          else
            j;
        if (k) {
          if (l)
            m;
        }
        else
          n;
        ",
    );
}

#[test]
fn loops() {
    check_body(
        "while (a) { break continue } for (;;) ; for (i = 0; i < 3; i++) f(i) for (; a;) { }",
        "
        while (a) {
          break;
          continue;
        }
        for (; ; )
          ;
        for (i = 0; i < 3; i++)
          f(i);
        for (; a; ) {
        }
        ",
    );
}

#[test]
fn foreach_in_every_form() {
    check_body(
        "foreach (k in t) ; foreach (k+ in t) ; foreach (k in t-) ; foreach ([a, b-] in t limit 5) ;
         foreach (v = k in t) ; foreach (v- = k in t) ; foreach (v = [a, b] in t[1, *]+ limit n * 2) ;
         foreach (k in t @sum-) ; foreach (k in t[*] @avg +) ; foreach (b in @hist_log(s)) ;
         foreach (v = b+ in @hist_linear(s[1], 0, 10, 1) limit 3) ;",
        "
        foreach ([k] in t)
          ;
        foreach ([k+] in t)
          ;
        foreach ([k] in t-)
          ;
        foreach ([a, b-] in t limit 5)
          ;
        foreach (v = [k] in t)
          ;
        foreach (v = [k] in t-)
          ;
        foreach (v = [a, b] in t[1, *]+ limit n * 2)
          ;
        foreach ([k] in t @sum-)
          ;
        foreach ([k] in t[*] @avg+)
          ;
        foreach ([b] in @hist_log(s))
          ;
        foreach (v = [b+] in @hist_linear(s[1], 0, 10, 1) limit 3)
          ;
        ",
    );
}

#[test]
fn foreach_sorts_by_one_thing() {
    check_body(
        "foreach (k+ in t-) a\nforeach ([k+, l-] in t) a\nforeach (k in t @sum) a\nforeach (k in t @hist_log-) a\nforeach ($k in t) a",
        "
        foreach ([] in 0)
          a;
        foreach ([] in 0)
          a;
        foreach ([] in 0)
          a;
        foreach ([] in 0)
          a;
        foreach ([] in 0)
          a;
        error[parse/sorted-twice]: a `foreach` sorts by one thing only
          2:17 `-`
          help: keep one `+` or `-`: behind a key, or behind the array for its values
        error[parse/sorted-twice]: a `foreach` sorts by one thing only
          3:16 `-`
          help: keep one `+` or `-`: behind a key, or behind the array for its values
        error[parse/unexpected-token]: expected `+` or `-` to sort by this, found `)`
          4:21 `)`
        error[parse/unexpected-token]: expected `@count`, `@sum`, `@min`, `@max`, `@avg` or `@variance`, found `@hist_log`
          5:17 `@hist_log`
        error[parse/target-as-name]: a variable for the keys cannot start with `$`
          6:10 `$k`
          note: `$name` is a variable of the program that is probed
        ",
    );
}

#[test]
fn errors_are_caught() {
    check_body(
        "try { a } catch { b } try { } catch (m) { c }",
        "
        try {
          a;
        } catch {
          b;
        }
        try {
        } catch (m) {
          c;
        }
        ",
    );
    check_body(
        "try { a }\nb",
        "
        ;
        b;
        error[parse/unexpected-token]: expected `catch` after the block of `try`, found `b`
          3:1 `b`
        ",
    );
}

#[test]
fn functions_return() {
    check(
        "function f() { return } function g() { return; } function h() { if (a) return b = 1 return 2 } function i() { next }",
        "
        function f() {
          return;
        }
        function g() {
          return;
        }
        function h() {
          if (a)
            return b = 1;
          return 2;
        }
        function i() {
          next;
        }
        ",
    );
}

#[test]
fn jumps_have_their_places() {
    check_body(
        "return 1\nbreak\nwhile (a) { try { continue } catch { break } }",
        "
        return 1;
        break;
        while (a) {
          try {
            continue;
          } catch {
            break;
          }
        }
        error[parse/return-outside-function]: `return` outside of a function
          2:1 `return`
          help: `next` ends a probe's handler
        error[parse/jump-outside-loop]: `break` outside of a loop
          3:1 `break`
          help: `next` ends a probe's handler, `return` a function
        ",
    );
}

#[test]
fn variables_are_deleted() {
    check_body(
        "delete a; delete a[1, *]; delete f()",
        "
        delete a;
        delete a[1, *];
        delete f();
        error[parse/not-deletable]: only a variable or an element of an array can be deleted
          2:34 `f()`
        ",
    );
}

#[test]
fn a_variable_is_not_declared() {
    check_body(
        "long x = 1\nlimit = 2\nx = in + 1",
        "
        ;
        ;
        ;
        error[parse/declared-type]: a variable is not declared as `long`
          2:1 `long`
          help: leave the type out: it follows from how the variable is used
        error[parse/unexpected-token]: expected a statement, found `limit`
          3:1 `limit`
          help: `limit` is a keyword; choose another name
        error[parse/unexpected-token]: expected an expression, found `in`
          4:5 `in`
          help: `in` is a keyword and cannot name a variable
        ",
    );
}
