mod report;
mod statement;

pub use report::{Kind, Parameter, Report};
pub use statement::{is_complete as is_complete_statement, literal, split as split_statements};
