//! A server with a Postgres door, and a client that speaks just enough of its protocol to be rude.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::http::client::{Server, Shop};

/// A store, and a server of it with both doors.
pub struct Served {
    pub shop: Shop,
    pub server: Server,
    pub address: SocketAddr,
}

impl Served {
    pub fn new(args: &[&str]) -> Self {
        Self::of(Shop::new(), args)
    }

    pub fn of(shop: Shop, args: &[&str]) -> Self {
        let server = shop.serve(&[&["--pg", "127.0.0.1:0"], args].concat());
        let began = Instant::now();
        let address = loop {
            let said = server.said.lock().unwrap().clone();
            if let Some(rest) = said.split("postgresql://").nth(1) {
                break rest.split('/').next().unwrap().parse().unwrap();
            }
            assert!(began.elapsed() < Duration::from_mins(1), "no Postgres door: {said}");
            std::thread::sleep(Duration::from_millis(20));
        };
        Self { shop, server, address }
    }

    pub fn connect(&self) -> Client {
        let mut client = self.socket();
        client.start(&[("user", "anna"), ("database", "journeyql")]);
        client.until_ready();
        client
    }

    /// A connection on which nothing was said.
    pub fn socket(&self) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(2))).unwrap();
        Client { stream, key: Vec::new() }
    }

    /// It is the same process, and answers.
    pub fn is_alive(&mut self) {
        self.server.is_alive();
        assert_eq!(self.connect().query("SELECT 1 AS one").rows, [[Some("1".to_owned())]]);
    }
}

/// A message of the server: its letter and its body.
pub type Message = (u8, Vec<u8>);

/// One connection.
pub struct Client {
    pub stream: TcpStream,
    /// Process and key, for a request to cancel.
    pub key: Vec<u8>,
}

/// What a statement was answered with.
#[derive(Debug, Default)]
pub struct Answered {
    pub columns: Vec<(String, u32)>,
    pub rows: Vec<Vec<Option<String>>>,
    pub tags: Vec<String>,
    /// Fields of the error by their letters.
    pub error: Vec<(char, String)>,
    pub notices: Vec<String>,
    /// What the server says that variables are.
    pub parameters: Vec<(String, String)>,
}

impl Answered {
    /// A field of the error.
    pub fn field(&self, letter: char) -> &str {
        self.error.iter().find(|(known, _)| *known == letter).map_or("", |(_, value)| value)
    }

    pub fn code(&self) -> &str {
        self.field('C')
    }

    /// The only value.
    pub fn value(&self) -> &str {
        assert!(self.error.is_empty(), "{:?}", self.error);
        self.rows[0][0].as_deref().unwrap_or("NULL")
    }
}

/// A message: a letter, how long it is, and its body.
pub fn message(letter: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![letter];
    bytes.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    bytes.extend(body);
    bytes
}

fn fields(body: &[u8]) -> Vec<(char, String)> {
    let texts = body.split(|byte| *byte == 0).filter(|text| !text.is_empty());
    texts.map(|text| (char::from(text[0]), String::from_utf8_lossy(&text[1..]).into_owned())).collect()
}

impl Client {
    pub fn send(&mut self, bytes: &[u8]) {
        // The server may have seen enough before all of it is written.
        let _ = self.stream.write_all(bytes);
    }

    pub fn start(&mut self, parameters: &[(&str, &str)]) {
        let mut body = 196_608_u32.to_be_bytes().to_vec();
        for (name, value) in parameters {
            body.extend(format!("{name}\0{value}\0").bytes());
        }
        body.push(0);
        let mut bytes = u32::try_from(body.len() + 4).unwrap().to_be_bytes().to_vec();
        bytes.extend(body);
        self.send(&bytes);
    }

    /// The next message; nothing where the server has closed.
    pub fn next(&mut self) -> Option<Message> {
        let mut head = [0; 5];
        self.stream.read_exact(&mut head).ok()?;
        let long = u32::from_be_bytes(head[1..].try_into().unwrap());
        let mut body = vec![0; long as usize - 4];
        self.stream.read_exact(&mut body).ok()?;
        Some((head[0], body))
    }

    /// Everything until the server is ready or closes.
    pub fn until_ready(&mut self) -> Answered {
        let mut answered = Answered::default();
        while let Some((letter, body)) = self.next() {
            match letter {
                b'T' => answered.columns = columns(&body),
                b'D' => {
                    let text = |value: Vec<u8>| String::from_utf8_lossy(&value).into_owned();
                    answered.rows.push(row(&body).into_iter().map(|value| value.map(text)).collect());
                }
                b'C' => answered.tags.push(String::from_utf8_lossy(&body[..body.len() - 1]).into_owned()),
                b'E' => answered.error = fields(&body),
                b'N' => answered.notices.extend(fields(&body).into_iter().filter(|it| it.0 == 'M').map(|it| it.1)),
                b'S' => {
                    let text = String::from_utf8_lossy(&body).into_owned();
                    let mut parts = text.split('\0').map(str::to_owned);
                    answered.parameters.push((parts.next().unwrap(), parts.next().unwrap()));
                }
                b'K' => self.key = body,
                b'Z' => break,
                _ => {}
            }
        }
        answered
    }

    pub fn query(&mut self, sql: &str) -> Answered {
        self.send(&message(b'Q', format!("{sql}\0").as_bytes()));
        self.until_ready()
    }

    /// Parse, Bind, Describe, Execute and Sync, all at once; parameters are texts.
    pub fn extended(&mut self, sql: &str, parameters: &[&str], most: u32) -> Answered {
        let mut bytes = message(b'P', format!("\0{sql}\0\0\0").as_bytes());
        let mut bind = b"\0\0\0\0".to_vec();
        bind.extend(u16::try_from(parameters.len()).unwrap().to_be_bytes());
        for value in parameters {
            bind.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
            bind.extend(value.bytes());
        }
        bind.extend([0, 0]);
        bytes.extend(message(b'B', &bind));
        bytes.extend(message(b'D', b"P\0"));
        bytes.extend(message(b'E', &[&[0], &most.to_be_bytes()[..]].concat()));
        bytes.extend(message(b'S', b""));
        self.send(&bytes);
        self.until_ready()
    }

    /// The rows of a statement in binary.
    pub fn binary(&mut self, sql: &str) -> Vec<Vec<Option<Vec<u8>>>> {
        let mut bytes = message(b'P', format!("\0{sql}\0\0\0").as_bytes());
        bytes.extend(message(b'B', b"\0\0\0\0\0\0\0\x01\0\x01"));
        bytes.extend(message(b'E', b"\0\0\0\0\0"));
        bytes.extend(message(b'S', b""));
        self.send(&bytes);
        let mut rows = Vec::new();
        while let Some((letter, body)) = self.next().filter(|(letter, _)| *letter != b'Z') {
            assert_ne!(letter, b'E', "{sql}: {:?}", fields(&body));
            if letter == b'D' {
                rows.push(row(&body));
            }
        }
        rows
    }

    /// Reads until the server closes; whether it does within a time.
    pub fn is_closed_within(&mut self, time: Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).unwrap();
        let began = Instant::now();
        let mut sink = [0; 4096];
        loop {
            match self.stream.read(&mut sink) {
                Ok(0) => return true,
                Ok(_) if began.elapsed() < time => {}
                Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
                Ok(_) => return false,
            }
        }
    }
}

fn columns(body: &[u8]) -> Vec<(String, u32)> {
    let count = u16::from_be_bytes(body[..2].try_into().unwrap());
    let mut rest = &body[2..];
    let mut columns = Vec::new();
    for _ in 0..count {
        let end = rest.iter().position(|byte| *byte == 0).unwrap();
        let name = String::from_utf8_lossy(&rest[..end]).into_owned();
        let kind = u32::from_be_bytes(rest[end + 7..end + 11].try_into().unwrap());
        columns.push((name, kind));
        rest = &rest[end + 19..];
    }
    columns
}

pub fn row(body: &[u8]) -> Vec<Option<Vec<u8>>> {
    let count = u16::from_be_bytes(body[..2].try_into().unwrap());
    let mut rest = &body[2..];
    let mut values = Vec::new();
    for _ in 0..count {
        let long = i32::from_be_bytes(rest[..4].try_into().unwrap());
        rest = &rest[4..];
        let Ok(long) = usize::try_from(long) else {
            values.push(None);
            continue;
        };
        values.push(Some(rest[..long].to_vec()));
        rest = &rest[long..];
    }
    values
}
