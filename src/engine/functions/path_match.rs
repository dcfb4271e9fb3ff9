//! `path_match(pattern, path)`: whether a list of steps, such as `journeys.pages`, meets a pattern: the bridge to
//! [`crate::journey::path_match`], which says what a pattern is.
//!
//! `Boolean`, NULL where the list is NULL. A NULL in the list is a step without a name. The pattern is a constant.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{ScalarValue, plan_datafusion_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use hashbrown::HashMap;

use super::call::text_of;
use super::length::is_text;
use crate::journey::path_match::Pattern;

const NAME: &str = "path_match";

/// The function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct PathMatch {
    signature: Signature,
}

impl PathMatch {
    pub(super) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

/// The pattern of the first argument.
pub(super) fn pattern(text: &ScalarValue, function: &str) -> Result<Pattern> {
    let what = format!("{function}: argument 1 (pattern)");
    let text = text_of(text).ok_or_else(|| plan_datafusion_err!("{what} must be a text, is {text}"))?;
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
            pattern(text, NAME)?;
        }
        Ok(Arc::new(Field::new(NAME, DataType::Boolean, true)))
    }

    fn coerce_types(&self, kinds: &[DataType]) -> Result<Vec<DataType>> {
        let [pattern, path] = kinds else {
            return plan_err!("{NAME} takes a pattern and a path – write {NAME}('/cart -> .* -> /thanks', pages)");
        };
        if !is_text(pattern) {
            return plan_err!("{NAME}: argument 1 (pattern) must be a text, is {pattern}");
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
            return plan_err!("{NAME}: argument 2 (path) must be a list of steps such as journeys.pages, is {path}");
        }
        Ok(vec![DataType::Utf8, steps()])
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [ColumnarValue::Scalar(text), path] = args.args.as_slice() else {
            return plan_err!("{NAME}: argument 1 (pattern) must be a constant");
        };
        let (pattern, lists) = (pattern(text, NAME)?, path.to_array(args.number_rows)?);
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
        Some(&DOCUMENTATION)
    }
}

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        super::JOURNEYS,
        "Whether a path meets a pattern, anywhere in it unless ^ and $ say otherwise.",
        "path_match(pattern, path)",
    )
    .with_argument(
        "pattern",
        "a, \"a b\": a step; .: any; [a b], [^a b]: one of these, none of these; ~\"regex\"; a -> b: one right after the \
         other; a | b; (…); *, +, ?, {2,5}; ^ and $: the path's beginning and end",
    )
    .with_argument("path", "a list of steps such as journeys.pages")
    .with_sql_example(
        "```sql
SELECT path, path_match('home -> [^error]* -> purchase', path) AS bought
FROM (VALUES (['home', 'cart', 'purchase']), (['home', 'error', 'purchase'])) AS journeys(path);
+-------------------------+--------+
| path                    | bought |
+-------------------------+--------+
| [home, cart, purchase]  | true   |
| [home, error, purchase] | false  |
+-------------------------+--------+
```",
    )
    .build()
});
