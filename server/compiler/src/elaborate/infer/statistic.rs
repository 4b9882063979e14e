//! What the script asks of statistics: it decides what each must keep.

use shared::diagnostic::{Diagnostic, Span};
use shared::limits::HISTOGRAM_BUCKETS_MAX;

use super::walk::Walk;
use super::{STATISTIC, Types};
use crate::ast::{self, Expression, ExpressionKind};
use crate::program::{Aggregate, Histogram, Type};

/// `@variance(s, shift)` at the most.
const VARIANCE_SHIFT_MAX: i64 = 62;

impl Types<'_> {
    /// Whoever sorts an array of statistics by the value sorts by the count.
    pub(super) fn finish_statistics(&mut self) {
        for index in 0..self.globals.len() {
            if self.globals[index].sorted && self.of(self.globals[index].value) == Type::Statistic {
                self.globals[index].statistic.aggregates.insert(Aggregate::Count);
            }
        }
    }
}

impl<'d> Walk<'_, 'd> {
    /// An operand that is a statistic: the globals that it may be an entry of.
    fn statistic(&mut self, operand: &'d Expression) -> Vec<usize> {
        self.is(operand, STATISTIC);
        let name = match &operand.kind {
            ExpressionKind::Name(name) => name,
            ExpressionKind::Index { base, .. } => match &base.kind {
                ExpressionKind::Name(name) => name,
                _ => return Vec::new(),
            },
            _ => return Vec::new(),
        };
        match self.locals.index(name) {
            Some(local) => self.locals.bound(local),
            None => self.declarations.global(name).into_iter().collect(),
        }
    }

    pub(super) fn aggregate(&mut self, aggregate: ast::Aggregate, operand: &'d Expression, shift: Option<i64>) {
        for global in self.statistic(operand) {
            self.types.globals[global].statistic.aggregates.insert(aggregate.into());
            if aggregate == ast::Aggregate::Variance {
                self.variance(global, shift.unwrap_or(0), operand.span);
            }
        }
    }

    fn variance(&mut self, global: usize, shift: i64, span: Span) {
        if !(0..=VARIANCE_SHIFT_MAX).contains(&shift) {
            let message = format!("the shift of a variance must be between 0 and {VARIANCE_SHIFT_MAX}");
            self.log.report(Diagnostic::error("elaborate/variance-shift", span, message));
            return;
        }
        let slots = &mut self.types.globals[global];
        let known = slots.statistic.variance_shift;
        match slots.variance {
            Some(first) if i64::from(known) != shift => {
                let message = format!("a statistic has one variance: its shift is {shift} here and {known} elsewhere");
                let diagnostic = Diagnostic::error("elaborate/variance-shift", span, message);
                self.log.report(diagnostic.also(first, format!("{known} here")));
            }
            Some(_) => {}
            None => {
                slots.statistic.variance_shift = shift as u8;
                slots.variance = Some(span);
            }
        }
    }

    pub(super) fn histogram(&mut self, histogram: ast::Histogram, operand: &'d Expression, span: Span) {
        if let ast::Histogram::Linear { low, high, step } = histogram {
            let wrong = match () {
                () if step <= 0 => Some("the width of its buckets must be positive".to_owned()),
                () if low > high => Some("it ends before it begins".to_owned()),
                () if (i128::from(high) - i128::from(low)) / i128::from(step) > HISTOGRAM_BUCKETS_MAX => {
                    Some(format!("it would have more than {HISTOGRAM_BUCKETS_MAX} buckets"))
                }
                () => None,
            };
            if let Some(wrong) = wrong {
                let message = format!("there is no such histogram: {wrong}");
                self.log.report(Diagnostic::error("elaborate/histogram", span, message));
            }
        }
        for global in self.statistic(operand) {
            self.types.globals[global].statistic.histograms.insert(histogram.into());
        }
    }

    /// An array whose entries a `foreach` sorts by an aggregate.
    pub(super) fn sort_aggregate(&mut self, global: usize, aggregate: ast::Aggregate, span: Span) {
        let value = self.types.globals[global].value;
        self.types.unify(value, STATISTIC, span, self.log);
        self.types.globals[global].statistic.aggregates.insert(aggregate.into());
        if aggregate == ast::Aggregate::Variance && self.types.globals[global].variance.is_none() {
            self.types.globals[global].variance = Some(span);
        }
    }
}

impl From<ast::Aggregate> for Aggregate {
    fn from(aggregate: ast::Aggregate) -> Self {
        match aggregate {
            ast::Aggregate::Count => Self::Count,
            ast::Aggregate::Sum => Self::Sum,
            ast::Aggregate::Min => Self::Min,
            ast::Aggregate::Max => Self::Max,
            ast::Aggregate::Average => Self::Average,
            ast::Aggregate::Variance => Self::Variance,
        }
    }
}

impl From<ast::Histogram> for Histogram {
    fn from(histogram: ast::Histogram) -> Self {
        match histogram {
            ast::Histogram::Log => Self::Log,
            ast::Histogram::Linear { low, high, step } => Self::Linear { low, high, step },
        }
    }
}
