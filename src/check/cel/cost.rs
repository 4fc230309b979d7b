//! What an evaluation costs at most, known from the expression and the size of what it is about before it begins: the
//! interpreter itself cannot be stopped. Roughly nanoseconds.

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
    /// The largest thing that a loop over anything in it comes by, in bytes: a list's element, a map's name.
    element: u64,
}

impl Sizes {
    /// What a token and a request usually hold. A condition that is too costly for that is none.
    pub(super) const ORDINARY: Self = Self { bytes: 2048, longest: 32, element: 64 };

    const SMALL: Self = Self { bytes: 8, longest: 0, element: 0 };

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
        let before = self.bytes;
        let measured = measure(self);
        self.element = self.element.max(self.bytes - before + 8);
        measured
    }

    /// One of the two.
    fn or(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.max(other.bytes),
            longest: self.longest.max(other.longest),
            element: self.element.max(other.element),
        }
    }

    /// Both, one behind the other.
    fn and(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            longest: self.longest.saturating_add(other.longest),
            element: self.element.max(other.element),
        }
    }

    fn list(length: u64, element: Self) -> Self {
        let bytes = element.bytes.max(8).saturating_mul(length).saturating_add(8);
        let longest = element.longest.max(length);
        Self { bytes, longest, element: element.element.max(element.bytes) }
    }

    fn in_a_loop(self) -> Self {
        Self { bytes: self.element, ..self }
    }
}

/// What evaluating `root` costs at most over variables that are together of `sizes`. At most `u64::MAX`.
pub(super) fn of(root: &IdedExpr, sizes: Sizes) -> u64 {
    let mut estimate = Estimate { variables: sizes, local: Vec::new(), times: 1, cost: 0 };
    estimate.value(root);
    estimate.cost
}

struct Estimate<'e> {
    variables: Sizes,
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
        match &expression.expr {
            Expr::Unspecified | Expr::Struct(_) => Sizes::default(),
            Expr::Literal(literal) => {
                self.add(0);
                match literal {
                    LiteralValue::String(text) => {
                        Sizes { bytes: text.inner().len() as u64 + 8, ..Sizes::SMALL }
                    }
                    _ => Sizes::SMALL,
                }
            }
            Expr::Ident(name) => {
                self.add(0);
                let local = self.local.iter().rev().find(|(local, _)| local == name);
                local.map_or(self.variables, |(_, sizes)| *sizes)
            }
            Expr::Select(select) => {
                self.add(select.field.len() as u64);
                self.value(&select.operand)
            }
            Expr::List(list) => {
                let elements = list.elements.iter().map(|element| self.value(element));
                let none = Sizes::list(list.elements.len() as u64, Sizes::default());
                let all = elements.fold(none, |all, one| Sizes {
                    bytes: all.bytes.saturating_add(one.bytes),
                    longest: all.longest.max(one.longest),
                    element: all.element.max(one.bytes).max(one.element),
                });
                self.add(all.bytes.saturating_mul(COPIES));
                all
            }
            Expr::Map(map) => {
                let mut all = Sizes::list(map.entries.len() as u64, Sizes::default());
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else { continue };
                    let (key, value) = (self.value(&entry.key), self.value(&entry.value));
                    let length = all.longest;
                    all = all.and(key).and(value);
                    all.longest = length.max(key.longest).max(value.longest);
                    all.element = all.element.max(key.bytes);
                }
                self.add(all.bytes.saturating_mul(COPIES));
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
        let all = operands.iter().fold(0_u64, |sum, one| sum.saturating_add(one.bytes));
        let (cost, made) = match call.func_name.as_str() {
            operators::CONDITIONAL => (0, at(1).or(at(2))),
            // A failing comparison copies both sides to say so.
            operators::LESS
            | operators::LESS_EQUALS
            | operators::GREATER
            | operators::GREATER_EQUALS => (all.saturating_mul(COPIES), Sizes::SMALL),
            operators::EQUALS | operators::NOT_EQUALS => {
                (at(0).bytes.min(at(1).bytes), Sizes::SMALL)
            }
            operators::IN => {
                // Each element of a list is compared; a map's name is looked up.
                let compared = at(0).bytes.min(at(1).element).saturating_add(16);
                (at(1).longest.saturating_mul(compared), Sizes::SMALL)
            }
            operators::INDEX => (at(1).bytes.saturating_mul(COPIES), at(0)),
            operators::ADD => (all.saturating_mul(COPIES), at(0).and(at(1))),
            "split" => {
                let parts = Sizes { bytes: 8, ..Sizes::SMALL };
                let list = Sizes::list(at(0).bytes.saturating_add(1), parts);
                (at(0).bytes.saturating_mul(10 * COPIES), Sizes { element: at(0).bytes, ..list })
            }
            "matches" => (at(0).bytes.saturating_mul(20), Sizes::SMALL),
            "lowerAscii" | "upperAscii" | "string" => (all.saturating_mul(2), at(0)),
            // What fails over arithmetic copies its operands, too.
            _ => (all.saturating_mul(COPIES), Sizes::SMALL),
        };
        self.add(cost);
        made
    }

    /// `all` and `exists` end early; here each goes through all of its range.
    fn comprehension(&mut self, comprehension: &'e ComprehensionExpr) -> Sizes {
        let range = self.value(&comprehension.iter_range);
        let start = self.value(&comprehension.accu_init);
        let outside = self.times;
        self.times = outside.saturating_mul(range.longest);
        self.local.push((&comprehension.iter_var, range.in_a_loop()));
        self.local.push((&comprehension.accu_var, start));
        self.value(&comprehension.loop_cond);
        // Each element is copied to be a variable.
        self.add(range.element.saturating_mul(COPIES));
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

/// Copying a byte of a value made of parts, with what its parts cost.
const COPIES: u64 = 4;
