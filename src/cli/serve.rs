//! `journeyql serve`: the figures over HTTP.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::context::Context;
use super::failure::{Code, Failure};
use crate::http::{Collect, Door, HttpError, Limits, Options};
use crate::{limits, time};

/// Serve the figures as JSON and CSV, and SQL that reads; collect messages
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Where to listen; any other than this machine's own address needs --token-file
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    http: SocketAddr,
    /// A name under which the server is reached, beside localhost and its address
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
    /// Only those who know what is in this file may ask
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Look for new data every so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = limits::HTTP_REFRESH_SECONDS, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    refresh: u64,
    /// How long a query may take
    #[arg(long, value_name = "TIME", default_value = "30 seconds", value_parser = duration)]
    timeout: Duration,
    /// How many rows an answer may have
    #[arg(long, value_name = "N", default_value_t = limits::HTTP_ROWS, value_parser = count)]
    max_rows: usize,
    /// How many queries are answered at a time
    #[arg(long, value_name = "N", default_value_t = limits::HTTP_QUERIES, value_parser = count)]
    max_queries: usize,
    /// Take no messages at /v1/…
    #[arg(long)]
    no_collect: bool,
    /// Take messages only with this write key; given again, with any of them
    #[arg(long, value_name = "KEY")]
    write_key: Vec<String>,
    /// Commit messages this often
    #[arg(long, value_name = "TIME", default_value = "5 seconds", value_parser = duration)]
    flush_interval: Duration,
    /// A proxy stands before the server: the last X-Forwarded-For is who sends
    #[arg(long)]
    behind_proxy: bool,
    /// How many connections there may be
    #[arg(long, value_name = "N", default_value_t = limits::HTTP_CONNECTIONS, value_parser = count)]
    max_connections: usize,
}

fn duration(text: &str) -> Result<Duration, String> {
    match time::parse_duration(text)? {
        micros if micros > 0 => Ok(Duration::from_micros(micros.unsigned_abs())),
        _ => Err("write a length of time such as 30 seconds".to_owned()),
    }
}

/// So many that a semaphore can count them.
fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if (1..=1_000_000_000).contains(&count) => Ok(count),
        _ => Err("write a whole number from 1".to_owned()),
    }
}

/// Serves until `stop`.
pub(in crate::cli) async fn run(
    args: Args,
    context: &Context,
    stop: impl Future<Output = ()>,
) -> Result<Code, Failure> {
    let database = context.open()?;
    let token = args.token_file.as_deref().map(token).transpose()?;
    let options = Options {
        address: args.http,
        hosts: args.host,
        token,
        refresh: Duration::from_secs(args.refresh),
        limits: Limits {
            connections: args.max_connections,
            queries: args.max_queries,
            time: args.timeout,
            rows: args.max_rows,
        },
        collect: (!args.no_collect).then(|| {
            let collect = Collect { write_keys: args.write_key, behind_proxy: args.behind_proxy };
            (collect, args.flush_interval)
        }),
    };
    let door = Door::open(database, options).await.map_err(|error| match error {
        HttpError::Listen { .. } | HttpError::Threads(_) | HttpError::Collect(_) => Failure::failed(&error.to_string()),
        HttpError::Open(_) | HttpError::ShortToken => Failure::usage(&error.to_string()),
    })?;
    context.remark(&format!("listening on http://{} – Ctrl-C ends it", door.address()));
    door.serve(stop).await?;
    Ok(Code::Done)
}

fn token(path: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(&format!("cannot read {} – {error}", path.display())))?;
    Ok(text.trim().to_owned())
}
