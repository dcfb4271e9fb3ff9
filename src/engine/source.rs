//! What every native relation reads from: the parts of one snapshot and the rules of the store.

use std::sync::Arc;

use datafusion::catalog::Session;
use datafusion::common::{DFSchema, Result, internal_err};
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::PhysicalExpr;

use crate::config::{Config, SourceIds};
use crate::identity::People;

use super::scan::{Edges, PartFile, ScanPlan};
use super::segments::Segments;
use super::settings::Settings;

/// One snapshot as the engine sees it. Shared by all relations of an engine.
#[derive(Debug)]
pub struct Source {
    pub config: Arc<Config>,
    /// Number of the snapshot.
    pub snapshot: i64,
    parts: Vec<Arc<PartFile>>,
    /// `[steps] where`, planned over `events`.
    steps_where: Option<Expr>,
    people: Arc<People>,
    edges: Option<Arc<Edges>>,
    segments: Segments,
}

impl Source {
    /// A snapshot with these event parts. `steps_where` is `[steps] where` as an expression over `events`.
    #[must_use]
    pub fn new(
        config: Arc<Config>,
        snapshot: i64,
        parts: Vec<PartFile>,
        steps_where: Option<Expr>,
        people: Arc<People>,
    ) -> Self {
        let mut parts: Vec<Arc<PartFile>> = parts.into_iter().map(Arc::new).collect();
        parts.sort_by(|a, b| (a.day, &a.path).cmp(&(b.day, &b.path)));
        Self { config, snapshot, parts, steps_where, people, edges: None, segments: Segments::default() }
    }

    /// The same with what somebody said of sessions; the persons that it names are set apart in the map.
    #[must_use]
    pub fn with_edges(mut self, edges: Option<Arc<Edges>>) -> Self {
        self.edges = edges;
        self
    }

    /// The same with saved groups of people.
    #[must_use]
    pub fn with_segments(mut self, segments: Segments) -> Self {
        self.segments = segments;
        self
    }

    /// The saved groups of people.
    #[must_use]
    pub fn segments(&self) -> &Segments {
        &self.segments
    }

    /// The event parts in day order.
    #[must_use]
    pub fn parts(&self) -> &[Arc<PartFile>] {
        &self.parts
    }

    /// Who is who.
    #[must_use]
    pub fn people(&self) -> &Arc<People> {
        &self.people
    }

    /// What somebody said of sessions.
    #[must_use]
    pub fn edges(&self) -> Option<&Arc<Edges>> {
        self.edges.as_ref()
    }

    /// Stored events.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.parts.iter().map(|part| part.visible()).sum()
    }

    /// Earliest and latest event, µs; `None` for an empty store.
    #[must_use]
    pub fn span(&self) -> Option<(i64, i64)> {
        let first = self.parts.iter().map(|part| part.ts_min).min()?;
        let last = self.parts.iter().map(|part| part.ts_max).max()?;
        Some((first, last))
    }

    /// The time at which open sessions are judged: the setting, else the latest event.
    #[must_use]
    pub fn now(&self, settings: &Settings) -> i64 {
        settings.now.or_else(|| self.span().map(|span| span.1)).unwrap_or(0)
    }

    /// The extra predicate that a step must meet, over the columns of `events`.
    ///
    /// # Errors
    /// The predicate cannot be planned.
    pub fn step_filter(&self, session: &dyn Session) -> Result<Option<Arc<dyn PhysicalExpr>>> {
        let Some(expr) = &self.steps_where else { return Ok(None) };
        let schema = DFSchema::try_from(super::relations::events::schema())?;
        super::predicate::physical(expr.clone(), schema, session).map(Some)
    }

    /// A pass over the step events that the settings let through: the person of `journeyql.user`, those in `only`, the
    /// people of the segment (who is in all of these), no part that ends too early to matter for sessions beginning at `from`, and of those
    /// after `to` what sessions run on into.
    ///
    /// `whole_history` keeps those early parts (needed to number sessions).
    ///
    /// # Errors
    /// `[steps] where` cannot be planned.
    pub fn steps_pass(
        &self,
        session: &dyn Session,
        settings: &Settings,
        only: Option<Vec<String>>,
        from: i64,
        whole_history: bool,
    ) -> Result<ScanPlan> {
        let plan = self.plain_pass(session, settings, only, from, whole_history)?.with_labels(settings.label);
        Ok(if settings.source_ids == SourceIds::Honour { plan.with_sources() } else { plan })
    }

    /// [`Source::steps_pass`] with nothing but times, every person's rows in the total order.
    ///
    /// # Errors
    /// `[steps] where` cannot be planned.
    pub fn plain_pass(
        &self,
        session: &dyn Session,
        settings: &Settings,
        only: Option<Vec<String>>,
        from: i64,
        whole_history: bool,
    ) -> Result<ScanPlan> {
        // A session that begins at `from` or later depends on nothing earlier than one gap before.
        let merges = self.edges.as_ref().is_some_and(|edges| edges.merges());
        let reach = if whole_history || !settings.rules.is_local() || from == i64::MIN {
            i64::MIN
        } else {
            from.saturating_sub(settings.rules.gap)
        };
        let parts = self.parts.iter().filter(|part| part.ts_max >= reach).cloned().collect();
        let plan = ScanPlan::new(parts).with_filter(self.step_filter(session)?);
        let plan = plan.with_people(&self.people).with_edges(self.edges.as_ref(), settings.rules.gap);
        // A merged session goes on over any pause.
        let plan = if merges { plan.with_history(&self.parts) } else { plan };
        let plan = match (both(settings.user.clone(), only), &settings.people) {
            (named, None) if settings.segment.is_none() => plan.with_persons(named),
            (_, None) => return internal_err!("the people of the segment were not looked for"),
            (None, Some(people)) => plan.with_group(people),
            (Some(named), Some(people)) => {
                plan.with_persons(Some(named.into_iter().filter(|id| people.binary_search(id).is_ok()).collect()))
            }
        };
        // What ends in a pause before a part that is not read is judged as ended: right unless one judges from before it.
        let judged_after_all = self.parts.iter().all(|part| part.ts_min <= self.now(settings));
        Ok(if judged_after_all { plan.with_later(settings.within().1, settings.rules.gap) } else { plan })
    }
}

/// The people that both conditions allow.
#[must_use]
pub fn both(user: Option<String>, only: Option<Vec<String>>) -> Option<Vec<String>> {
    match (user, only) {
        (None, only) => only,
        (Some(user), None) => Some(vec![user]),
        (Some(user), Some(only)) => Some(if only.contains(&user) { vec![user] } else { Vec::new() }),
    }
}
