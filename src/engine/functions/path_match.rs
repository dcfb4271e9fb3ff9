//! `path_match(pattern, path)`: whether a list of steps, such as `journeys.pages`, meets a pattern: the bridge to
//! [`crate::journey::path_match`], which says what a pattern is.
//!
//! `Boolean`, NULL where the list is NULL. A NULL in the list is a step without a name. The pattern is a constant.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{ScalarValue, plan_datafusion_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use hashbrown::HashMap;

use super::call::{shown, text_of};
use super::length::is_text;
use crate::engine::answer::type_name;
use crate::journey::path_match::Pattern;

const NAME: &str = "path_match";

/// The function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct PathMatch {
    signature: Signature,
    read: Read,
}

/// Patterns that were read, by their text: every batch of a query asks for the same few.
#[derive(Debug, Default)]
struct Read(Mutex<HashMap<String, Arc<Pattern>>>);

/// Patterns that are kept, at most.
const KEPT: usize = 64;

impl Read {
    fn pattern(&self, text: &ScalarValue) -> Result<Arc<Pattern>> {
        let Some(key) = text.try_as_str().flatten() else { return pattern(text, NAME).map(Arc::new) };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.get(key) {
            return Ok(Arc::clone(known));
        }
        if kept.len() == KEPT {
            kept.clear();
        }
        let made = Arc::new(pattern(text, NAME)?);
        kept.insert(key.to_owned(), Arc::clone(&made));
        Ok(made)
    }
}

// What is remembered makes no other function of it.
impl PartialEq for Read {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Read {}

impl Hash for Read {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl PathMatch {
    pub(super) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable), read: Read::default() }
    }
}

/// The pattern of the first argument.
pub(super) fn pattern(text: &ScalarValue, function: &str) -> Result<Pattern> {
    let what = format!("{function}: argument 1 (pattern)");
    let text = text_of(text).ok_or_else(|| plan_datafusion_err!("{what} must be a text, is {}", shown(text)))?;
    Pattern::parse(&text).map_err(|why| plan_datafusion_err!("{what}: {why}"))
}

fn steps() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))
}

impl ScalarUDFImpl for PathMatch {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        // What is known before any row is checked before any row.
        if let Some(Some(text)) = args.scalar_arguments.first() {
            self.read.pattern(text)?;
        }
        Ok(Arc::new(Field::new(NAME, DataType::Boolean, true)))
    }

    fn coerce_types(&self, kinds: &[DataType]) -> Result<Vec<DataType>> {
        let [pattern, path] = kinds else {
            return plan_err!("{NAME} takes a pattern and a path – write {NAME}('/cart -> .* -> /thanks', pages)");
        };
        if !is_text(pattern) {
            return plan_err!("{NAME}: argument 1 (pattern) must be a text, is {}", type_name(pattern));
        }
        let fits = match path {
            DataType::Null => true,
            DataType::List(item) | DataType::LargeList(item) => match item.data_type() {
                DataType::Null => true,
                DataType::Dictionary(_, value) => is_text(value),
                kind => is_text(kind),
            },
            _ => false,
        };
        if !fits {
            return plan_err!(
                "{NAME}: argument 2 (path) must be a list of steps such as journeys.pages, is {}",
                type_name(path)
            );
        }
        Ok(vec![DataType::Utf8, steps()])
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [ColumnarValue::Scalar(text), path] = args.args.as_slice() else {
            return plan_err!("{NAME}: argument 1 (pattern) must be a constant");
        };
        let (pattern, lists) = (self.read.pattern(text)?, path.to_array(args.number_rows)?);
        let lists = lists.as_list::<i32>();
        let names = lists.values().as_string::<i32>();
        let mut masks = HashMap::<Option<&str>, u64>::new();
        let mut mask = |at| {
            let step = names.is_valid(at).then(|| names.value(at));
            *masks.entry(step).or_insert_with(|| pattern.mask(step))
        };
        let ends =
            lists.offsets().windows(2).map(|ends| ends[0].cast_unsigned() as usize..ends[1].cast_unsigned() as usize);
        let met: BooleanArray = ends
            .enumerate()
            .map(|(row, steps)| lists.is_valid(row).then(|| pattern.is_met(steps.map(&mut mask))))
            .collect();
        match path {
            ColumnarValue::Scalar(_) => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&met, 0)?)),
            ColumnarValue::Array(_) => Ok(ColumnarValue::Array(Arc::new(met))),
        }
    }

    fn documentation(&self) -> Option<&Documentation> {
        super::docs::documentation(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_read_once() {
        let (read, text) = (Read::default(), |no: usize| ScalarValue::from(format!("/a -> /b{no}")));
        assert!(Arc::ptr_eq(&read.pattern(&text(0)).unwrap(), &read.pattern(&text(0)).unwrap()));
        assert!((0..2 * KEPT).all(|no| read.pattern(&text(no)).is_ok()));
        assert!(read.0.lock().unwrap().len() <= KEPT);
        assert!(read.pattern(&ScalarValue::from("a b")).is_err() && read.pattern(&ScalarValue::from(5)).is_err());
    }
}
