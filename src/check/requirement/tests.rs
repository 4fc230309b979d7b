//! What tokens prove, condition by condition.
