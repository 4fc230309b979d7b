//! `matches`: a regular expression is compiled with the condition that it stands in, and an evaluation finds it as the
//! value of a variable that no condition can name. What the language itself would do is compile it in every
//! evaluation, whoever chose it.

use std::any::Any;
use std::sync::Arc;

use cel::common::types::{CelBool, CelString, STRING_TYPE, Type};
use cel::common::value::{CowVal, StaticVal, Val};
use cel::{DeclarationError, Env, ExecutionError};
use regex::{Regex, RegexBuilder};

use super::error::ExpressionError;

/// A compiled expression may take so much memory. Matching takes time linear in the text, whatever the expression.
const MAX_COMPILED_BYTES: usize = 256 << 10;

static PATTERN: Type = Type::new_unspecified_type("pattern");

/// A regular expression as a value of the language.
#[derive(Clone, Debug)]
pub(super) struct Pattern(Arc<Regex>);

impl Pattern {
    /// As the language has it, an expression matches a text that holds it anywhere.
    pub(super) fn compile(expression: &str) -> Result<Self, ExpressionError> {
        let compiled = RegexBuilder::new(expression).size_limit(MAX_COMPILED_BYTES).build();
        compiled.map(|regex| Self(Arc::new(regex))).map_err(|error| {
            // Above it stands the expression, drawn over several lines.
            let error = error.to_string();
            let said = error.lines().last().unwrap_or_default();
            ExpressionError::Pattern(said.trim_start_matches("error: ").to_owned())
        })
    }

    /// The variable that stands for the `index`th pattern of a condition. An `@` begins no name in the language.
    pub(super) fn variable(index: usize) -> String {
        format!("@pattern{index}")
    }
}

/// Adds `text.matches(pattern)` to what an evaluation finds.
pub(super) fn declare(environment: &mut Env) -> Result<(), DeclarationError> {
    let arguments = vec![PATTERN.to_owned()];
    environment.add_member_overload("matches", "matches_pattern", STRING_TYPE, arguments, matches)
}

#[expect(clippy::needless_pass_by_value, reason = "what the environment calls")]
fn matches<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [text, pattern] = arguments.as_slice() else {
        return Err(ExecutionError::invalid_argument_count(2, arguments.len()));
    };
    let text = text.downcast_ref::<CelString<'_>>();
    let (Some(text), Some(pattern)) = (text, pattern.downcast_ref::<Pattern>()) else {
        return Err(ExecutionError::missing_argument_or_target());
    };
    Ok(CowVal::owned(CelBool::from(pattern.0.is_match(text.inner()))))
}

impl Val for Pattern {
    fn get_type(&self) -> &Type {
        &PATTERN
    }

    fn cel_type() -> &'static Type {
        &PATTERN
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Pattern {}
