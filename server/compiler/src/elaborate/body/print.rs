//! `printf` and its family.

use shared::abi::format::{Format, Verb};
use shared::diagnostic::Span;
use shared::ir::{BinaryOp, Space, Width};

use super::{Lower, long};
use crate::ast::{self, ExpressionKind as Tree, Literal, LiteralValue, Print, PrintForm};
use crate::elaborate::format::{Argument, ScriptFormat};
use crate::program::{Expression, ExpressionKind, Place, Type};

impl<'d> Lower<'_, '_, 'd, '_> {
    pub(super) fn print(&mut self, print: &'d Print, span: Span) -> Expression {
        if let [only] = print.arguments.as_slice()
            && let Tree::Histogram { .. } = only.kind
            && let PrintForm::Plain { delimiter: None, .. } = print.form
        {
            return self.print_histogram(print.to_string, only, span);
        }
        let mut arguments = self.values(&print.arguments);
        let format = match &print.form {
            // What is no format was reported when types were inferred.
            PrintForm::Format(Literal { value: LiteralValue::String(text), .. }) => {
                let ScriptFormat { format, arguments: taken } = ScriptFormat::read(text).unwrap_or_default();
                arguments = self.taken(arguments, &taken);
                format
            }
            PrintForm::Format(_) => Format::default(),
            PrintForm::Character => {
                let mut format = Format::default();
                format.push_conversion(Verb::Character);
                format
            }
            PrintForm::Plain { delimiter, newline } => plain(&arguments, delimiter.as_ref(), *newline),
        };
        let (kind, ty) = if print.to_string {
            (ExpressionKind::Format(format, arguments), Type::String)
        } else {
            (ExpressionKind::Print(format, arguments), Type::Void)
        };
        Expression { kind, ty, span }
    }

    /// The arguments of a format, where those that stand for memory become its bytes.
    fn taken(&mut self, given: Vec<Expression>, taken: &[Argument]) -> Vec<Expression> {
        let mut arguments = Vec::new();
        for (given, taken) in given.into_iter().zip(taken) {
            match *taken {
                Argument::Same(_) => arguments.push(given),
                Argument::Memory(bytes) => arguments.extend(self.memory(given, bytes)),
            }
        }
        arguments
    }

    /// Bytes of the kernel's memory. The address is evaluated once, for the first.
    fn memory(&mut self, address: Expression, bytes: usize) -> Vec<Expression> {
        let span = address.span;
        let long_of = |kind| Expression { kind, ty: Type::Long, span };
        let local = Place::Local(self.new_local("@memory", Type::Long));
        let set = long_of(ExpressionKind::Assign(local.clone(), Box::new(address)));
        let at = |offset: i64| {
            let base = Box::new(long_of(ExpressionKind::Read(local.clone())));
            long_of(ExpressionKind::Binary(BinaryOp::Add, base, Box::new(long(offset, span))))
        };
        let addresses = std::iter::once(set).chain((1..bytes as i64).map(at));
        let width = Width { bytes: 1, signed: false };
        addresses.map(|address| long_of(ExpressionKind::Load(Space::Kernel, width, Box::new(address)))).collect()
    }

    fn print_histogram(&mut self, to_string: bool, of: &'d ast::Expression, span: Span) -> Expression {
        let ty = if to_string { Type::String } else { Type::Void };
        if to_string {
            self.error("elaborate/histogram-value", of.span, "a histogram is too long for a string: print it");
            return Expression { kind: ExpressionKind::String(Default::default()), ty, span };
        }
        match self.histogram(of) {
            Some(of) => Expression { kind: ExpressionKind::PrintHistogram(of), ty, span },
            None => Expression { ty, ..long(0, span) },
        }
    }
}

/// The format of `print`, `println`, `printd`, `printdln`.
fn plain(arguments: &[Expression], delimiter: Option<&Literal>, newline: bool) -> Format {
    let mut format = Format::default();
    for (index, argument) in arguments.iter().enumerate() {
        if let (1.., Some(Literal { value: LiteralValue::String(delimiter), .. })) = (index, delimiter) {
            format.push_text(delimiter);
        }
        format.push_conversion(if argument.ty == Type::String { Verb::String } else { Verb::Decimal });
    }
    if newline {
        format.push_text(b"\n");
    }
    format
}
