//! Functions of strings, and strings from memory.

use shared::abi::value::Datum;
use shared::diagnostic::Span;
use shared::ir::{self, Location, Op, Relation, Space, StringFunction, Type, Value};

use super::body::Translator;
use super::bounds::BOUND_MAX;
use crate::program::Expression;

impl Translator<'_, '_> {
    /// The first word of a piece of the script, for messages.
    pub(super) fn near(&self, span: Span) -> String {
        let text = self.unit.sources.text(span);
        let word = text.split(|c: char| !c.is_alphanumeric() && !"_$@".contains(c)).next();
        word.unwrap_or_default().to_owned()
    }

    pub(super) fn load_string(
        &mut self,
        space: Space,
        address: &Expression,
        bytes_max: Option<&Expression>,
        ty: Type,
        span: Span,
    ) -> Value {
        let location = self.location(span);
        let address = self.value(address);
        let bytes_max = bytes_max.map(|bytes_max| self.value(bytes_max));
        let op = Op::LoadString { space, address, bytes_max };
        let [string, fault] = self.builder.push(op, [ty, Type::Long], location);
        let message = format!("{} string copy fault at %p near identifier '{}'", space.name(), self.near(span));
        self.raise_with(fault, &message, vec![address], location);
        string
    }

    pub(super) fn string_function(
        &mut self,
        function: StringFunction,
        arguments: &[Expression],
        ty: Type,
        location: Location,
    ) -> Value {
        let arguments = self.values(arguments);
        let [result] = self.builder.push(Op::StringFunction(function, arguments), [ty], location);
        if function == StringFunction::Byte {
            let zero = self.long(0, location);
            let [missing] = self.builder.push(Op::Compare(Relation::Less, result, zero), [Type::Long], location);
            self.raise_if(missing, "string index out of bounds near identifier 'stringat'", location);
        }
        result
    }

    /// What is left of the string is kept in a global of its own: a call goes on where the last one stopped.
    pub(super) fn tokenize(&mut self, string: &Expression, delimiters: &Expression, location: Location) -> Value {
        let (string, delimiters) = (self.value(string), self.value(delimiters));
        let rest = self.unit.token_global();
        let ty = Type::String(BOUND_MAX);
        let after = self.builder.new_block();
        let from = self.builder.add_parameter(after, ty);
        let empty = self.empty(location);
        let op = Op::CompareStrings(Relation::NotEqual, string, empty);
        let [is_new] = self.builder.push(op, [Type::Long], location);
        let (new, old) = self.branch_on_value(is_new, location);
        self.builder.switch_to(new);
        self.builder.jump(after, vec![string], location);
        self.builder.switch_to(old);
        let [kept] = self.builder.push(Op::Get(rest), [ty], location);
        self.builder.jump(after, vec![kept], location);
        self.builder.seal(after);
        self.builder.switch_to(after);
        let op = Op::StringFunction(StringFunction::Token, vec![from, delimiters]);
        let [token, left] = self.builder.push(op, [ty, ty], location);
        self.builder.push(Op::Set(rest, left), [], location);
        token
    }
}

/// What `tokenize` has left of its string.
pub(super) fn token_global() -> ir::Global {
    let storage = ir::Storage::Scalar { ty: Type::String(BOUND_MAX), initial: Datum::String(Default::default()) };
    ir::Global { name: "tokenize".to_owned(), storage }
}
