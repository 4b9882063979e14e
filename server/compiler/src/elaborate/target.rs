//! Target variables: `$x`, `$x->y`, `$x[1]`, `$return` become reads of registers and memory.

use shared::diagnostic::{Diagnostic, Note, Span, similar};
use shared::ir::{BinaryOp, Relation, Space, Width};

use super::probe::{Derivation, FunctionScope, Resolver, Scope};
use crate::ast::{self, ExpressionKind as Tree};
use crate::debuginfo::{
    self, Availability, Bits, Debuginfo, Encoding, Expr, Location, Moment, ScopedVariable, Type as TargetType, TypeId,
    Variable, VariableError,
};
use crate::program::{Expression, ExpressionKind, Type};

type Result<T> = std::result::Result<T, Box<Diagnostic>>;

/// The value of a target variable at a place.
pub(super) fn variable(
    expression: &ast::Expression,
    derivation: &Derivation,
    resolver: &Resolver<'_>,
) -> Result<Expression> {
    let scope = match &derivation.scope {
        Scope::Function(scope) => scope,
        Scope::None(why) => {
            let message = format!("there are no target variables in {}", derivation.point.name);
            let diagnostic = Diagnostic::error("elaborate/no-target-variables", expression.span, message);
            return Err(Box::new(diagnostic.note(*why)));
        }
    };
    let reader = Reader { debuginfo: resolver.file(scope.file), scope };
    let variable = reader.find(expression)?;
    reader.read(&variable, expression.span)
}

struct Reader<'r, 'a> {
    debuginfo: &'r Debuginfo<'a>,
    scope: &'r FunctionScope,
}

impl Reader<'_, '_> {
    /// What an expression names.
    fn find(&self, expression: &ast::Expression) -> Result<Variable> {
        let explain = |error: VariableError| self.explain(error, expression.span);
        match &expression.kind {
            Tree::Target(name) if name.starts_with("$$") => Err(not_supported(expression.span, &format!("`{name}`"))),
            Tree::Target(name) if name == "$return" && self.scope.place.moment == Moment::Return => {
                self.debuginfo.return_value(&self.scope.place).map_err(explain)
            }
            Tree::Target(name) if self.scope.place.moment == Moment::Return => {
                let message = format!("`{name}` is gone when the function returns");
                let diagnostic = Diagnostic::error("elaborate/entry-variable", expression.span, message);
                Err(Box::new(
                    diagnostic.note(
                        "only `$return` is there; saving variables of the entry is not supported by this version",
                    ),
                ))
            }
            Tree::Target(name) => {
                let name = name.trim_start_matches('$');
                self.debuginfo.variable(&self.scope.place, name).map_err(explain)
            }
            Tree::Member { base, member } => {
                let base = self.find(base)?;
                self.debuginfo.member(&base, &member.text).map_err(|error| self.explain(error, member.span))
            }
            Tree::Element { base, index } => {
                let Tree::Literal(ast::LiteralValue::Number(number)) = index.kind else {
                    return Err(not_supported(index.span, "an index that is not a number"));
                };
                let base = self.find(base)?;
                self.debuginfo.index(&base, Expr::Constant(number as u64)).map_err(explain)
            }
            _ => Err(not_supported(expression.span, "this step from a target variable")),
        }
    }

    /// The value of something: a number of up to eight bytes.
    fn read(&self, variable: &Variable, span: Span) -> Result<Expression> {
        let width = self.width(variable, span)?;
        let make = Make { space: self.scope.space, span };
        let storage = variable.bits.map_or(width, |bits| Width { bytes: bits.storage_size, signed: false });
        let raw = match &variable.location {
            Location::Memory(address) => make.load(make.expression(address)?, storage),
            Location::Value(value) if variable.bits.is_some() => make.expression(value)?,
            Location::Value(value) => make.widen(make.expression(value)?, width),
            Location::Bytes(_) | Location::Pieces(_) => {
                return Err(not_supported(span, "a variable that is kept in several pieces"));
            }
        };
        Ok(match variable.bits {
            Some(bits) => make.bits(raw, bits, width.signed),
            None => raw,
        })
    }

    /// How wide the value is, and whether it has a sign.
    fn width(&self, variable: &Variable, span: Span) -> Result<Width> {
        let resolved = self.debuginfo.resolved_type(variable.type_id);
        let (_, ty) = resolved.map_err(|error| self.explain(error.into(), span))?;
        match ty {
            TargetType::Integer { size, encoding, .. } if size <= 8 => {
                Ok(Width { bytes: size, signed: matches!(encoding, Encoding::Signed | Encoding::SignedChar) })
            }
            TargetType::Enum { size, signed, .. } if size <= 8 => Ok(Width { bytes: size, signed }),
            TargetType::Pointer { .. } => Ok(Width { bytes: 8, signed: false }),
            other => Err(self.not_a_number(&other, variable.type_id, span)),
        }
    }

    fn not_a_number(&self, ty: &TargetType, id: TypeId, span: Span) -> Box<Diagnostic> {
        let name = self.debuginfo.type_name(id).unwrap_or_default();
        let message = format!("this is a `{name}`, which is not a number");
        let diagnostic = Diagnostic::error("elaborate/not-a-number", span, message);
        Box::new(match ty {
            TargetType::Struct { .. } => {
                let members = self.debuginfo.members(id).unwrap_or_default();
                let names: Vec<String> = members.into_iter().filter_map(|member| member.name).take(20).collect();
                diagnostic.help(format!("name a member with `->`: {}", names.join(", ")))
            }
            TargetType::Array { .. } => diagnostic.help("name an element with `[0]`"),
            _ => diagnostic,
        })
    }

    fn explain(&self, error: VariableError, span: Span) -> Box<Diagnostic> {
        let (code, message) = match &error {
            VariableError::Unknown { name, function, .. } => {
                ("elaborate/unknown-target-variable", format!("no variable `${name}` in function `{function}`"))
            }
            VariableError::NoMember { name, of, .. } => {
                ("elaborate/unknown-member", format!("`{of}` has no member `{name}`"))
            }
            VariableError::NotInScope { .. } | VariableError::OptimisedOut { .. } => {
                ("elaborate/unavailable-target-variable", error.to_string())
            }
            _ => ("elaborate/target-variable", error.to_string()),
        };
        let mut diagnostic = Diagnostic::error(code, span, message);
        let (name, known) = match error {
            VariableError::Unknown { name, known, .. }
            | VariableError::NotInScope { name, known, .. }
            | VariableError::OptimisedOut { name, known, .. } => (format!("${name}"), available(&known)),
            VariableError::NoMember { name, known, .. } => (name, known),
            _ => return Box::new(diagnostic),
        };
        if let Some(nearest) =
            similar(&name, known.iter().map(String::as_str)).into_iter().find(|&nearest| nearest != name)
        {
            diagnostic = diagnostic.saying(format!("did you mean `{nearest}`?"));
        }
        diagnostic.notes.push(Note::Note(if known.is_empty() {
            "nothing can be read here".to_owned()
        } else {
            format!("there is: {}", known.join(", "))
        }));
        Box::new(diagnostic)
    }
}

/// The variables that can be read, as a script names them.
fn available(known: &[ScopedVariable]) -> Vec<String> {
    let here = known.iter().filter(|variable| variable.availability == Availability::Here);
    here.map(|variable| format!("${}", variable.name)).collect()
}

fn not_supported(span: Span, what: &str) -> Box<Diagnostic> {
    Box::new(Diagnostic::error("elaborate/not-supported", span, format!("{what} is not supported by this version")))
}

/// Makes expressions of the program.
#[derive(Clone, Copy)]
struct Make {
    space: Space,
    span: Span,
}

impl Make {
    fn long(self, kind: ExpressionKind) -> Expression {
        Expression { kind, ty: Type::Long, span: self.span }
    }

    fn number(self, number: i64) -> Box<Expression> {
        Box::new(self.long(ExpressionKind::Long(number)))
    }

    fn binary(self, op: BinaryOp, a: Expression, b: Box<Expression>) -> Expression {
        self.long(ExpressionKind::Binary(op, Box::new(a), b))
    }

    fn load(self, address: Expression, width: Width) -> Expression {
        self.long(ExpressionKind::Load(self.space, width, Box::new(address)))
    }

    /// The low bytes of a number, widened.
    fn widen(self, value: Expression, width: Width) -> Expression {
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

    fn bits(self, raw: Expression, bits: Bits, signed: bool) -> Expression {
        let (above, all) = (64 - i64::from(bits.offset) - i64::from(bits.size), 64 - i64::from(bits.size));
        let high = self.binary(BinaryOp::ShiftLeft, raw, self.number(above));
        let op = if signed { BinaryOp::ShiftRight } else { BinaryOp::ShiftRightLogical };
        self.binary(op, high, self.number(all))
    }

    fn expression(self, expr: &Expr) -> Result<Expression> {
        Ok(match expr {
            Expr::Constant(number) => self.long(ExpressionKind::Long(*number as i64)),
            Expr::Register(number) => self.long(ExpressionKind::Register(*number)),
            Expr::Load { address, size } => self.load(self.expression(address)?, Width { bytes: *size, signed: false }),
            Expr::Binary(op, a, b) => self.operation(*op, self.expression(a)?, self.expression(b)?),
            Expr::Address(_) => return Err(not_supported(self.span, "a variable at a fixed address")),
            Expr::Given(_) => return Err(not_supported(self.span, "an index that is not a number")),
        })
    }

    fn operation(self, op: debuginfo::BinaryOp, a: Expression, b: Expression) -> Expression {
        let compare = |relation| self.long(ExpressionKind::Compare(relation, Box::new(a.clone()), Box::new(b.clone())));
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
            debuginfo::BinaryOp::Eq => return compare(Relation::Equal),
            debuginfo::BinaryOp::Ne => return compare(Relation::NotEqual),
            debuginfo::BinaryOp::Lt => return compare(Relation::Less),
            debuginfo::BinaryOp::Le => return compare(Relation::LessEqual),
            debuginfo::BinaryOp::Gt => return compare(Relation::Greater),
            debuginfo::BinaryOp::Ge => return compare(Relation::GreaterEqual),
        };
        self.binary(op, a, Box::new(b))
    }
}
