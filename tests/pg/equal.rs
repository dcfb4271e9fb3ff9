//! Every cell of every table and view is the same, whichever way it is asked for.

use journeyql::terminal::readable_bytes;
use journeyql::time::parse_iso;
use serde_json::Value;

use super::server::Served;
use crate::http::client::Shop;

const BOOL: u32 = 16;
const FLOATS: [u32; 2] = [700, 701];
const INTEGERS: [u32; 3] = [20, 21, 23];
const TIMES: [u32; 2] = [1114, 1184];
const DATE: u32 = 1082;
const BYTES: u32 = 17;
const TEXT: u32 = 25;
/// Arrays and what they are of.
const ARRAYS: [(u32, u32); 6] = [(1000, BOOL), (1005, 21), (1007, 23), (1016, 20), (1009, TEXT), (1022, 701)];
/// Days from 1970 to 2000, where times in binary begin.
const EPOCH_DAYS: i64 = 10_957;

fn item(kind: u32) -> Option<u32> {
    ARRAYS.iter().find(|(array, _)| *array == kind).map(|(_, item)| *item)
}

/// A mean is made of the means of those who read at the same time, in whatever order they come to their ends.
fn float(number: f64) -> String {
    format!("{number:.10e}")
}

/// A cell as it is compared: the value, however it was written.
fn cell(text: &str, kind: u32) -> String {
    match kind {
        BOOL => ["t", "true"].contains(&text).to_string(),
        kind if INTEGERS.contains(&kind) => text.parse::<i64>().unwrap_or_else(|_| panic!("{text}")).to_string(),
        kind if FLOATS.contains(&kind) => float(text.parse().unwrap_or_else(|_| panic!("{text}"))),
        kind if TIMES.contains(&kind) => {
            parse_iso(text.as_bytes(), 0).unwrap_or_else(|| panic!("{text} is no time")).to_string()
        }
        _ => text.to_owned(),
    }
}

fn list(cells: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", cells.into_iter().collect::<Vec<_>>().join("\u{1f}"))
}

fn of_json(value: &Value, kind: u32) -> String {
    match (value, item(kind)) {
        (Value::Null, _) => "NULL".to_owned(),
        (Value::Array(items), Some(item)) => list(items.iter().map(|value| of_json(value, item))),
        (Value::String(text), _) => cell(text, kind),
        (other, _) => cell(&other.to_string(), kind),
    }
}

/// A value as Postgres writes it; `{a,"b c",NULL}` where it is an array.
fn of_text(text: &str, kind: u32) -> String {
    if kind == BYTES {
        let digits = text.strip_prefix("\\x").unwrap();
        let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
        return of_bytes(&(0..digits.len()).step_by(2).map(byte).collect::<Vec<_>>(), kind);
    }
    let Some(item) = item(kind) else { return cell(text, kind) };
    let (mut cells, mut now, mut quoted, mut was_quoted) = (Vec::new(), String::new(), false, false);
    let mut letters = text[1..text.len() - 1].chars();
    let mut end = |now: &mut String, was_quoted: &mut bool| {
        let text = std::mem::take(now);
        let nothing = !std::mem::take(was_quoted) && text == "NULL";
        cells.push(if nothing { text } else { cell(&text, item) });
    };
    while let Some(letter) = letters.next() {
        match letter {
            '"' => (quoted, was_quoted) = (!quoted, true),
            '\\' => now.extend(letters.next()),
            ',' if !quoted => end(&mut now, &mut was_quoted),
            letter => now.push(letter),
        }
    }
    if text != "{}" {
        end(&mut now, &mut was_quoted);
    }
    list(cells)
}

fn number(bytes: &[u8]) -> i64 {
    let first = if bytes[0] & 0x80 == 0 { 0 } else { -1 };
    bytes.iter().fold(first, |number, byte| number << 8 | i64::from(*byte))
}

fn of_bytes(bytes: &[u8], kind: u32) -> String {
    match kind {
        BOOL => (bytes == [1]).to_string(),
        BYTES => readable_bytes(bytes).into_owned(),
        700 => float(f32::from_be_bytes(bytes.try_into().unwrap()).to_string().parse().unwrap()),
        701 => float(f64::from_be_bytes(bytes.try_into().unwrap())),
        DATE => {
            let text = journeyql::time::iso((number(bytes) + EPOCH_DAYS) * journeyql::time::DAY);
            text.split('T').next().unwrap().to_owned()
        }
        kind if INTEGERS.contains(&kind) => number(bytes).to_string(),
        kind if TIMES.contains(&kind) => (number(bytes) + EPOCH_DAYS * journeyql::time::DAY).to_string(),
        kind => match item(kind) {
            Some(item) => {
                let count = if number(&bytes[..4]) == 0 { 0 } else { number(&bytes[12..16]) };
                let mut rest = bytes.get(20..).unwrap_or_default();
                list((0..count).map(|_| {
                    let long = number(&rest[..4]);
                    rest = &rest[4..];
                    let Ok(long) = usize::try_from(long) else { return "NULL".to_owned() };
                    let (value, after) = rest.split_at(long);
                    rest = after;
                    of_bytes(value, item)
                }))
            }
            None => String::from_utf8(bytes.to_vec()).unwrap(),
        },
    }
}

type Rows = Vec<Vec<String>>;

fn sorted(mut rows: Rows) -> Rows {
    rows.sort();
    rows
}

fn of_rows<T>(rows: &[Vec<Option<T>>], kinds: &[u32], read: impl Fn(&T, u32) -> String) -> Rows {
    let cell = |(value, kind): (&Option<T>, &u32)| value.as_ref().map_or("NULL".to_owned(), |it| read(it, *kind));
    sorted(rows.iter().map(|row| row.iter().zip(kinds).map(cell).collect()).collect())
}

fn of_objects(text: &str, columns: &[(String, u32)]) -> Rows {
    let rows: Vec<Value> = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text:.300}"));
    let cell = |row: &Value, (name, kind): &(String, u32)| of_json(row.get(name).unwrap_or(&Value::Null), *kind);
    sorted(rows.iter().map(|row| columns.iter().map(|column| cell(row, column)).collect()).collect())
}

/// In CSV an empty text is nothing too, and a list is JSON.
fn of_csv(text: &str, kinds: &[u32]) -> Rows {
    let cell = |(text, kind): (&str, &u32)| match (text, item(*kind)) {
        ("", _) => "NULL".to_owned(),
        (text, Some(_)) => {
            of_json(&serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}")), *kind)
        }
        (text, None) => cell(text, *kind),
    };
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    sorted(reader.records().map(|row| row.unwrap().iter().zip(kinds).map(cell).collect()).collect())
}

fn without_empty(rows: &Rows) -> Rows {
    let cell = |cell: &String| if cell.is_empty() { "NULL".to_owned() } else { cell.clone() };
    sorted(rows.iter().map(|row| row.iter().map(cell).collect()).collect())
}

fn same(what: &str, sql: &str, left: &Rows, right: &Rows) {
    assert_eq!(left.len(), right.len(), "{what}: {sql}");
    for (left, right) in left.iter().zip(right) {
        assert_eq!(left, right, "{what}: {sql}");
    }
}

const QUERIES: [&str; 8] = [
    "SELECT least(events, 21) AS len, count(*) AS sessions, sum(events) AS events FROM sessions GROUP BY 1",
    "SELECT from_step, to_step, transitions, probability FROM transitions WHERE to_step <> 'EXIT'",
    "SELECT path, steps, share, median_duration_s FROM top_paths ORDER BY sessions DESC, path LIMIT 20",
    "SELECT page, avg(duration_s) AS mean, percentile_cont(0.5) WITHIN GROUP (ORDER BY duration_s) AS median \
     FROM sessions JOIN (SELECT DISTINCT session_id AS id, page FROM steps) ON id = session_id GROUP BY page",
    "SELECT page, dwell_s, prev_page, ts FROM steps",
    "SELECT * FROM funnel('/cart', '/checkout', window => '7 days')",
    "SELECT * FROM retention_cohorts(period => 'week')",
    "SELECT * FROM predict_next('/cart', 5)",
];

#[test]
fn every_cell_is_the_same_through_every_door() {
    let served = Served::of(Shop::sample(), &[]);
    let mut client = served.connect();
    let named = client.query(
        "SELECT '\"' || table_schema || '\".\"' || table_name || '\"' FROM information_schema.tables \
         WHERE table_schema IN ('public', 'journeyql')",
    );
    let tables = named.rows.iter().map(|row| format!("SELECT * FROM {}", row[0].as_ref().unwrap()));
    // Every read is one more row of the audit.
    let settled = |sql: String| if sql.ends_with("\"audit\"") { sql + " WHERE what <> 'read'" } else { sql };
    let asked: Vec<String> = tables.map(settled).chain(QUERIES.map(str::to_owned)).collect();
    assert!(asked.len() > 50, "{asked:?}");
    for sql in &asked {
        let simple = client.query(sql);
        assert!(simple.error.is_empty(), "{sql}: {:?}", simple.error);
        let kinds: Vec<u32> = simple.columns.iter().map(|(_, kind)| *kind).collect();
        let rows = of_rows(&simple.rows, &kinds, |text, kind| of_text(text, kind));
        same("binary", sql, &of_rows(&client.binary(sql), &kinds, |bytes, kind| of_bytes(bytes, kind)), &rows);
        let json = served.server.post_sql(sql);
        same("JSON", sql, &of_objects(&json.body, &simple.columns), &rows);
        same("command line", sql, &of_objects(&served.shop.sql("json", sql), &simple.columns), &rows);
        let csv = served.server.request("POST", "/api/sql", &[("accept", "text/csv")], sql);
        same("CSV", sql, &of_csv(&csv.body, &kinds), &without_empty(&rows));
    }
}
