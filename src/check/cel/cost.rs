//! What an evaluation costs at most, known from the expression and the size of what it is about before it begins: the
//! interpreter itself cannot be stopped. Roughly nanoseconds.

use super::uses::{Variable, literal_text};
use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators,
};

/// An evaluation may cost this much: some ten milliseconds, and as many megabytes.
pub(super) const MAX: u64 = 10_000_000;

/// Finding a name, calling a function, making a value.
const STEP: u64 = 100;

/// How large a value may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sizes {
    /// All of it, in bytes of text and eight for whatever is no text.
    bytes: u64,
    /// How many elements or members the largest list or map in it has.
    longest: u64,
    /// The largest thing that a loop over anything in it comes by, in bytes: a list's element, a map's name. Of a map
    /// that the condition itself writes down also a member.
    element: u64,
    /// As `longest`, of what is in a list's elements.
    inner: u64,
}

impl Sizes {
    /// What a token and a request usually hold. A condition that is too costly for that is none.
    pub(super) const ORDINARY: Self = Self { bytes: 2048, longest: 32, element: 64, inner: 0 };

    const SMALL: Self = Self { bytes: 8, longest: 0, element: 0, inner: 0 };

    pub(super) fn text(&mut self, text: &str) {
        self.bytes += text.len() as u64 + 8;
    }

    pub(super) fn key(&mut self, name: &str) {
        self.text(name);
        self.element = self.element.max(name.len() as u64 + 8);
    }

    pub(super) fn container(&mut self, length: usize) {
        self.bytes += 8 * (length as u64 + 1);
        self.longest = self.longest.max(length as u64);
    }

    pub(super) fn element<T>(&mut self, measure: impl FnOnce(&mut Self) -> T) -> T {
        let (before, longest) = (self.bytes, std::mem::take(&mut self.longest));
        let measured = measure(self);
        self.element = self.element.max(self.bytes - before + 8);
        self.inner = self.inner.max(self.longest);
        self.longest = self.longest.max(longest);
        measured
    }

    /// One of the two.
    fn or(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.max(other.bytes),
            longest: self.longest.max(other.longest),
            element: self.element.max(other.element),
            inner: self.inner.max(other.inner),
        }
    }

    /// Both, one behind the other.
    fn and(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            longest: self.longest.saturating_add(other.longest),
            element: self.element.max(other.element),
            inner: self.inner.max(other.inner),
        }
    }

    /// One beside the other.
    pub(super) fn with(self, other: Self) -> Self {
        Self { longest: self.longest.max(other.longest), ..self.and(other) }
    }

    fn list(length: u64, element: Self) -> Self {
        let bytes = element.bytes.max(8).saturating_mul(length).saturating_add(8);
        let longest = element.longest.max(length);
        let inner = element.longest.max(element.inner);
        Self { bytes, longest, element: element.element.max(element.bytes), inner }
    }

    fn in_a_loop(self) -> Self {
        Self { bytes: self.element, longest: self.inner, ..self }
    }

    /// What an operator that fails because of a type may make of an operand: its error holds a copy in another form.
    fn failure(self) -> u64 {
        if self.longest == 0 { self.bytes } else { self.bytes.saturating_mul(FAILURE) }
    }
}

/// What evaluating `root` costs at most over variables of these sizes. At most `u64::MAX`.
pub(super) fn of(root: &IdedExpr, sizes: &dyn Fn(Variable, Option<&str>) -> Sizes) -> u64 {
    let mut estimate = Estimate { variables: sizes, local: Vec::new(), times: 1, cost: 0 };
    estimate.value(root);
    estimate.cost
}

struct Estimate<'e> {
    /// Of a variable, or of one member of it.
    variables: &'e dyn Fn(Variable, Option<&str>) -> Sizes,
    local: Vec<(&'e str, Sizes)>,
    /// How often what is looked at is evaluated.
    times: u64,
    cost: u64,
}

impl<'e> Estimate<'e> {
    fn add(&mut self, cost: u64) {
        self.cost = self.cost.saturating_add(cost.saturating_add(STEP).saturating_mul(self.times));
    }

    fn value(&mut self, expression: &'e IdedExpr) -> Sizes {
        if let Some(variable) = Variable::of(expression) {
            self.add(0);
            return (self.variables)(variable, None);
        }
        if let Some((variable, name)) = Variable::member(expression) {
            self.add(name.len() as u64);
            return (self.variables)(variable, Some(name));
        }
        match &expression.expr {
            Expr::Unspecified | Expr::Struct(_) => Sizes::default(),
            Expr::Literal(_) => {
                self.add(0);
                literal_text(expression).map_or(Sizes::SMALL, |text| Sizes {
                    bytes: text.len() as u64 + 8,
                    ..Sizes::SMALL
                })
            }
            Expr::Ident(name) => {
                self.add(0);
                let local = self.local.iter().rev().find(|(local, _)| local == name);
                // What is no variable of a loop is a pattern.
                local.map(|(_, sizes)| *sizes).unwrap_or_default()
            }
            Expr::Select(select) => {
                let from = self.value(&select.operand);
                self.add(from.failure());
                from
            }
            Expr::List(list) => {
                let elements = list.elements.iter().map(|element| self.value(element));
                let none = Sizes::list(list.elements.len() as u64, Sizes::default());
                let all = elements.fold(none, |all, one| Sizes {
                    bytes: all.bytes.saturating_add(one.bytes),
                    longest: all.longest.max(one.longest),
                    element: all.element.max(one.bytes).max(one.element),
                    inner: all.inner.max(one.longest).max(one.inner),
                });
                self.add(all.bytes.saturating_mul(COPY));
                all
            }
            Expr::Map(map) => {
                let mut all = Sizes::list(map.entries.len() as u64, Sizes::default());
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else { continue };
                    let (key, value) = (self.value(&entry.key), self.value(&entry.value));
                    all = all.with(key).with(value);
                    all.element = all.element.max(key.bytes).max(value.bytes);
                    all.inner = all.inner.max(value.longest);
                }
                self.add(all.bytes.saturating_mul(FAILURE));
                all
            }
            Expr::Call(call) => self.call(call),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
        }
    }

    fn call(&mut self, call: &'e CallExpr) -> Sizes {
        let target = call.target.as_deref().map(|target| self.value(target));
        let arguments = call.args.iter().map(|argument| self.value(argument));
        let operands: Vec<Sizes> = target.into_iter().chain(arguments).collect();
        let at = |index: usize| operands.get(index).copied().unwrap_or_default();
        let sum = |of: fn(Sizes) -> u64| {
            operands.iter().fold(0_u64, |sum, one| sum.saturating_add(of(*one)))
        };
        let (all, failure) = (sum(|one| one.bytes), sum(Sizes::failure));
        let (cost, made) = match call.func_name.as_str() {
            operators::CONDITIONAL => (0, at(1).or(at(2))),
            operators::IN => {
                // Each element of a list is compared; a map's name is looked up.
                let compared = at(0).failure().saturating_add(at(1).in_a_loop().failure());
                (at(1).longest.saturating_mul(compared.saturating_add(16)), Sizes::SMALL)
            }
            // Of a list the element of that place; no map of a token has a number for a name.
            operators::INDEX if matches!(call.args.get(1), Some(place) if is_place(place)) => {
                (0, at(0).in_a_loop())
            }
            operators::INDEX => (failure, at(0)),
            operators::ADD => (failure, at(0).and(at(1))),
            "split" => {
                let parts = Sizes { bytes: 32, ..Sizes::SMALL };
                let list = Sizes::list(at(0).bytes.saturating_add(1), parts);
                (at(0).bytes.saturating_mul(10 * COPY), Sizes { element: at(0).bytes, ..list })
            }
            "startsWith" | "endsWith" => (at(0).bytes.min(at(1).bytes), Sizes::SMALL),
            "contains" | "size" => (all, Sizes::SMALL),
            "matches" => (at(0).bytes.saturating_mul(20).saturating_add(4 * STEP), Sizes::SMALL),
            "lowerAscii" | "upperAscii" | "string" => (all.saturating_mul(2), at(0)),
            operators::LOGICAL_AND | operators::LOGICAL_OR | operators::LOGICAL_NOT => {
                (0, Sizes::SMALL)
            }
            _ => (failure, Sizes::SMALL),
        };
        self.add(cost);
        made
    }

    /// `all` and `exists` end early; here each goes through all of its range.
    fn comprehension(&mut self, comprehension: &'e ComprehensionExpr) -> Sizes {
        let range = self.value(&comprehension.iter_range);
        let start = self.value(&comprehension.accu_init);
        self.add(5 * STEP);
        let outside = self.times;
        self.times = outside.saturating_mul(range.longest);
        self.local.push((&comprehension.iter_var, range.in_a_loop()));
        self.local.push((&comprehension.accu_var, start));
        self.value(&comprehension.loop_cond);
        // Each element is copied to be a variable, and given a place.
        self.add(range.element.saturating_mul(COPY).saturating_add(3 * STEP));
        let step = self.value(&comprehension.loop_step);
        self.times = outside;
        self.local.truncate(self.local.len().saturating_sub(2));
        // What is a list in the end had one element put behind it in each step.
        let made = if matches!(comprehension.accu_init.expr, Expr::List(_)) {
            Sizes::list(range.longest, step)
        } else {
            Sizes::SMALL
        };
        self.add(made.bytes);
        made
    }
}

fn is_place(index: &IdedExpr) -> bool {
    matches!(&index.expr, Expr::Literal(LiteralValue::Int(_)))
}

/// Copying a byte of a value made of parts, with what its parts cost.
const COPY: u64 = 4;

/// The same of the copy that an error holds.
const FAILURE: u64 = 12;
