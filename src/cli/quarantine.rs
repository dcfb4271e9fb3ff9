//! `journeyql quarantine`: the refused lines.

use super::answer;
use super::args::Shape;
use super::context::Context;
use super::failure::{Code, Failure};
use crate::database::literal;

/// The lines that were refused
#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Command {
    /// Count them by source and reason, with an example
    List {
        #[command(flatten)]
        shape: Shape,
    },
    /// Show the lines themselves
    Show {
        /// Only of sources whose name or id contains this
        #[arg(long, value_name = "TEXT")]
        source: Option<String>,
        /// Only with this reason
        #[arg(long)]
        reason: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: usize,
        #[command(flatten)]
        shape: Shape,
    },
}

pub(in crate::cli) async fn run(command: Command, context: &Context) -> Result<Code, Failure> {
    let redacted = context.open()?.config().privacy.is_on();
    let code = match command {
        Command::List { shape } => answer::write("quarantine list", LIST, &shape, context).await,
        Command::Show { source, reason, limit, shape } => {
            let mut wanted = Vec::new();
            if let Some(text) = source {
                let text = literal(&text);
                wanted.push(format!("(strpos(source, {text}) > 0 OR strpos(source_id, {text}) > 0)"));
            }
            if let Some(reason) = reason {
                wanted.push(format!("reason = {}", literal(&reason)));
            }
            let wanted = if wanted.is_empty() { "true".to_owned() } else { wanted.join(" AND ") };
            let sql = format!(
                "SELECT source, line_no, source_offset, reason, matched_bytes, raw FROM quarantine
                 WHERE {wanted} ORDER BY source, source_id, source_offset LIMIT {limit}"
            );
            answer::write("quarantine show", &sql, &shape, context).await
        }
    }?;
    if redacted {
        context.remark(
            "[privacy] is on: of a refused line only its shape is kept, marked [redacted …] – its source has the line, at \
             line_no",
        );
    }
    Ok(code)
}

const LIST: &str = "
    SELECT source, reason, count(*) AS lines, min(line_no) AS first_line,
           first_value(raw ORDER BY source_offset) AS example
    FROM quarantine GROUP BY source, source_id, reason ORDER BY lines DESC, source, reason";
