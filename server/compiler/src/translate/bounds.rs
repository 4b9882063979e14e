//! How long each string can get. Keys, copies and event records are as long as the program allows and no longer.
//!
//! A bound is the number of bytes without the NUL. Bounds are inferred over the whole program: whatever may flow into a
//! variable counts, in rounds until nothing grows any more. A string that grows in each round (`s .= "x"` in a loop) is given
//! the largest bound there is.

use shared::abi::format::{Conversion, Extent, Format, Piece, Verb};
use shared::abi::value::Datum;
use shared::ir::{EXECNAME_BYTES_MAX, StringFunction, TaskField};
use shared::limits::STRING_BYTES_DEFAULT;
use shared::probe::ProbePoint;

use crate::program::{
    Body, Expression, ExpressionKind, Foreach, ForeachBucket, HistogramOf, Place, Program, Selector, Statement,
    StatementKind, Storage, Type, UpdateOp,
};

/// The largest bound: `MAXSTRINGLEN` less the NUL.
pub(super) const BOUND_MAX: u16 = STRING_BYTES_DEFAULT - 1;

/// The longest long: -9223372036854775808.
const LONG_BYTES_MAX: usize = 20;

/// After so many rounds whatever still grows is taken to grow for ever.
const ROUNDS_MAX: usize = 8;

/// The bound of everything that can hold a string; of longs it means nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) globals: Vec<GlobalBounds>,
    pub(super) functions: Vec<BodyBounds>,
    pub(super) probes: Vec<BodyBounds>,
}

/// Of a global.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GlobalBounds {
    pub(super) keys: Vec<u16>,
    pub(super) value: u16,
}

/// Of a body's locals and, for a function, its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BodyBounds {
    pub(super) locals: Vec<u16>,
    pub(super) result: u16,
}

impl Bounds {
    pub(super) fn infer(program: &Program) -> Self {
        let of_body = |body: &Body| BodyBounds { locals: vec![0; body.locals.len()], result: 0 };
        let of_global = |storage: &Storage| match storage {
            Storage::Scalar(Datum::String(initial)) => {
                GlobalBounds { keys: Vec::new(), value: (initial.len() as u16).min(BOUND_MAX) }
            }
            Storage::Scalar(Datum::Long(_)) | Storage::Statistic(_) => GlobalBounds { keys: Vec::new(), value: 0 },
            Storage::Array { keys, .. } => GlobalBounds { keys: vec![0; keys.len()], value: 0 },
        };
        let mut bounds = Self {
            globals: program.globals.iter().map(|global| of_global(&global.storage)).collect(),
            functions: program.functions.iter().map(|function| of_body(&function.body)).collect(),
            probes: program.probes.iter().map(|probe| of_body(&probe.body)).collect(),
        };
        let mut round = 0;
        loop {
            let growth = if round < ROUNDS_MAX { Growth::Exact } else { Growth::Unlimited };
            if !bounds.round(program, growth) {
                return bounds;
            }
            round += 1;
        }
    }

    /// Lets every string flow one step; whether anything grew.
    fn round(&mut self, program: &Program, growth: Growth) -> bool {
        let mut grew = false;
        for (index, function) in program.functions.iter().enumerate() {
            grew |= Flow { bounds: self, body: BodyId::Function(index), points: &[], growth, grew: false }
                .body(&function.body);
        }
        for (index, probe) in program.probes.iter().enumerate() {
            let body = BodyId::Probe(index);
            grew |= Flow { bounds: self, body, points: &probe.points, growth, grew: false }.body(&probe.body);
        }
        grew
    }

    /// The bound of an expression in a body.
    pub(super) fn of(&self, body: BodyId, points: &[ProbePoint], expression: &Expression) -> u16 {
        if expression.ty != Type::String {
            return 0;
        }
        let of = |expression| self.of(body, points, expression);
        let bound = match &expression.kind {
            ExpressionKind::String(string) => string.len(),
            ExpressionKind::Read(place) | ExpressionKind::Assign(place, _) | ExpressionKind::Update { place, .. } => {
                return self.of_place(body, place);
            }
            ExpressionKind::Conditional(_, a, b) => return of(a).max(of(b)),
            ExpressionKind::Concat(a, b) => usize::from(of(a)) + usize::from(of(b)),
            ExpressionKind::Call(functions, _) => {
                return functions.iter().map(|function| self.functions[function.0].result).max().unwrap_or(0);
            }
            ExpressionKind::Catch(a, b) => return of(a).max(of(b)),
            ExpressionKind::Entry(a) => return of(a),
            ExpressionKind::Matched(_) | ExpressionKind::LoadString(..) => usize::from(BOUND_MAX),
            ExpressionKind::StringFunction(function, arguments) => {
                let first = arguments.first().map_or(0, of);
                return string_function_bound(*function, first, arguments);
            }
            ExpressionKind::Tokenize(..) => usize::from(BOUND_MAX),
            // What is no name is shown as its digits.
            ExpressionKind::EnumName(_, names) => {
                names.values().map(|name| name.len()).max().unwrap_or(0).max(LONG_BYTES_MAX)
            }
            ExpressionKind::Format(format, arguments) => {
                let arguments: Vec<u16> = arguments.iter().map(of).collect();
                rendered_bytes_max(format, &arguments)
            }
            ExpressionKind::Task(TaskField::Execname) => usize::from(EXECNAME_BYTES_MAX),
            // A function does not know the probe points that it is called from.
            ExpressionKind::Point(_) if points.is_empty() => usize::from(BOUND_MAX),
            ExpressionKind::Point(field) => points.iter().map(|point| field.of(point).len()).max().unwrap_or(0),
            _ => 0,
        };
        bound.min(usize::from(BOUND_MAX)) as u16
    }

    fn of_place(&self, body: BodyId, place: &Place) -> u16 {
        match place {
            Place::Local(local) => self.of_body(body).locals[local.0],
            Place::Global(global) | Place::Element(global, _) => self.globals[global.0].value,
            Place::Memory { .. } | Place::Register(..) => 0,
        }
    }

    pub(super) fn of_body(&self, body: BodyId) -> &BodyBounds {
        match body {
            BodyId::Function(index) => &self.functions[index],
            BodyId::Probe(index) => &self.probes[index],
        }
    }

    fn of_body_mut(&mut self, body: BodyId) -> &mut BodyBounds {
        match body {
            BodyId::Function(index) => &mut self.functions[index],
            BodyId::Probe(index) => &mut self.probes[index],
        }
    }
}

/// Which body of the program.
#[derive(Debug, Clone, Copy)]
pub(super) enum BodyId {
    Function(usize),
    Probe(usize),
}

#[derive(Clone, Copy)]
enum Growth {
    /// A bound grows to what flows in.
    Exact,
    /// A bound that grows at all grows to the largest.
    Unlimited,
}

/// One walk through one body.
struct Flow<'a> {
    bounds: &'a mut Bounds,
    body: BodyId,
    points: &'a [ProbePoint],
    growth: Growth,
    grew: bool,
}

impl Flow<'_> {
    fn body(mut self, body: &Body) -> bool {
        self.statements(&body.statements);
        self.grew
    }

    fn statements(&mut self, statements: &[Statement]) {
        for statement in statements {
            match &statement.kind {
                StatementKind::Expression(expression) => self.expression(expression),
                StatementKind::If(condition, then, otherwise) => {
                    self.expression(condition);
                    self.statements(then);
                    self.statements(otherwise);
                }
                StatementKind::Loop { condition, body, step } => {
                    self.expression(condition);
                    self.statements(body);
                    self.statements(step);
                }
                StatementKind::Foreach(foreach) => self.foreach(foreach),
                StatementKind::Return(Some(value)) => {
                    self.expression(value);
                    let bound = self.of(value);
                    self.grow(bound, |flow| &mut flow.bounds.of_body_mut(flow.body).result);
                }
                StatementKind::ForeachBucket(foreach) => {
                    let ForeachBucket { of, limit, body, .. } = foreach;
                    self.place(&of.statistic);
                    limit.iter().for_each(|limit| self.expression(limit));
                    self.statements(body);
                }
                StatementKind::Delete(array, keys) => self.selectors(array.0, keys),
                StatementKind::Try { body, message, handler } => {
                    self.statements(body);
                    if let Some(message) = message {
                        self.grow_local(message.0, BOUND_MAX);
                    }
                    self.statements(handler);
                }
                StatementKind::Break
                | StatementKind::Continue
                | StatementKind::Return(None)
                | StatementKind::Next
                | StatementKind::Clear(_) => {}
            }
        }
    }

    fn foreach(&mut self, foreach: &Foreach) {
        let array = foreach.array.0;
        for (index, key) in foreach.keys.iter().enumerate() {
            let bound = self.bounds.globals[array].keys[index];
            self.grow_local(key.0, bound);
        }
        if let Some(value) = foreach.value {
            let bound = self.bounds.globals[array].value;
            self.grow_local(value.0, bound);
        }
        self.selectors(array, &foreach.selection);
        foreach.limit.iter().for_each(|limit| self.expression(limit));
        self.statements(&foreach.body);
    }

    fn expression(&mut self, expression: &Expression) {
        match &expression.kind {
            ExpressionKind::Assign(place, value) => {
                self.place(place);
                self.expression(value);
                let bound = self.of(value);
                self.grow_place(place, bound);
            }
            ExpressionKind::Update { place, op, operand, .. } => {
                self.place(place);
                self.expression(operand);
                if *op == UpdateOp::Concat {
                    let bound = self.bounds.of_place(self.body, place).saturating_add(self.of(operand)).min(BOUND_MAX);
                    self.grow_place(place, bound);
                }
            }
            ExpressionKind::Read(place) => self.place(place),
            ExpressionKind::Contains(array, keys) => self.selectors(array.0, keys),
            ExpressionKind::Call(functions, arguments) => {
                for (index, argument) in arguments.iter().enumerate() {
                    self.expression(argument);
                    let bound = self.of(argument);
                    for function in functions {
                        self.grow(bound, |flow| &mut flow.bounds.functions[function.0].locals[index]);
                    }
                }
            }
            ExpressionKind::Accumulate(place, value) => {
                self.place(place);
                self.expression(value);
            }
            ExpressionKind::Aggregate(_, place)
            | ExpressionKind::PrintHistogram(HistogramOf { statistic: place, .. }) => self.place(place),
            ExpressionKind::Bucket(of, bucket) => {
                self.place(&of.statistic);
                self.expression(bucket);
            }
            ExpressionKind::LoadString(_, address, length) => {
                self.expression(address);
                length.iter().for_each(|length| self.expression(length));
            }
            ExpressionKind::Unary(_, a)
            | ExpressionKind::Not(a)
            | ExpressionKind::Load(_, _, a)
            | ExpressionKind::Match(a, _)
            | ExpressionKind::Matched(a)
            | ExpressionKind::Raise(a)
            | ExpressionKind::Entry(a)
            | ExpressionKind::Double(a)
            | ExpressionKind::EnumName(a, _) => self.expression(a),
            ExpressionKind::Binary(_, a, b)
            | ExpressionKind::Compare(_, a, b)
            | ExpressionKind::And(a, b)
            | ExpressionKind::Or(a, b)
            | ExpressionKind::Concat(a, b)
            | ExpressionKind::Catch(a, b) => {
                self.expression(a);
                self.expression(b);
            }
            ExpressionKind::Conditional(c, a, b) => [c, a, b].into_iter().for_each(|e| self.expression(e)),
            ExpressionKind::Tokenize(a, b) => [a, b].into_iter().for_each(|e| self.expression(e)),
            ExpressionKind::Format(_, arguments)
            | ExpressionKind::StringFunction(_, arguments)
            | ExpressionKind::Print(_, arguments) => {
                arguments.iter().for_each(|argument| self.expression(argument));
            }
            ExpressionKind::Long(_)
            | ExpressionKind::String(_)
            | ExpressionKind::Exit
            | ExpressionKind::Task(_)
            | ExpressionKind::Cpu
            | ExpressionKind::Clock(_)
            | ExpressionKind::Target
            | ExpressionKind::Point(_)
            | ExpressionKind::GroupCount
            | ExpressionKind::Register(_)
            | ExpressionKind::UserRegister(_)
            | ExpressionKind::Address(..)
            | ExpressionKind::Perf(_) => {}
        }
    }

    fn place(&mut self, place: &Place) {
        match place {
            Place::Element(array, keys) => self.keys(array.0, keys),
            Place::Memory { address, .. } => self.expression(address),
            Place::Local(_) | Place::Global(_) | Place::Register(..) => {}
        }
    }

    /// Every key counts, also one that is only looked up: cut to a shorter bound it would find what it is not.
    fn keys(&mut self, array: usize, keys: &[Expression]) {
        keys.iter().enumerate().for_each(|(index, key)| self.key(array, index, key));
    }

    fn selectors(&mut self, array: usize, selectors: &[Selector]) {
        for (index, selector) in selectors.iter().enumerate() {
            if let Selector::Is(key) = selector {
                self.key(array, index, key);
            }
        }
    }

    fn key(&mut self, array: usize, index: usize, key: &Expression) {
        self.expression(key);
        let bound = self.of(key);
        self.grow(bound, |flow| &mut flow.bounds.globals[array].keys[index]);
    }

    fn of(&self, expression: &Expression) -> u16 {
        self.bounds.of(self.body, self.points, expression)
    }

    fn grow_place(&mut self, place: &Place, bound: u16) {
        match place {
            Place::Local(local) => self.grow_local(local.0, bound),
            Place::Global(global) | Place::Element(global, _) => {
                self.grow(bound, |flow| &mut flow.bounds.globals[global.0].value);
            }
            Place::Memory { .. } | Place::Register(..) => {}
        }
    }

    fn grow_local(&mut self, local: usize, bound: u16) {
        self.grow(bound, |flow| &mut flow.bounds.of_body_mut(flow.body).locals[local]);
    }

    fn grow(&mut self, bound: u16, place: impl Fn(&mut Self) -> &mut u16) {
        let growth = self.growth;
        let held = place(self);
        if *held < bound {
            *held = match growth {
                Growth::Exact => bound,
                Growth::Unlimited => BOUND_MAX,
            };
            self.grew = true;
        }
    }
}

/// The bound of what a function of strings gives, from that of its first argument.
fn string_function_bound(function: StringFunction, first: u16, arguments: &[Expression]) -> u16 {
    let bound = match (function, arguments) {
        (StringFunction::Substring, [_, _, Expression { kind: ExpressionKind::Long(size), .. }]) => {
            first.min(u16::try_from((*size).max(0)).unwrap_or(u16::MAX))
        }
        (StringFunction::Substring | StringFunction::Token, _) => first,
        // A byte may become a backslash and three digits.
        (StringFunction::Escape, _) => first.saturating_mul(4),
        (StringFunction::Quote, _) => first.saturating_mul(4).saturating_add(2),
        _ => BOUND_MAX,
    };
    bound.min(BOUND_MAX)
}

/// How many bytes a format can give, with arguments of these bounds.
fn rendered_bytes_max(format: &Format, arguments: &[u16]) -> usize {
    let mut arguments = arguments.iter();
    let mut bytes = 0;
    for piece in &format.pieces {
        bytes += match piece {
            Piece::Text(text) => text.len(),
            Piece::Conversion(conversion) => {
                let extents = [conversion.width, conversion.precision];
                let dynamic = extents.iter().filter(|&&extent| extent == Extent::Argument).count();
                conversion_bytes_max(*conversion, arguments.nth(dynamic).copied().unwrap_or(0))
            }
        };
    }
    bytes
}

fn conversion_bytes_max(conversion: Conversion, argument: u16) -> usize {
    let extent = |extent| match extent {
        Extent::None => None,
        Extent::Fixed(extent) => Some(extent as usize),
        Extent::Argument => Some(usize::from(BOUND_MAX)),
    };
    let precision = extent(conversion.precision);
    let body = match conversion.verb {
        Verb::String => precision.map_or(usize::from(argument), |precision| precision.min(usize::from(argument))),
        Verb::Character => 1,
        Verb::Binary => 8,
        // The longest numbers: -9223372036854775808, 0x and 16 digits, 0 and 22 digits.
        Verb::Decimal | Verb::Unsigned => 20.max(precision.unwrap_or(0) + 1),
        Verb::Hex | Verb::HexUpper | Verb::Pointer => 18.max(precision.unwrap_or(0) + 2),
        Verb::Octal => 23.max(precision.unwrap_or(0) + 1),
    };
    body.max(extent(conversion.width).unwrap_or(0))
}
