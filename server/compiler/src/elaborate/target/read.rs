//! Values of target expressions: reads of registers and memory, and what can be written to.

use shared::diagnostic::{Diagnostic, Span};
use shared::ir::{BinaryOp, Relation, Space, Width};

use super::{Failure, Result, Target, damaged, wrong};
use crate::debuginfo::{self, Encoding, Expr, Location, Type as TargetType, TypeId, Variable};
use crate::elaborate::probe::Resolver;
use crate::elaborate::unit::Unit;
use crate::program::{Bits, Expression, ExpressionKind, Place, Type};

impl<'d, 'e> Unit<'_, 'd, 'e> {
    /// The value of a target expression: a number of up to eight bytes. `given` are the values of [`Target::given`].
    pub(in crate::elaborate) fn read(
        &self,
        target: &Target<'d>,
        given: &[Expression],
        span: Span,
    ) -> Result<Expression> {
        let make = self.make(target, given, span);
        let variable = &target.variable;
        let (shape, storage) = self.shape(target, variable, span)?;
        let raw = match &variable.location {
            Location::Memory(address) => make.load(make.expression(address)?, storage),
            Location::Value(value) if variable.bits.is_some() => make.expression(value)?,
            Location::Value(value) => make.widen(make.expression(value)?, storage),
            Location::Bytes(_) | Location::Pieces(_) => return Err(scattered(span)),
        };
        Ok(match (shape, variable.bits) {
            (_, Some(bits)) => make.bits(raw, bits, matches!(shape, Shape::Integer { signed: true })),
            (Shape::Float, None) => make.long(ExpressionKind::Double(Box::new(raw))),
            (Shape::Integer { .. }, None) => raw,
        })
    }

    /// What a target expression names, to be written to.
    pub(in crate::elaborate) fn target_place(
        &self,
        target: &Target<'d>,
        given: &[Expression],
        span: Span,
    ) -> Result<Place> {
        let make = self.make(target, given, span);
        let variable = &target.variable;
        let (shape, width) = self.shape(target, variable, span)?;
        let signed = matches!(shape, Shape::Integer { signed: true });
        let bits = variable.bits.map(|bits| Bits { offset: bits.offset, size: bits.size, signed });
        match &variable.location {
            _ if target.saved => {
                let message = "what the function was called with is gone when it returns, and cannot be written to";
                Err(wrong("elaborate/not-assignable", span, message))
            }
            Location::Memory(address) => {
                let address = Box::new(make.expression(address)?);
                Ok(Place::Memory { space: target.space, width, address, bits })
            }
            Location::Value(Expr::Register(number)) if bits.is_none() => Ok(Place::Register(*number, width)),
            _ => {
                let message = "this has no place of its own at the probed place: it cannot be written to";
                Err(wrong("elaborate/not-assignable", span, message))
            }
        }
    }

    pub(super) fn make<'m>(&'m self, target: &Target<'d>, given: &'m [Expression], span: Span) -> Make<'m, 'e> {
        Make { resolver: self.resolver, file: target.file, space: target.space, given, span }
    }

    /// What kind of number a variable is, and how wide what holds it is.
    fn shape(&self, target: &Target<'d>, variable: &Variable, span: Span) -> Result<(Shape, Width)> {
        let resolved = self.debuginfo(target).resolved_type(variable.type_id);
        let (_, ty) = resolved.map_err(|error| self.explain(error.into(), span))?;
        let integer = |bytes, signed| (Shape::Integer { signed }, Width { bytes, signed });
        let (shape, width) = match ty {
            TargetType::Integer { size, encoding, .. } if size <= 8 => {
                integer(size, matches!(encoding, Encoding::Signed | Encoding::SignedChar))
            }
            TargetType::Enum { size, signed, .. } if size <= 8 => integer(size, signed),
            TargetType::Pointer { .. } => integer(8, false),
            // A long holds the bits of a double.
            TargetType::Float { size: 8, .. } => integer(8, false),
            TargetType::Float { size: 4, .. } => (Shape::Float, Width { bytes: 4, signed: false }),
            other => return Err(self.not_a_number(target, &other, variable.type_id, span)),
        };
        let storage = variable.bits.map_or(width, |bits| Width { bytes: bits.storage_size, signed: false });
        Ok((shape, storage))
    }

    fn not_a_number(&self, target: &Target<'d>, ty: &TargetType, id: TypeId, span: Span) -> Failure {
        let message = format!("this is a `{}`, which is not a number", self.type_name(target.file, id));
        let diagnostic = Diagnostic::error("elaborate/not-a-number", span, message);
        Failure::Wrong(Box::new(match ty {
            TargetType::Struct { .. } => {
                let members = self.debuginfo(target).members(id).unwrap_or_default();
                let names: Vec<String> = members.into_iter().filter_map(|member| member.name).take(20).collect();
                diagnostic.help(format!("name a member with `->`: {}", names.join(", ")))
            }
            TargetType::Array { .. } => diagnostic.help("name an element with `[0]`, or the address with `&`"),
            _ => diagnostic,
        }))
    }
}

/// What kind of number.
#[derive(Debug, Clone, Copy)]
enum Shape {
    Integer {
        signed: bool,
    },
    /// Of four bytes.
    Float,
}

pub(super) fn scattered(span: Span) -> Failure {
    wrong("elaborate/not-a-number", span, "this is kept in several pieces, and is no number as a whole")
}

/// Makes expressions of the program.
pub(super) struct Make<'m, 'e> {
    resolver: &'m Resolver<'e>,
    file: usize,
    space: Space,
    given: &'m [Expression],
    span: Span,
}

impl Make<'_, '_> {
    fn long(&self, kind: ExpressionKind) -> Expression {
        Expression { kind, ty: Type::Long, span: self.span }
    }

    fn number(&self, number: i64) -> Box<Expression> {
        Box::new(self.long(ExpressionKind::Long(number)))
    }

    fn binary(&self, op: BinaryOp, a: Expression, b: Box<Expression>) -> Expression {
        self.long(ExpressionKind::Binary(op, Box::new(a), b))
    }

    fn load(&self, address: Expression, width: Width) -> Expression {
        self.long(ExpressionKind::Load(self.space, width, Box::new(address)))
    }

    /// The low bytes of a number, widened.
    fn widen(&self, value: Expression, width: Width) -> Expression {
        if width.bytes == 8 {
            return value;
        }
        let bits = i64::from(width.bytes) * 8;
        if width.signed {
            let high = self.binary(BinaryOp::ShiftLeft, value, self.number(64 - bits));
            return self.binary(BinaryOp::ShiftRight, high, self.number(64 - bits));
        }
        self.binary(BinaryOp::And, value, self.number((1 << bits) - 1))
    }

    fn bits(&self, raw: Expression, bits: debuginfo::Bits, signed: bool) -> Expression {
        let (above, all) = (64 - i64::from(bits.offset) - i64::from(bits.size), 64 - i64::from(bits.size));
        let high = self.binary(BinaryOp::ShiftLeft, raw, self.number(above));
        let op = if signed { BinaryOp::ShiftRight } else { BinaryOp::ShiftRightLogical };
        self.binary(op, high, self.number(all))
    }

    pub(super) fn expression(&self, expr: &Expr) -> Result<Expression> {
        Ok(match expr {
            Expr::Constant(number) => self.long(ExpressionKind::Long(number.cast_signed())),
            Expr::Register(number) => self.long(ExpressionKind::Register(*number)),
            Expr::Load { address, size } => self.load(self.expression(address)?, Width { bytes: *size, signed: false }),
            Expr::Binary(op, a, b) => self.operation(*op, self.expression(a)?, self.expression(b)?),
            Expr::Address(address) => {
                let found = self.resolver.loaded_address(self.file, *address);
                let (base, offset) = found.map_err(|error| damaged(error, self.span))?;
                self.long(ExpressionKind::Address(base, offset))
            }
            Expr::Given(index) => match self.given.get(*index as usize) {
                Some(given) => given.clone(),
                None => return Err(scattered(self.span)),
            },
        })
    }

    fn operation(&self, op: debuginfo::BinaryOp, a: Expression, b: Expression) -> Expression {
        let op = match op {
            debuginfo::BinaryOp::Add => BinaryOp::Add,
            debuginfo::BinaryOp::Sub => BinaryOp::Subtract,
            debuginfo::BinaryOp::Mul => BinaryOp::Multiply,
            debuginfo::BinaryOp::And => BinaryOp::And,
            debuginfo::BinaryOp::Or => BinaryOp::Or,
            debuginfo::BinaryOp::Xor => BinaryOp::Xor,
            debuginfo::BinaryOp::Shl => BinaryOp::ShiftLeft,
            debuginfo::BinaryOp::Shr => BinaryOp::ShiftRightLogical,
            debuginfo::BinaryOp::Sar => BinaryOp::ShiftRight,
            debuginfo::BinaryOp::Eq => return self.compare(Relation::Equal, a, b),
            debuginfo::BinaryOp::Ne => return self.compare(Relation::NotEqual, a, b),
            debuginfo::BinaryOp::Lt => return self.compare(Relation::Less, a, b),
            debuginfo::BinaryOp::Le => return self.compare(Relation::LessEqual, a, b),
            debuginfo::BinaryOp::Gt => return self.compare(Relation::Greater, a, b),
            debuginfo::BinaryOp::Ge => return self.compare(Relation::GreaterEqual, a, b),
        };
        self.binary(op, a, Box::new(b))
    }

    fn compare(&self, relation: Relation, a: Expression, b: Expression) -> Expression {
        self.long(ExpressionKind::Compare(relation, Box::new(a), Box::new(b)))
    }
}
