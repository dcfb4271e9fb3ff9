//! A pass over the sessions and steps that the settings let through, for table functions that look at whole sessions.

use std::sync::Arc;

use datafusion::catalog::Session;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryConsumer;

use crate::engine::relations::tape::Facts;
use crate::engine::relations::walker::Walker;
use crate::engine::scan::{Block, Names, PersonRuns, ScanPlan};
use crate::engine::settings::Settings;
use crate::engine::source::Source;
use crate::engine::stop::Stop;
use crate::journey::Walk;

/// The pass by the settings of a session, and what is the same for all of its blocks. `numbered` says that the numbers
/// of sessions are asked for.
pub(super) fn pass(source: &Source, state: &dyn Session, numbered: bool) -> Result<(ScanPlan, Arc<Facts>)> {
    let settings = Settings::of(state.config_options());
    let mut plan = source.steps_pass(state, &settings, None, settings.within().0, numbered)?;
    if !settings.end_events.is_empty() {
        plan = plan.with_events();
    }
    let facts = Facts { now: source.now(&settings), first_ts: source.span().map_or(0, |span| span.0), settings };
    Ok((plan, Arc::new(facts)))
}

/// Calls `each` with every block of a reader and its sessions; it answers how many bytes are held. The names that the
/// codes of the reader stand for are handed out.
pub(super) fn walk(
    operator: &str,
    mut runs: PersonRuns,
    facts: &Arc<Facts>,
    (context, stop): (&TaskContext, &Stop),
    mut each: impl FnMut(&Block, &mut Names, &Walk) -> Result<usize>,
) -> Result<Names> {
    let memory = MemoryConsumer::new(operator).register(context.memory_pool());
    let mut walker = Walker::new(facts);
    while !stop.is_raised() && runs.next_block()? {
        let (block, names) = runs.block_and_names();
        let held = each(block, names, walker.walk(block, names))?;
        memory.try_resize(runs.size() + walker.size() + held)?;
    }
    Ok(std::mem::take(runs.names_mut()))
}
