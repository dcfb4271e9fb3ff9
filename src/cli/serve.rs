//! `journeyql serve`: the figures over HTTP and the Postgres wire.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;

use super::context::Context;
use super::failure::{Code, Failure};
use crate::database::{Limits, Queries};
use crate::http::{Collect, Door, HttpError, Options};
#[cfg(feature = "pg")]
use crate::pg::{self, PgError};
use crate::{limits, time};

/// Serve the figures as JSON and CSV, and SQL that reads, also to Postgres clients; collect messages
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Where to listen; any other than this machine's own address needs --token-file
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    http: SocketAddr,
    /// Where to listen for Postgres clients, such as 127.0.0.1:5432; any other than this machine's own address needs --token-file
    #[arg(long, value_name = "ADDR")]
    pg: Option<SocketAddr>,
    /// A name under which the server is reached, beside localhost and its address
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
    /// Only those who know what is in this file may ask; for Postgres clients it is the password of every user
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Look for new data every so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = limits::HTTP_REFRESH_SECONDS, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    refresh: u64,
    /// How long a query may take
    #[arg(long, value_name = "TIME", default_value = "30 seconds", value_parser = duration)]
    timeout: Duration,
    /// How many rows an answer may have; if not given, 100000, and as many as there are for Postgres clients
    #[arg(long, value_name = "N", value_parser = count)]
    max_rows: Option<usize>,
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
    /// A proxy stands before the server: the last X-Forwarded-For is who asks or sends
    #[arg(long)]
    behind_proxy: bool,
    /// How many connections there may be, of HTTP and of Postgres clients
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
    let limits = Limits {
        connections: args.max_connections,
        queries: args.max_queries,
        time: args.timeout,
        rows: args.max_rows,
    };
    let queries = Queries::start(&database, limits)
        .map_err(|error| Failure::failed(&format!("cannot start threads: {error}")))?;
    let queries = Arc::new(queries);
    let reads = Arc::clone(queries.reads());
    let postgres = postgres(args.pg, &queries, token.clone()).await?;
    let options = Options {
        address: args.http,
        hosts: args.host,
        token,
        refresh: Duration::from_secs(args.refresh),
        behind_proxy: args.behind_proxy,
        collect: (!args.no_collect).then_some((Collect { write_keys: args.write_key }, args.flush_interval)),
    };
    let door = Door::open(database, queries, options).await.map_err(|error| match error {
        HttpError::Listen { .. } | HttpError::Collect(_) => Failure::failed(&error.to_string()),
        HttpError::Unguarded(_) => Failure::usage(&error.to_string()),
    })?;
    context.remark(&format!("listening on http://{} – Ctrl-C ends it", door.address()));
    if let Some(postgres) = &postgres {
        context.remark(&format!("listening on postgresql://{}/journeyql", postgres.address()));
    }
    let stop = stop.shared();
    let also = async {
        if let Some(postgres) = postgres {
            postgres.serve(stop.clone()).await;
        }
    };
    let (served, ()) = tokio::join!(door.serve(stop.clone()), also);
    reads.close();
    served?;
    Ok(Code::Done)
}

#[cfg(feature = "pg")]
async fn postgres(
    address: Option<SocketAddr>,
    queries: &Arc<Queries>,
    token: Option<String>,
) -> Result<Option<pg::Door>, Failure> {
    let Some(address) = address else { return Ok(None) };
    let door = pg::Door::open(Arc::clone(queries), pg::Options { address, token }).await;
    door.map(Some).map_err(|error| match error {
        PgError::Listen { .. } | PgError::Random(_) => Failure::failed(&error.to_string()),
        PgError::Unguarded(_) => Failure::usage(&error.to_string()),
    })
}

/// What this program was built without.
#[cfg(not(feature = "pg"))]
mod pg {
    use std::net::SocketAddr;

    /// No door.
    #[derive(Debug)]
    pub(super) enum Door {}

    impl Door {
        pub(super) fn address(&self) -> SocketAddr {
            match *self {}
        }

        pub(super) async fn serve(self, _: impl Future<Output = ()>) {
            match self {}
        }
    }
}

#[cfg(not(feature = "pg"))]
async fn postgres(
    address: Option<SocketAddr>,
    _: &Arc<Queries>,
    _: Option<String>,
) -> Result<Option<pg::Door>, Failure> {
    match address {
        None => Ok(None),
        Some(_) => {
            Err(Failure::usage("this journeyql was built without the Postgres wire – cargo build --features pg"))
        }
    }
}

fn token(path: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(&format!("cannot read {} – {error}", path.display())))?;
    Ok(text.trim().to_owned())
}
