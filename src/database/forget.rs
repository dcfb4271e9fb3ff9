//! Everything that is known of one person: to be handed out, or to be erased.

use super::correct::EVENTS_OF_A_STATEMENT;
use super::statement::literal;
use super::{Answer, Database, Error};
use crate::correction::{Anchor, Change, Correction, fates};
use crate::identity::{People, is_junk};
use crate::maintain::{self, Erased, MaintainError, Someone};
use crate::output::{Format, Look};
use crate::privacy::{Identifiers, TELLING_BYTES};
use crate::store::{Proof, SegmentRow};
use crate::time;

/// The ids of the corrections that name somebody or their events, for a list in SQL, and the events of theirs that are not
/// read as they are stored.
fn about(
    corrections: &[Correction],
    people: &People,
    person: &str,
    identifiers: &Identifiers,
) -> (String, Vec<String>) {
    let theirs = |anchor: &Anchor| people.person(&anchor.distinct_id, anchor.ts) == person;
    let named = |change: &Change| change.ids().any(|id| identifiers.ids().any(|it| it == id));
    let said = corrections.iter().filter(|said| named(&said.change) || said.change.anchors().any(theirs));
    // No correction has the id 0.
    let ids: Vec<String> = std::iter::once(0).chain(said.map(|said| said.id)).map(|id| id.to_string()).collect();
    let moved = fates(corrections).into_values().filter(|fate| theirs(&fate.anchor));
    (ids.join(", "), moved.map(|fate| literal(&fate.anchor.event.to_string())).collect())
}

impl Database {
    /// Erases a person with all ids, and proves it; with `dry_run` it only says what would go.
    ///
    /// # Errors
    /// What [`MaintainError`] says, the store is as it was then; or a file cannot be read for the proof.
    pub fn forget(&self, user: &str, dry_run: bool) -> Result<(Erased, Option<Proof>), Error> {
        if !dry_run {
            // What was received of them is an event first, and its file goes.
            self.empty_inbox()?;
        }
        let who = self.someone(user)?;
        let now = self.now.unwrap_or_else(time::now_micros);
        Ok(maintain::forget(&self.store, &self.config, &who, now, dry_run)?)
    }

    /// Everything that is known of a person as NDJSON, whose field `record` says what a line is. The audit notes it.
    ///
    /// # Errors
    /// The id is nobody's or several people's, or the audit cannot be written.
    pub async fn export_person(&self, user: &str) -> Result<String, Error> {
        let who = self.someone(user)?;
        let snapshot = self.snapshot()?;
        let people = self.store.people(&snapshot)?;
        let (_, identifiers) = maintain::identifiers(&people, &who)?;
        let corrections = self.store.corrections(&snapshot)?;
        let (said, as_stored) = about(&corrections, &people, &who.person, &identifiers);
        let person = literal(&who.person);
        // A short id is an accident unless it stands in quotes.
        let text = |id: &str| if id.len() < TELLING_BYTES { format!("\"{id}\"") } else { id.to_owned() };
        let quoted = |id: &str| if id.len() < TELLING_BYTES { format!("'{id}'") } else { id.to_owned() };
        let named: Vec<String> =
            identifiers.ids().map(|id| format!("strpos(raw, {}) > 0", literal(&text(id)))).collect();
        let read: Vec<String> =
            identifiers.ids().map(|id| format!("strpos(detail, {}) > 0", literal(&quoted(id)))).collect();
        let told = |row: &SegmentRow| [&row.name, &row.sql].iter().any(|it| identifiers.are_told_by(it.as_bytes()));
        let naming = self.store.segments(&snapshot)?.into_iter().filter(told).map(|row| literal(&row.name));
        // No segment has no name.
        let naming: Vec<String> = std::iter::once(literal("")).chain(naming).collect();
        let queries = [
            format!(
                "SELECT 'identity' AS record, * FROM identities WHERE person = {person} ORDER BY distinct_id, from_ts"
            ),
            format!(
                "SELECT 'event' AS record, * FROM events WHERE user_id = {person} ORDER BY ts, source_id, source_offset"
            ),
            format!(
                "SELECT 'session' AS record, * FROM sessions WHERE user_id = {person} ORDER BY started_at, session_id"
            ),
            format!(
                "SELECT 'quarantined line' AS record, * FROM quarantine WHERE {} ORDER BY source_id, source_offset",
                named.join(" OR ")
            ),
            format!("SELECT 'correction' AS record, * FROM corrections WHERE id IN ({said}) ORDER BY id"),
            format!(
                "SELECT 'read' AS record, * FROM audit WHERE what = 'read' AND ({}) ORDER BY at",
                read.join(" OR ")
            ),
            format!("SELECT 'segment' AS record, * FROM segments WHERE name IN ({}) ORDER BY name", naming.join(", ")),
        ];
        let (mut session, mut text) = (self.session(), String::new());
        for sql in queries {
            text += &session.query(&sql).await?.text(Format::Ndjson, Look::default()).await?;
        }
        // Their events that corrections leave out or place elsewhere are still held as they came.
        let stored = self.engine_with(&snapshot, self.views_dir(), Some(Vec::new()))?;
        for some in as_stored.chunks(EVENTS_OF_A_STATEMENT) {
            let sql = format!(
                "SELECT 'event as stored' AS record, * FROM events
                 WHERE source_id || ':' || CAST(source_offset AS VARCHAR) IN ({})
                 ORDER BY ts, source_id, source_offset",
                some.join(", ")
            );
            text += &Answer::new(stored.query(&sql).await?, &snapshot).text(Format::Ndjson, Look::default()).await?;
        }
        if text.is_empty() {
            return Err(MaintainError::Unknown { id: user.to_owned() }.into());
        }
        maintain::note_export(&self.store, &self.config, &who)?;
        Ok(text)
    }

    /// The person behind an id, as the store or the input has it.
    fn someone(&self, user: &str) -> Result<Someone, Error> {
        let known = self.known_as(user)?;
        if is_junk(known.as_bytes()) {
            return Err(MaintainError::NoPerson { id: known }.into());
        }
        let people = self.store.people(&self.snapshot()?)?;
        let mut names: Vec<&str> =
            people.owners(known.as_bytes()).into_iter().flatten().map(|owner| people.name(owner.person)).collect();
        names.sort_unstable();
        names.dedup();
        let person = match names[..] {
            [] => known,
            [one] => one.to_owned(),
            _ => return Err(MaintainError::Several { id: user.to_owned(), people: names.join(", ") }.into()),
        };
        Ok(Someone { person, spellings: vec![user.to_owned()] })
    }
}
