//! Pages and steps of stored rows, derived again.
//!
//! The columns that they come from are stored as they were read, so nothing but the rules decides. Each rule is asked
//! once per distinct text.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray, StringBuilder};
use arrow::datatypes::Int16Type;
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::error::MaintainError;
use crate::config::Config;
use crate::event::Column;
use crate::normalize::{PageNormalizer, StepRules};

/// Answers by distinct text; a log has few.
type Memo<T> = HashMap<String, T, RandomState>;

/// Derives `page` and `is_step` of rows by the rules of a configuration.
#[derive(Debug)]
pub struct Derivation {
    pages: PageNormalizer,
    steps: StepRules,
    /// By path: its page, and whether that is an asset.
    by_path: Memo<(String, bool)>,
    /// By user agent: a known bot.
    bots: Memo<bool>,
    methods: Memo<bool>,
    scratch: Vec<u8>,
    /// Rows whose page, and whose being a step, became another.
    pub moved: [u64; 2],
}

impl Derivation {
    /// Under the rules of `config`.
    ///
    /// # Errors
    /// A page rule is no regular expression.
    pub fn new(config: &Config) -> Result<Self, MaintainError> {
        Ok(Self {
            pages: PageNormalizer::new(&config.pages).map_err(MaintainError::Config)?,
            steps: StepRules::new(&config.steps),
            by_path: Memo::default(),
            bots: Memo::default(),
            methods: Memo::default(),
            scratch: Vec::new(),
            moved: [0; 2],
        })
    }

    /// The rows with their pages and steps as the rules have them now.
    ///
    /// # Errors
    /// Arrow refuses the columns, which would be a mistake of ours.
    pub fn batch(&mut self, batch: &RecordBatch) -> Result<RecordBatch, MaintainError> {
        let text = |column: Column| batch.column(column as usize).as_string::<i32>();
        let (paths, events) = (text(Column::Path), text(Column::Event));
        let (methods, agents) = (text(Column::Method), text(Column::UserAgent));
        let status = batch.column(Column::Status as usize).as_primitive::<Int16Type>();
        let mut pages = StringBuilder::with_capacity(batch.num_rows(), 16 * batch.num_rows());
        let mut is_step = Vec::with_capacity(batch.num_rows());
        for row in 0..batch.num_rows() {
            let (path, method) = (value(paths, row), value(methods, row));
            let derived = path.map(|path| self.page(path));
            pages.append_option(derived.map(|(page, _)| page));
            let is_asset = derived.is_some_and(|(_, is_asset)| *is_asset);
            let by_bot = value(agents, row)
                .is_some_and(|agent| ask(&mut self.bots, agent, || self.steps.is_bot(agent.as_bytes())));
            let counts = match method {
                Some(method) => ask(&mut self.methods, method, || self.steps.method_counts(Some(method.as_bytes()))),
                None => self.steps.method_counts(None),
            };
            let named = path.is_some() || events.is_valid(row);
            let status = status.is_valid(row).then(|| status.value(row));
            is_step.push(self.steps.is_step(named, method.is_some() && is_asset, (by_bot, counts), status));
        }
        self.replace(batch, pages.finish(), BooleanArray::from(is_step))
    }

    /// The page of a path, and whether it is an asset.
    fn page(&mut self, path: &str) -> &(String, bool) {
        let Self { pages, steps, by_path, scratch, .. } = self;
        by_path.entry_ref(path).or_insert_with(|| {
            scratch.clear();
            pages.page(path.as_bytes(), scratch);
            (String::from_utf8_lossy(scratch).into_owned(), steps.is_asset(scratch))
        })
    }

    fn replace(
        &mut self,
        batch: &RecordBatch,
        pages: StringArray,
        is_step: BooleanArray,
    ) -> Result<RecordBatch, MaintainError> {
        let (page, step) = (Column::Page as usize, Column::IsStep as usize);
        let was = batch.column(page).as_string::<i32>();
        self.moved[0] += was.iter().zip(&pages).filter(|(was, is)| was != is).count() as u64;
        let was = batch.column(step).as_boolean();
        self.moved[1] += was.iter().zip(&is_step).filter(|(was, is)| was != is).count() as u64;
        let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
        columns[page] = Arc::new(pages);
        columns[step] = Arc::new(is_step);
        Ok(RecordBatch::try_new(batch.schema(), columns)?)
    }
}

fn value(texts: &StringArray, row: usize) -> Option<&str> {
    texts.is_valid(row).then(|| texts.value(row))
}

/// The answer about a text, asked on first sight.
fn ask(memo: &mut Memo<bool>, text: &str, question: impl FnOnce() -> bool) -> bool {
    if let Some(known) = memo.get(text) {
        return *known;
    }
    *memo.entry_ref(text).or_insert_with(question)
}
