//! Transactions, and what is set in them.

use std::sync::PoisonError;

use datafusion_postgres::pgwire::api::results::{Response, Tag};
use datafusion_postgres::pgwire::error::PgWireResult;

use super::super::fault;
use super::{Reply, Saved, State, Talk};
use crate::database::literal;

impl Talk {
    pub(super) async fn begin(&self, state: &mut State) -> PgWireResult<Reply> {
        let reply = Reply::new(Response::TransactionStart(Tag::new("BEGIN")));
        if state.transaction.is_some() {
            self.warn("there is already a transaction in progress");
            return Ok(reply);
        }
        let settings = self.settings().await;
        state.transaction = Some(Saved { before: (state.variables.clone(), settings), kept: None });
        Ok(reply)
    }

    pub(super) async fn end(&self, state: &mut State, commit: bool) -> PgWireResult<Reply> {
        let tag = if commit { "COMMIT" } else { "ROLLBACK" };
        let mut reply = Reply::new(Response::TransactionEnd(Tag::new(tag)));
        let Some(saved) = state.transaction.take() else {
            self.warn("there is no transaction in progress");
            return Ok(reply);
        };
        state.cursors.retain(|_, cursor| cursor.hold);
        if let Some((variables, settings)) = if commit { saved.kept } else { Some(saved.before) } {
            reply.told =
                variables.reported().filter(|told| !state.variables.reported().any(|now| now == *told)).collect();
            state.variables = variables;
            if self.settings().await != settings {
                self.settle(settings).await?;
            }
        }
        Ok(reply)
    }

    pub(super) async fn settings(&self) -> Vec<String> {
        match &*self.session.lock().await {
            Some(session) => session.settings().to_vec(),
            None => self.parked.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    pub(super) async fn settle(&self, settings: Vec<String>) -> PgWireResult<()> {
        if let Some(session) = &mut *self.session.lock().await {
            return session.settle(settings).await.map_err(|error| fault::of(&error, None));
        }
        *self.parked.lock().unwrap_or_else(PoisonError::into_inner) = settings;
        Ok(())
    }

    pub(super) async fn set(
        &self,
        state: &mut State,
        name: &str,
        value: Option<&str>,
        local: bool,
    ) -> PgWireResult<Reply> {
        let mut reply = Reply::done(if value.is_none() { "RESET" } else { "SET" });
        match &mut state.transaction {
            None if local => {
                self.warn("SET LOCAL can only be used in transaction blocks");
                return Ok(reply);
            }
            Some(saved) if local && saved.kept.is_none() => {
                saved.kept = Some((state.variables.clone(), self.settings().await));
            }
            _ => {}
        }
        let kept = state.transaction.as_mut().filter(|_| !local).and_then(|saved| saved.kept.as_mut());
        if name == "all" {
            reply.told = state.variables.reset();
            self.settle(Vec::new()).await?;
            if let Some(kept) = kept {
                *kept = (state.variables.clone(), Vec::new());
            }
        } else if let Some(ours) = name.strip_prefix("journeyql.") {
            let statement = self.put(ours, value).await?;
            if let Some((_, settings)) = kept {
                settings.push(statement);
            }
        } else {
            reply.told.extend(state.variables.set(name, value)?);
            if let Some((variables, _)) = kept {
                variables.set(name, value)?;
            }
        }
        Ok(reply)
    }

    /// Sets one of our settings; the statement that does it.
    pub(super) async fn put(&self, name: &str, value: Option<&str>) -> PgWireResult<String> {
        let statement = match value {
            Some(value) => format!("SET journeyql.{name} = {}", literal(value)),
            None => format!("RESET journeyql.{name}"),
        };
        let set = Box::pin(async {
            let mut session = self.session.lock().await;
            self.opened(&mut session).await?.query(&statement).await
        });
        self.clock.within(set).await?.map_err(|error| fault::of(&error, None))?;
        Ok(statement)
    }
}
