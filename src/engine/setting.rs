//! `setting('top_n')`: a setting's value as text, so that views can be plain SQL and still obey SET.

use std::hash::Hash;

use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::settings::{NAMES, Settings, unknown};
use crate::time;

/// The function; it knows the snapshot's number and latest event, which are no settings but asked for the same way.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Setting {
    signature: Signature,
    snapshot: i64,
    /// µs
    latest: i64,
}

/// The scalar function `setting(name)`: the text of a setting, NULL if it is not set. `snapshot` is the number of the
/// snapshot that is read, `watermark` the time up to which its events reach (`now` where that is set).
#[must_use]
pub fn function(snapshot: i64, latest: i64) -> ScalarUDF {
    let signature = Signature::exact(vec![DataType::Utf8], Volatility::Stable);
    ScalarUDF::new_from_impl(Setting { signature, snapshot, latest })
}

impl ScalarUDFImpl for Setting {
    fn name(&self) -> &'static str {
        "setting"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn documentation(&self) -> Option<&Documentation> {
        super::functions::documentation(self.name())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(ColumnarValue::Scalar(name)) = args.args.first() else {
            return plan_err!("setting: argument 1 (name) must be a constant");
        };
        let name = name.try_as_str().flatten().unwrap_or_default();
        let value = if name == "snapshot" {
            Some(self.snapshot.to_string())
        } else if name == "watermark" {
            Some(time::iso(Settings::of(&args.config_options).now.unwrap_or(self.latest)))
        } else if NAMES.iter().any(|(known, _)| *known == name) {
            Settings::of(&args.config_options).get(name)
        } else {
            return plan_err!("setting: argument 1 (name): {}", unknown(name));
        };
        Ok(ColumnarValue::Scalar(ScalarValue::Utf8(value)))
    }
}
