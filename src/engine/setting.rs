//! `setting('top_n')`: a setting's value as text, so that views can be plain SQL and still obey SET.

use std::hash::Hash;

use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::settings::{NAMES, Settings, unknown};

/// The function; it knows the snapshot's number, which is no setting but asked for the same way.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Setting {
    signature: Signature,
    snapshot: i64,
}

/// The scalar function `setting(name)`: the text of a setting, NULL if it is not set. `snapshot` is the number of the
/// snapshot that is read.
#[must_use]
pub fn function(snapshot: i64) -> ScalarUDF {
    let signature = Signature::exact(vec![DataType::Utf8], Volatility::Stable);
    ScalarUDF::new_from_impl(Setting { signature, snapshot })
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

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(ColumnarValue::Scalar(name)) = args.args.first() else {
            return exec_err!("setting() takes the name of a setting as a text");
        };
        let name = name.try_as_str().flatten().unwrap_or_default();
        let value = if name == "snapshot" {
            Some(self.snapshot.to_string())
        } else if NAMES.iter().any(|(known, _)| *known == name) {
            Settings::of(&args.config_options).get(name)
        } else {
            return exec_err!("{}", unknown(name));
        };
        Ok(ColumnarValue::Scalar(ScalarValue::Utf8(value)))
    }
}
