//! A condition over the claims of a verified token and the request, in the Common Expression Language. It is the
//! operator's text over a client's values: all that the text can say wrong is said when it is compiled, and what
//! an evaluation costs is known before it begins. `config` compiles, [`super::requirement`] evaluates.
//!
//! It knows no time, no I/O, and no token that is not verified. deploy/cel.md is its manual.

mod checker;
mod cost;
mod error;
mod functions;
mod pattern;
mod uses;
mod values;

pub use self::error::ExpressionError;

use std::fmt;
use std::sync::{Arc, LazyLock};

use cel::common::ast::IdedExpr;
use cel::common::types::CelBool;
use cel::{Env, Value};

use self::checker::Checked;
use self::uses::Variable;
use self::values::{Facts, Variables};
use super::path::RequestPath;
use super::request::CheckRequest;
use crate::token::{Claims, VerifiedToken};
use crate::util::stack::with_stack;

/// How long a condition may be.
pub(crate) const MAX_SOURCE_BYTES: usize = 4096;

/// How deep one may nest, as its parser counts. What it makes of macros may be deeper: [`checker`] bounds that.
const MAX_PARSER_DEPTH: u16 = 32;

/// The parser is recursive, also over operators in a row, of which [`MAX_SOURCE_BYTES`] hold two thousand: more than
/// fit on the stack of a runtime's thread.
const COMPILER_STACK_BYTES: usize = 64 << 20;

/// A compiled condition.
#[derive(Clone)]
pub struct Expression(Arc<Compiled>);

struct Compiled {
    source: Box<str>,
    root: IdedExpr,
    checked: Checked,
}

impl Expression {
    /// Compiles a condition, and checks the names and types in it.
    ///
    /// # Errors
    /// It is none, or one that could never hold, or one that costs more than a request may.
    pub fn compile(source: &str) -> Result<Self, ExpressionError> {
        if source.len() > MAX_SOURCE_BYTES {
            return Err(ExpressionError::TooLong);
        }
        // A parser that panics has found nothing that it could name either.
        with_stack(COMPILER_STACK_BYTES, || compile(source))
            .unwrap_or(Err(ExpressionError::Unreadable))
    }

    /// Whether the condition holds. What cannot be evaluated does not, nor what is neither true nor false, nor what
    /// would cost too much; neither does one that asks for something of the request that has several readings.
    pub fn holds(&self, token: &VerifiedToken, request: &CheckRequest<'_>) -> bool {
        self.holds_for(token.issuer().name(), token.claims(), request)
    }

    fn holds_for(&self, issuer: &str, claims: &Claims, request: &CheckRequest<'_>) -> bool {
        let evaluate = |path: &str| self.evaluate(&Facts { issuer, claims, request, path });
        if !self.0.checked.uses.has(Variable::Path) {
            return evaluate("");
        }
        match RequestPath::parse(&request.path) {
            RequestPath::Plain(path) => evaluate(path),
            RequestPath::Escaped { raw, decoded } => evaluate(raw) && evaluate(&decoded),
            RequestPath::Ambiguous(_) | RequestPath::Unreadable => false,
        }
    }

    fn evaluate(&self, facts: &Facts<'_>) -> bool {
        let Compiled { root, checked, .. } = &*self.0;
        let Some(variables) = Variables::gather(&checked.uses, facts) else { return false };
        if cost::of(root, &|variable, member| variables.sizes(variable, member)) > cost::MAX {
            return false;
        }
        let context = variables.into_context(&ENVIRONMENT, &checked.patterns);
        let value = Value::resolve_val(root, &context);
        value.is_ok_and(|value| value.downcast_ref::<CelBool>().is_some_and(|held| *held.inner()))
    }
}

fn compile(source: &str) -> Result<Expression, ExpressionError> {
    let parser = ENVIRONMENT.parser().max_recursion_depth(MAX_PARSER_DEPTH);
    let mut root = parser.parse(source).map_err(|errors| ExpressionError::syntax(&errors))?;
    let checked = checker::check(&mut root)?;
    if cost::of(&root, &|_, _| cost::Sizes::ORDINARY) > cost::MAX {
        return Err(ExpressionError::TooCostly);
    }
    Ok(Expression(Arc::new(Compiled { source: source.into(), root, checked })))
}

/// The functions that an evaluation finds; [`functions`] says which of them an expression may name.
static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut environment = Env::stdlib().with_optional_support(false);
    // Each fails on names that are declared already, and these are not: a test calls them.
    let _declared = cel::extensions::strings(&mut environment);
    let _declared = pattern::declare(&mut environment);
    Arc::new(environment)
});

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.0.source == other.0.source
    }
}

impl Eq for Expression {}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.source)
    }
}

#[cfg(test)]
mod tests;
