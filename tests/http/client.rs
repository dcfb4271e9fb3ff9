//! A server of its own for each test, and a client that speaks just enough HTTP.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use percent_encoding::percent_decode_str;
use serde_json::Value;

const RULES: &str = "[journey]\nterminal_pages = [\"/thanks\"]\ngoals = { thanks = \"page = '/thanks'\" }\n";
const NOW: &str = "2026-02-01";

/// A store in a folder that goes with it.
pub struct Shop {
    pub dir: tempfile::TempDir,
}

impl Shop {
    /// The shop's events, a refused line among them, and a segment.
    pub fn new() -> Self {
        let shop = Self { dir: tempfile::tempdir().unwrap() };
        fs::write(shop.dir.path().join("rules.toml"), RULES).unwrap();
        shop.ingest("shop.ndjson", &format!("{}no event\n", include_str!("../sql/shop.ndjson")));
        shop.sql("csv", "CREATE SEGMENT buyers AS SELECT user_id FROM steps WHERE page = '/thanks'");
        shop
    }

    /// The bundled sample.
    #[cfg(feature = "pg")]
    pub fn sample() -> Self {
        let shop = Self { dir: tempfile::tempdir().unwrap() };
        fs::write(shop.dir.path().join("rules.toml"), RULES).unwrap();
        for name in ["access.log", "events.ndjson"] {
            let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(name);
            shop.ingest(name, &fs::read_to_string(file).unwrap());
        }
        shop
    }

    pub fn ingest(&self, name: &str, text: &str) {
        let file = self.dir.path().join(name);
        fs::write(&file, text).unwrap();
        let rules = self.dir.path().join("rules.toml");
        let args = ["ingest", "--quiet", "--max-rejects", "50%", "--now", NOW, "--config"];
        let done = self.command(&args).arg(rules).arg(file).status().unwrap();
        assert!(done.success());
    }

    pub fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    /// The binary on this store.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_journeyql"));
        command.env_remove("JOURNEYQL_STORE").arg("--store").arg(self.store()).args(args);
        command
    }

    /// What `journeyql sql` prints.
    pub fn sql(&self, format: &str, sql: &str) -> String {
        let output = self.command(&["sql", "--format", format, sql]).output().unwrap();
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Serves it on a free port.
    pub fn serve(&self, args: &[&str]) -> Server {
        let mut child = self
            .command(&["serve", "--http", "127.0.0.1:0"])
            .args(args)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        let address = first.strip_prefix("listening on http://").and_then(|rest| rest.split(' ').next());
        let address = address.unwrap_or_else(|| panic!("{first}")).parse().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let sink = Arc::clone(&said);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = writeln!(sink.lock().unwrap(), "{line}");
            }
        });
        Server { child, address, said }
    }
}

/// A running server, ended when it is dropped.
pub struct Server {
    pub child: Child,
    pub address: SocketAddr,
    /// What it said on stderr after its first line.
    pub said: Arc<Mutex<String>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Response {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Self { status, head: head.to_owned(), body: body.to_owned() })
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let pairs = self.head.lines().filter_map(|line| line.split_once(": "));
        pairs.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.head, self.body))
    }

    /// The SQL that was answered.
    pub fn sql(&self) -> String {
        percent_decode_str(self.header("x-journeyql-sql").unwrap()).decode_utf8().unwrap().into_owned()
    }

    /// A member of the error.
    pub fn error(&self, name: &str) -> String {
        self.json()["error"][name].as_str().unwrap_or_default().to_owned()
    }
}

impl Server {
    /// Sends bytes and reads until the server closes; `None` where nothing whole comes back.
    pub fn raw(&self, bytes: &[u8]) -> Option<Response> {
        let mut stream = self.connect();
        // The server may have seen enough before all of it is written.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        Response::parse(&answer)
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(2))).unwrap();
        stream
    }

    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
        let mut text = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "host") {
            let _ = write!(text, "host: {}\r\n", self.address);
        }
        for (name, value) in headers {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        if method == "POST" {
            let _ = write!(text, "content-length: {}\r\n", body.len());
        }
        text += "\r\n";
        text += body;
        self.raw(text.as_bytes()).unwrap_or_else(|| panic!("no answer: {method} {path:.200}"))
    }

    pub fn get(&self, path: &str) -> Response {
        self.request("GET", path, &[], "")
    }

    pub fn post_sql(&self, sql: &str) -> Response {
        self.request("POST", "/api/sql", &[], sql)
    }

    /// It is the same process still, and it answers.
    pub fn is_alive(&mut self) {
        assert!(self.child.try_wait().unwrap().is_none(), "the server is gone: {}", self.said.lock().unwrap());
        let answer = self.post_sql("SELECT 1 AS one");
        assert_eq!((answer.status, answer.body.as_str()), (200, "[\n{\"one\":1}\n]\n"));
    }

    /// Ends as an operator ends it.
    pub fn stop(&mut self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }

    /// The figures of the page are computed: whatever it does from now on is for a question.
    pub fn has_refreshed(&self) {
        let began = Instant::now();
        let refreshes = || self.get("/api/stats").json()["journeyql"]["refreshes"].as_i64();
        while refreshes().is_none_or(|so_far| so_far == 0) {
            assert!(began.elapsed() < Duration::from_mins(2), "it never refreshes");
        }
    }

    /// Memory in use; 0 where nobody tells.
    pub fn memory_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).map_or(0, |kib: u64| kib << 10)
    }

    /// CPU seconds so far; none where nobody tells.
    fn cpu(&self) -> Option<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        let ticks: Vec<f64> =
            stat.rsplit_once(')')?.1.split_whitespace().filter_map(|field| field.parse().ok()).collect();
        // State is no number; utime and stime are the 14th and 15th fields of all.
        Some((ticks.get(10)? + ticks.get(11)?) / 100.0)
    }

    /// Nothing is computed any more, three seconds after now at the latest.
    pub fn becomes_idle(&self) {
        let began = Instant::now();
        loop {
            let Some(before) = self.cpu() else { return };
            std::thread::sleep(Duration::from_millis(300));
            let used = self.cpu().map_or(0.0, |now| now - before);
            if used < 0.1 {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(4), "it computes on: {used} s of the last 0.3");
        }
    }
}
