//! application events as Parquet columns, named as in ndjson: its name, its source and sample lines that are tests.

use super::{FormatInfo, Reader};

pub(super) const FORMAT: FormatInfo = FormatInfo {
    name: "parquet",
    aliases: &[],
    title: "application events as Parquet columns, named as in ndjson",
    url: "https://parquet.apache.org/docs/file-format/",
    reader: Reader::Parquet,
    samples: &[],
};
