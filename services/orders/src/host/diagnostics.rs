use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use steadfast::core::bus::Bus;
use steadfast::diagnostics::{Diagnostics, Token};
use steadfast::guard::stack::Stack;
use steadfast::guard::{Registry, Scope};

use super::arguments::Common;

/// The environment variable that holds the token itself.
const TOKEN: &str = "STEADFAST_DIAGNOSTICS_TOKEN";

/// What a program shows of itself to whoever has the token; nothing where no token was given.
#[derive(Debug, Clone)]
pub struct Shown(Option<Diagnostics>);

impl Shown {
    /// Reads the token, if there is one.
    ///
    /// # Errors
    /// The token is too short, or its file cannot be read.
    pub(super) fn of(common: &Common) -> anyhow::Result<Self> {
        let token = match (&common.diagnostics_token_file, std::env::var(TOKEN)) {
            (Some(file), _) => {
                Some(Token::from_file(file).with_context(|| format!("cannot use {}", file.display()))?)
            }
            (None, Ok(token)) => Some(Token::new(&token).with_context(|| format!("cannot use {TOKEN}"))?),
            (None, Err(_)) => None,
        };
        Ok(Self(token.map(Diagnostics::new)))
    }

    /// Makes the routes, of which there are none without a token.
    pub fn router(&self) -> Router {
        self.0.as_ref().map(Diagnostics::router).unwrap_or_default()
    }

    /// Shows the tasks of a scope.
    pub fn scope(&self, scope: &Scope) {
        if let Some(diagnostics) = &self.0 {
            diagnostics.register_scope(scope);
        }
    }

    /// Shows breakers.
    pub fn breakers(&self, breakers: &Registry) {
        if let Some(diagnostics) = &self.0 {
            diagnostics.register_breakers(breakers.clone());
        }
    }

    /// Shows the guards of a stack.
    pub fn stack<T, C>(&self, stack: &Stack<T, C>) {
        if let Some(diagnostics) = &self.0 {
            diagnostics.register_stack(stack);
        }
    }

    /// Shows the queues of a bus.
    pub fn bus(&self, name: &'static str, bus: &Arc<Bus>) {
        if let Some(diagnostics) = &self.0 {
            diagnostics.register_bus(name, bus);
        }
    }
}
