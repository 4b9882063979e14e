//! One body to one IR function: statements to blocks, expressions to instructions.
//!
//! What is evaluated first is fixed: keys from left to right, then the assigned value; operands and arguments from left to
//! right. What can fail is followed by a branch to a block that raises.

use std::collections::BTreeMap;

use shared::abi::format::{Format, Verb};
use shared::abi::map::Parameter;
use shared::diagnostic::Span;
use shared::ir::{self, BinaryOp, BlockId, End, Jump, Location, Op, Relation, Type, Value};

use super::bounds::BodyId;
use super::ssa::{Builder, Variable};
use super::{Unit, ir_type};
use crate::program::{
    self, Body, Content, DerivedProbe, Expression, ExpressionKind, Function, GlobalId, LocalId, Place, Statement,
    StatementKind, UpdateOp,
};

/// Translates a script function.
pub(super) fn function(unit: &mut Unit<'_>, index: usize, function: &Function) -> ir::Function {
    let body = BodyId::Function(index);
    let result = match function.result {
        program::Type::Void => None,
        ty => Some(ir_type(ty, unit.bounds.of_body(body).result)),
    };
    Translator::new(unit, body, &[], &function.name, result, &function.body, function.parameter_count)
        .run(&function.body)
}

/// Translates a handler.
pub(super) fn handler(unit: &mut Unit<'_>, index: usize, probe: &DerivedProbe) -> ir::Function {
    let name = format!("probe_{index}");
    Translator::new(unit, BodyId::Probe(index), &probe.points, &name, None, &probe.body, 0).run(&probe.body)
}

pub(super) struct Translator<'a, 'u> {
    pub(super) unit: &'u mut Unit<'a>,
    pub(super) body: BodyId,
    points: &'u [shared::probe::ProbePoint],
    result: Option<Type>,
    pub(super) builder: Builder,
    /// Where `continue` and `break` go, innermost last.
    loops: Vec<(BlockId, BlockId)>,
    /// Where errors are caught, innermost last.
    catches: Vec<BlockId>,
    /// Of the variables that stand for an entry's statistic: of which array, at which keys.
    pub(super) statistics: BTreeMap<LocalId, (GlobalId, Vec<Value>)>,
}

impl<'a, 'u> Translator<'a, 'u> {
    fn new(
        unit: &'u mut Unit<'a>,
        body: BodyId,
        points: &'u [shared::probe::ProbePoint],
        name: &str,
        result: Option<Type>,
        source: &Body,
        parameter_count: usize,
    ) -> Self {
        let bounds = &unit.bounds.of_body(body).locals;
        let variables = source.locals.iter().zip(bounds).map(|(local, &bound)| ir_type(local.ty, bound)).collect();
        let builder = Builder::new(name, result, variables, parameter_count);
        Self {
            unit,
            body,
            points,
            result,
            builder,
            loops: Vec::new(),
            catches: Vec::new(),
            statistics: BTreeMap::new(),
        }
    }

    fn run(mut self, body: &Body) -> ir::Function {
        self.statements(&body.statements);
        self.return_(None, Location::default());
        self.builder.finish()
    }

    pub(super) fn location(&self, span: Span) -> Location {
        self.unit.sources.location(span)
    }

    // Statements

    fn statements(&mut self, statements: &[Statement]) {
        statements.iter().for_each(|statement| self.statement(statement));
    }

    fn statement(&mut self, statement: &Statement) {
        let location = self.location(statement.span);
        match &statement.kind {
            StatementKind::Expression(expression) => self.effect(expression),
            StatementKind::If(condition, then, otherwise) => self.if_(condition, then, otherwise, location),
            StatementKind::Loop { condition, body, step } => self.loop_(condition, body, step, location),
            StatementKind::Foreach(foreach) => self.foreach(foreach, location),
            StatementKind::Break => {
                if let Some(&(_, after)) = self.loops.last() {
                    self.builder.jump(after, Vec::new(), location);
                }
            }
            StatementKind::Continue => {
                if let Some(&(next, _)) = self.loops.last() {
                    self.builder.jump(next, Vec::new(), location);
                }
            }
            StatementKind::Return(value) => {
                let value = value.as_ref().map(|value| self.value(value));
                self.return_(value, location);
            }
            StatementKind::Delete(array, keys) => {
                self.delete(*array, keys, location);
            }
            StatementKind::Clear(array) => {
                self.builder.push(Op::ArrayClear(ir_global(*array)), [], location);
            }
            StatementKind::ForeachBucket(foreach) => self.foreach_bucket(foreach, location),
            StatementKind::Next => self.unit.refuse(statement.span, "`next` in a function"),
            StatementKind::Try { body, message, handler } => self.try_(body, *message, handler, location),
        }
    }

    /// Leaves the function; one that must return something and has nothing to return gives 0 or the empty string.
    fn return_(&mut self, value: Option<Value>, location: Location) {
        let value = match (self.result, value) {
            (None, _) => None,
            (Some(_), Some(value)) => Some(value),
            (Some(Type::String(_)), None) => Some(self.empty(location)),
            (Some(_), None) => Some(self.long(0, location)),
        };
        self.builder.end(End::Return(value), location);
    }

    fn if_(&mut self, condition: &Expression, then: &[Statement], otherwise: &[Statement], location: Location) {
        let after = self.builder.new_block();
        let (then_block, otherwise_block) = self.branch_on(condition);
        for (block, statements) in [(then_block, then), (otherwise_block, otherwise)] {
            self.builder.switch_to(block);
            self.statements(statements);
            self.builder.jump(after, Vec::new(), location);
        }
        self.builder.seal(after);
        self.builder.switch_to(after);
    }

    /// Evaluates a condition and branches on it to two new blocks.
    fn branch_on(&mut self, condition: &Expression) -> (BlockId, BlockId) {
        let location = self.location(condition.span);
        let value = self.value(condition);
        self.branch_on_value(value, location)
    }

    pub(super) fn branch_on_value(&mut self, value: Value, location: Location) -> (BlockId, BlockId) {
        let (then, otherwise) = (self.builder.new_block(), self.builder.new_block());
        self.builder.branch(value, then, otherwise, location);
        self.builder.seal(then);
        self.builder.seal(otherwise);
        (then, otherwise)
    }

    fn loop_(&mut self, condition: &Expression, body: &[Statement], step: &[Statement], location: Location) {
        let (head, next, after) = (self.builder.new_block(), self.builder.new_block(), self.builder.new_block());
        self.builder.jump(head, Vec::new(), location);
        self.builder.switch_to(head);
        self.spend(body.len() + step.len(), location);
        let (round, done) = self.branch_on(condition);
        self.builder.switch_to(done);
        self.builder.jump(after, Vec::new(), location);
        self.builder.switch_to(round);
        self.round(body, next, after, location);
        self.builder.seal(next);
        self.builder.switch_to(next);
        self.statements(step);
        self.builder.jump(head, Vec::new(), location);
        self.builder.seal(head);
        self.builder.seal(after);
        self.builder.switch_to(after);
    }

    pub(super) fn round(&mut self, body: &[Statement], next: BlockId, after: BlockId, location: Location) {
        self.loops.push((next, after));
        self.statements(body);
        self.loops.pop();
        self.builder.jump(next, Vec::new(), location);
    }

    fn try_(&mut self, body: &[Statement], message: Option<LocalId>, handler: &[Statement], location: Location) {
        let (catch, after) = (self.builder.new_block(), self.builder.new_block());
        self.catches.push(catch);
        self.statements(body);
        self.catches.pop();
        self.builder.jump(after, Vec::new(), location);
        self.builder.seal(catch);
        self.builder.switch_to(catch);
        let ty = Type::String(message.map_or(0, |message| self.unit.bounds.of_body(self.body).locals[message.0]));
        let [caught] = self.builder.push(Op::Caught, [ty], location);
        message.iter().for_each(|&message| self.builder.write(variable(message), caught));
        self.statements(handler);
        self.builder.jump(after, Vec::new(), location);
        self.builder.seal(after);
        self.builder.switch_to(after);
    }

    // Expressions

    /// An expression whose value nobody wants.
    fn effect(&mut self, expression: &Expression) {
        let location = self.location(expression.span);
        match &expression.kind {
            ExpressionKind::Print(format, arguments) => {
                let (format, arguments) = self.format(format, arguments);
                self.builder.push(Op::Print(format, arguments), [], location);
            }
            ExpressionKind::Exit => {
                self.builder.push(Op::Exit, [], location);
            }
            ExpressionKind::Raise(message) => {
                let ty = self.ty(message);
                let message = self.value(message);
                let mut format = Format::default();
                format.push_conversion(Verb::String);
                let format = self.unit.formats.id(format, vec![ty], "identifier 'error'");
                self.raise(format, vec![message], location);
            }
            ExpressionKind::PrintHistogram(of) => self.draw(of, location),
            ExpressionKind::Call(functions, arguments) if expression.ty == program::Type::Void => {
                let call = self.call(functions, arguments, expression.span);
                let [raised] = self.builder.push(call, [Type::Long], location);
                self.reraise_if(raised, location);
            }
            _ => {
                self.value(expression);
            }
        }
    }

    pub(super) fn values(&mut self, expressions: &[Expression]) -> Vec<Value> {
        expressions.iter().map(|expression| self.value(expression)).collect()
    }

    fn ty(&self, expression: &Expression) -> Type {
        ir_type(expression.ty, self.unit.bounds.of(self.body, self.points, expression))
    }

    pub(super) fn value(&mut self, expression: &Expression) -> Value {
        let location = self.location(expression.span);
        let ty = self.ty(expression);
        let op = match &expression.kind {
            ExpressionKind::Long(long) => Op::Long(*long),
            ExpressionKind::String(string) => Op::String(string.clone()),
            ExpressionKind::Read(place) => return self.read(place, location),
            ExpressionKind::Contains(array, keys) => {
                return self.contains(*array, keys, location);
            }
            ExpressionKind::Unary(op, a) => Op::Unary(*op, self.value(a)),
            ExpressionKind::Binary(op, a, b) => {
                let (a, b) = (self.value(a), self.value(b));
                return self.binary(*op, a, b, location);
            }
            ExpressionKind::Compare(relation, a, b) => {
                let strings = a.ty == program::Type::String;
                let (a, b) = (self.value(a), self.value(b));
                if strings { Op::CompareStrings(*relation, a, b) } else { Op::Compare(*relation, a, b) }
            }
            ExpressionKind::Not(a) => {
                let (a, zero) = (self.value(a), self.long(0, location));
                Op::Compare(Relation::Equal, a, zero)
            }
            ExpressionKind::And(a, b) => return self.and_or(a, b, true, location),
            ExpressionKind::Or(a, b) => return self.and_or(a, b, false, location),
            ExpressionKind::Conditional(condition, a, b) => return self.conditional(condition, a, b, ty, location),
            ExpressionKind::Concat(a, b) => Op::Concat(self.value(a), self.value(b)),
            ExpressionKind::Catch(a, b) => return self.catch(a, b, ty, location),
            ExpressionKind::Assign(Place::Memory { .. } | Place::Register(..), _)
            | ExpressionKind::Update { place: Place::Memory { .. } | Place::Register(..), .. } => {
                self.unit.refuse(expression.span, "writing to a target variable");
                return self.long(0, location);
            }
            ExpressionKind::Assign(place, value) => return self.assign(place, value, location),
            ExpressionKind::Update { place, op, operand, postfix } => {
                return self.update(place, *op, operand, *postfix, location);
            }
            ExpressionKind::Call(functions, arguments) => {
                let call = self.call(functions, arguments, expression.span);
                let [result, raised] = self.builder.push(call, [ty, Type::Long], location);
                self.reraise_if(raised, location);
                return result;
            }
            ExpressionKind::Format(format, arguments) => {
                let (format, arguments) = self.format(format, arguments);
                Op::Format(format, arguments)
            }
            ExpressionKind::Print(..)
            | ExpressionKind::PrintHistogram(_)
            | ExpressionKind::Raise(_)
            | ExpressionKind::Exit => {
                self.effect(expression);
                Op::Long(0)
            }
            ExpressionKind::Accumulate(place, value) => return self.accumulate(place, value, location),
            ExpressionKind::Aggregate(aggregate, place) => return self.aggregate(*aggregate, place, location),
            ExpressionKind::Bucket(of, bucket) => {
                let (global, keys, histogram) = self.histogram(of);
                Op::Bucket(global, keys, histogram, self.value(bucket))
            }
            ExpressionKind::Match(..)
            | ExpressionKind::Matched(_)
            | ExpressionKind::GroupCount
            | ExpressionKind::UserRegister(_)
            | ExpressionKind::Address(..)
            | ExpressionKind::Entry(_)
            | ExpressionKind::Double(_)
            | ExpressionKind::EnumName(..)
            | ExpressionKind::Perf(_) => {
                self.unit.refuse(expression.span, name_of(&expression.kind));
                return if expression.ty == program::Type::String {
                    self.empty(location)
                } else {
                    self.long(0, location)
                };
            }
            ExpressionKind::Task(field) => Op::Task(*field),
            ExpressionKind::Cpu => Op::Cpu,
            ExpressionKind::Clock(clock) => Op::Clock(*clock),
            ExpressionKind::Target => Op::Parameter(Parameter::Target),
            ExpressionKind::Point(field) => Op::Point(*field),
            ExpressionKind::Register(number) => Op::Register(*number),
            ExpressionKind::StringFunction(function, arguments) => {
                return self.string_function(*function, arguments, ty, location);
            }
            ExpressionKind::Tokenize(string, delimiters) => return self.tokenize(string, delimiters, location),
            ExpressionKind::LoadString(space, address, bytes_max) => {
                return self.load_string(*space, address, bytes_max.as_deref(), ty, expression.span);
            }
            ExpressionKind::Load(space, width, address) => {
                return self.load(*space, *width, address, expression.span, location);
            }
        };
        let [result] = self.builder.push(op, [ty], location);
        result
    }

    fn call(&mut self, functions: &[program::FunctionId], arguments: &[Expression], span: Span) -> Op {
        if functions.len() > 1 {
            self.unit.refuse(span, "a choice of functions at run time");
        }
        let function = functions.first().map_or(0, |function| function.0 as u32);
        Op::Call(ir::FunctionId(function), self.values(arguments))
    }

    pub(super) fn long(&mut self, long: i64, location: Location) -> Value {
        let [value] = self.builder.push(Op::Long(long), [Type::Long], location);
        value
    }

    pub(super) fn empty(&mut self, location: Location) -> Value {
        let [value] = self.builder.push(Op::String(Default::default()), [Type::String(0)], location);
        value
    }

    fn binary(&mut self, op: BinaryOp, a: Value, b: Value, location: Location) -> Value {
        if matches!(op, BinaryOp::Divide | BinaryOp::Modulo) {
            let zero = self.long(0, location);
            let [is_zero] = self.builder.push(Op::Compare(Relation::Equal, b, zero), [Type::Long], location);
            // The message is a format.
            let operator = if op == BinaryOp::Divide { "/" } else { "%" };
            self.raise_if(is_zero, &format!("division by 0 near operator '{operator}'"), location);
        }
        let [result] = self.builder.push(Op::Binary(op, a, b), [Type::Long], location);
        result
    }

    /// `a && b` and `a || b`, which evaluate `b` only where `a` does not decide.
    fn and_or(&mut self, a: &Expression, b: &Expression, and: bool, location: Location) -> Value {
        let after = self.builder.new_block();
        let result = self.builder.add_parameter(after, Type::Long);
        let (holds, fails) = self.branch_on(a);
        let (open, decided) = if and { (holds, fails) } else { (fails, holds) };
        self.builder.switch_to(decided);
        let value = self.long(i64::from(!and), location);
        self.builder.jump(after, vec![value], location);
        self.builder.switch_to(open);
        let (b, zero) = (self.value(b), self.long(0, location));
        let [truth] = self.builder.push(Op::Compare(Relation::NotEqual, b, zero), [Type::Long], location);
        self.builder.jump(after, vec![truth], location);
        self.builder.seal(after);
        self.builder.switch_to(after);
        result
    }

    fn conditional(
        &mut self,
        condition: &Expression,
        a: &Expression,
        b: &Expression,
        ty: Type,
        location: Location,
    ) -> Value {
        let after = self.builder.new_block();
        let result = self.builder.add_parameter(after, ty);
        let (then, otherwise) = self.branch_on(condition);
        for (block, expression) in [(then, a), (otherwise, b)] {
            self.builder.switch_to(block);
            let value = self.value(expression);
            self.builder.jump(after, vec![value], location);
        }
        self.builder.seal(after);
        self.builder.switch_to(after);
        result
    }

    /// `a`, or where it raises, `b`.
    fn catch(&mut self, a: &Expression, b: &Expression, ty: Type, location: Location) -> Value {
        let (catch, after) = (self.builder.new_block(), self.builder.new_block());
        let result = self.builder.add_parameter(after, ty);
        self.catches.push(catch);
        let value = self.value(a);
        self.catches.pop();
        self.builder.jump(after, vec![value], location);
        self.builder.seal(catch);
        self.builder.switch_to(catch);
        self.builder.push(Op::Caught, [Type::String(0)], location);
        let value = self.value(b);
        self.builder.jump(after, vec![value], location);
        self.builder.seal(after);
        self.builder.switch_to(after);
        result
    }

    fn load(
        &mut self,
        space: ir::Space,
        width: ir::Width,
        address: &Expression,
        span: Span,
        location: Location,
    ) -> Value {
        let address = self.value(address);
        let [value, fault] = self.builder.push(Op::Load { space, width, address }, [Type::Long, Type::Long], location);
        let near = self.near(span);
        let message = format!("{} read fault at %p near identifier '{}'", space.name(), near);
        self.raise_with(fault, &message, vec![address], location);
        value
    }

    /// Interns a format with the types of its arguments, and evaluates these.
    fn format(&mut self, format: &Format, arguments: &[Expression]) -> (ir::FormatId, Vec<Value>) {
        let types = arguments.iter().map(|argument| self.ty(argument)).collect();
        let arguments = self.values(arguments);
        (self.unit.formats.id(format.clone(), types, ""), arguments)
    }

    // Variables

    pub(super) fn array_types(&self, array: GlobalId) -> (&[program::Type], program::Type) {
        match &self.unit.program.globals[array.0].storage {
            program::Storage::Array { keys, content: Content::Value(value), .. } => (keys, *value),
            program::Storage::Array { keys, content: Content::Statistic(_), .. } => (keys, program::Type::Statistic),
            program::Storage::Scalar(_) | program::Storage::Statistic(_) => (&[], program::Type::Long),
        }
    }

    /// The IR type of what a global or its entries hold.
    fn held_type(&self, global: GlobalId) -> Type {
        let bound = self.unit.bounds.globals[global.0].value;
        match &self.unit.program.globals[global.0].storage {
            program::Storage::Array { content: Content::Value(value), .. } => ir_type(*value, bound),
            program::Storage::Scalar(shared::abi::value::Datum::String(_)) => Type::String(bound),
            program::Storage::Array { .. } | program::Storage::Scalar(_) | program::Storage::Statistic(_) => Type::Long,
        }
    }

    fn read(&mut self, place: &Place, location: Location) -> Value {
        let [value] = match place {
            Place::Local(local) => [self.builder.read(variable(*local))],
            Place::Global(global) => {
                self.builder.push(Op::Get(ir_global(*global)), [self.held_type(*global)], location)
            }
            Place::Element(array, keys) => {
                let keys = self.values(keys);
                self.builder.push(Op::ArrayGet(ir_global(*array), keys), [self.held_type(*array)], location)
            }
            Place::Memory { .. } | Place::Register(..) => [self.long(0, location)],
        };
        value
    }

    fn assign(&mut self, place: &Place, value: &Expression, location: Location) -> Value {
        let keys = match place {
            Place::Element(_, keys) => self.values(keys),
            Place::Local(_) | Place::Global(_) | Place::Memory { .. } | Place::Register(..) => Vec::new(),
        };
        let value = self.value(value);
        self.set(place, keys, value, location);
        value
    }

    fn set(&mut self, place: &Place, keys: Vec<Value>, value: Value, location: Location) {
        match place {
            Place::Local(local) => self.builder.write(variable(*local), value),
            Place::Global(global) => {
                self.builder.push(Op::Set(ir_global(*global), value), [], location);
            }
            Place::Element(array, _) => {
                let op = Op::ArraySet(ir_global(*array), keys, value);
                let [full] = self.builder.push(op, [Type::Long], location);
                self.raise_if_full(full, *array, location);
            }
            Place::Memory { .. } | Place::Register(..) => {}
        }
    }

    fn update(
        &mut self,
        place: &Place,
        op: UpdateOp,
        operand: &Expression,
        postfix: bool,
        location: Location,
    ) -> Value {
        let keys = match place {
            Place::Element(_, keys) => self.values(keys),
            Place::Local(_) | Place::Global(_) | Place::Memory { .. } | Place::Register(..) => Vec::new(),
        };
        let operand = self.value(operand);
        let op = match op {
            UpdateOp::Binary(op) => op,
            UpdateOp::Concat => return self.append(place, keys, operand, location),
        };
        let (after, difference) = match (op, place) {
            (BinaryOp::Add | BinaryOp::Subtract, Place::Global(global)) => {
                let difference = self.difference(op, operand, location);
                let op = Op::Add(ir_global(*global), difference);
                let [after] = self.builder.push(op, [Type::Long], location);
                (after, difference)
            }
            (BinaryOp::Add | BinaryOp::Subtract, Place::Element(array, _)) => {
                let difference = self.difference(op, operand, location);
                let op = Op::ArrayAdd(ir_global(*array), keys, difference);
                let [after, full] = self.builder.push(op, [Type::Long, Type::Long], location);
                self.raise_if_full(full, *array, location);
                (after, difference)
            }
            _ => {
                let before = self.read_at(place, &keys, location);
                let after = self.binary(op, before, operand, location);
                self.set(place, keys, after, location);
                return if postfix { before } else { after };
            }
        };
        if !postfix {
            return after;
        }
        let [before] = self.builder.push(Op::Binary(BinaryOp::Subtract, after, difference), [Type::Long], location);
        before
    }

    /// What `+= operand` or `-= operand` adds.
    fn difference(&mut self, op: BinaryOp, operand: Value, location: Location) -> Value {
        if op == BinaryOp::Add {
            return operand;
        }
        let [negated] = self.builder.push(Op::Unary(ir::UnaryOp::Negate, operand), [Type::Long], location);
        negated
    }

    /// `.=`
    fn append(&mut self, place: &Place, keys: Vec<Value>, operand: Value, location: Location) -> Value {
        let before = self.read_at(place, &keys, location);
        let ty = match place {
            Place::Local(local) => Type::String(self.unit.bounds.of_body(self.body).locals[local.0]),
            Place::Global(global) | Place::Element(global, _) => self.held_type(*global),
            Place::Memory { .. } | Place::Register(..) => Type::Long,
        };
        let [after] = self.builder.push(Op::Concat(before, operand), [ty], location);
        self.set(place, keys, after, location);
        after
    }

    /// Reads a place whose keys are already evaluated.
    fn read_at(&mut self, place: &Place, keys: &[Value], location: Location) -> Value {
        match place {
            Place::Local(_) | Place::Global(_) | Place::Memory { .. } | Place::Register(..) => {
                self.read(place, location)
            }
            Place::Element(array, _) => {
                let op = Op::ArrayGet(ir_global(*array), keys.to_vec());
                let [value] = self.builder.push(op, [self.held_type(*array)], location);
                value
            }
        }
    }

    // Errors

    pub(super) fn raise_if_full(&mut self, full: Value, array: GlobalId, location: Location) {
        let name = &self.unit.program.globals[array.0].name;
        let message = format!("Array overflow, check MAXMAPENTRIES near identifier '{name}'");
        self.raise_if(full, &message, location);
    }

    pub(super) fn raise_if(&mut self, condition: Value, message: &str, location: Location) {
        self.raise_with(condition, message, Vec::new(), location);
    }

    /// Branches to a block that raises with a message, whose conversions take longs.
    pub(super) fn raise_with(&mut self, condition: Value, message: &str, arguments: Vec<Value>, location: Location) {
        let (raise, after) = self.branch_on_value(condition, location);
        self.builder.switch_to(raise);
        // A message that is no format (a name with a percent sign cannot occur) is raised without arguments.
        let (message, near) = message.split_once(" near ").unwrap_or((message, ""));
        let format = Format::parse(message.as_bytes()).unwrap_or_default();
        let types = vec![Type::Long; format.arguments().len()];
        let arguments = arguments.into_iter().take(types.len()).collect();
        let format = self.unit.formats.id(format, types, near);
        self.raise(format, arguments, location);
        self.builder.switch_to(after);
    }

    /// Counts the statements of a round of a loop, the condition included.
    pub(super) fn spend(&mut self, statements: usize, location: Location) {
        let [exceeded] = self.builder.push(Op::Spend(statements as u32 + 1), [Type::Long], location);
        self.raise_if(exceeded, ir::MAXACTION_EXCEEDED, location);
    }

    /// Goes where errors are caught, or leaves.
    fn raise(&mut self, format: ir::FormatId, arguments: Vec<Value>, location: Location) {
        let catch = self.catches.last().map(|&block| Jump { block, arguments: Vec::new() });
        self.builder.end(End::Raise { format, arguments, catch }, location);
    }

    /// Goes where errors are caught, or leaves, where a call has raised.
    fn reraise_if(&mut self, raised: Value, location: Location) {
        if let Some(&catch) = self.catches.last() {
            let after = self.builder.new_block();
            self.builder.branch(raised, catch, after, location);
            self.builder.seal(after);
            return self.builder.switch_to(after);
        }
        let (reraise, after) = self.branch_on_value(raised, location);
        self.builder.switch_to(reraise);
        self.builder.end(End::Reraise, location);
        self.builder.switch_to(after);
    }
}

/// What a person calls an expression that is not supported yet.
fn name_of(kind: &ExpressionKind) -> &'static str {
    match kind {
        ExpressionKind::Accumulate(..) | ExpressionKind::Aggregate(..) => "a statistic",
        ExpressionKind::Bucket(..) => "a histogram",
        ExpressionKind::Match(..) | ExpressionKind::Matched(_) | ExpressionKind::GroupCount => "a regular expression",
        ExpressionKind::Catch(..) => "text of a structure",
        ExpressionKind::UserRegister(_) => "a register of the user's",
        ExpressionKind::Address(..) => "a variable at a fixed address",
        ExpressionKind::Entry(_) => "a value of a function's entry",
        ExpressionKind::Double(_) => "a floating point number",
        ExpressionKind::EnumName(..) => "the name of an enumerator",
        ExpressionKind::Perf(_) => "a performance counter",
        _ => "this expression",
    }
}

pub(super) fn variable(local: LocalId) -> Variable {
    Variable(local.0)
}

pub(super) fn ir_global(global: GlobalId) -> ir::GlobalId {
    ir::GlobalId(global.0 as u16)
}
