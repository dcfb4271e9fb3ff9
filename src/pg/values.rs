//! The values of parameters, as they come with a Bind message.
//!
//! | format | type | is |
//! |---|---|---|
//! | text | a text, a date, a time, an interval | the text itself; the engine reads times, and more of them than the crate |
//! | text | a list of texts | read here |
//! | any | any other | read by the crate |
//!
//! The crate takes a text for a literal of SQL: of two quotes it makes one, and of a text "NULL" in a list no text.

use datafusion::common::{ParamValues, ScalarValue};
use datafusion_postgres::arrow_pg::datatypes::df::deserialize_parameters_with_server_types;
use datafusion_postgres::pgwire::api::Type;
use datafusion_postgres::pgwire::api::portal::{Format, Portal};
use datafusion_postgres::pgwire::error::PgWireResult;

use arrow::datatypes::DataType;

use super::fault::{self, IntoError};
use super::source;

/// Types whose values are the texts that come, if texts come.
const AS_THEY_COME: [Type; 7] =
    [Type::TEXT, Type::VARCHAR, Type::DATE, Type::TIME, Type::TIMESTAMP, Type::TIMESTAMPTZ, Type::INTERVAL];

/// The values of a portal's parameters, which have these types.
///
/// # Errors
/// There are more or fewer than parameters, or one cannot be read.
pub(super) fn values<S: Clone>(portal: &Portal<S>, types: &[Type]) -> PgWireResult<Vec<ScalarValue>> {
    let (given, wanted) = (portal.parameter_len(), types.len());
    if given != wanted {
        let message = format!("bind message supplies {given} parameters, but prepared statement requires {wanted}");
        return Err(fault::error("08P01", message).into_error());
    }
    if let Format::Individual(codes) = &portal.parameter_format
        && codes.len() != given
    {
        let message = format!("bind message has {} parameter formats but {given} parameters", codes.len());
        return Err(fault::error("08P01", message).into_error());
    }
    let ours = types.iter().enumerate().map(|(at, kind)| text(portal, at, kind)).collect::<PgWireResult<Vec<_>>>()?;
    // What is read here already is a text to the crate, whatever else it is.
    let theirs: Vec<Option<&Type>> =
        types.iter().zip(&ours).map(|(kind, ours)| Some(if ours.is_some() { &Type::TEXT } else { kind })).collect();
    let ParamValues::List(read) = deserialize_parameters_with_server_types(portal, &[], &theirs)? else {
        return Err(source::inside());
    };
    Ok(ours.into_iter().zip(read).map(|(ours, read)| ours.unwrap_or(read.value)).collect())
}

/// The value of a parameter that is read here.
fn text<S: Clone>(portal: &Portal<S>, at: usize, kind: &Type) -> PgWireResult<Option<ScalarValue>> {
    let list = matches!(*kind, Type::TEXT_ARRAY | Type::VARCHAR_ARRAY);
    let (true, Some(Some(bytes))) =
        (portal.parameter_format.is_text(at) && (list || AS_THEY_COME.contains(kind)), portal.parameters.get(at))
    else {
        return Ok(None);
    };
    let wrong = |code, message: &str| fault::error(code, format!("${}: {message}", at + 1)).into_error();
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Err(wrong("22021", "the text is not UTF-8"));
    };
    if !list {
        return Ok(Some(ScalarValue::from(text)));
    }
    let Some(items) = items(text) else {
        return Err(wrong("22P02", "a list is written {one,\"two, or three\",NULL}"));
    };
    let items: Vec<ScalarValue> = items.into_iter().map(ScalarValue::Utf8).collect();
    Ok(Some(ScalarValue::List(ScalarValue::new_list(&items, &DataType::Utf8, true))))
}

/// The items of a list as Postgres writes it; `None` of what is none, or has lists in it.
fn items(list: &str) -> Option<Vec<Option<String>>> {
    let inner = list.trim().strip_prefix('{')?.strip_suffix('}')?;
    let (mut items, mut letters) = (Vec::new(), inner.chars().peekable());
    if inner.trim().is_empty() {
        return Some(items);
    }
    loop {
        while letters.next_if(|letter| letter.is_whitespace()).is_some() {}
        items.push(if letters.next_if_eq(&'"').is_some() {
            let mut item = String::new();
            loop {
                match letters.next()? {
                    '"' => break,
                    '\\' => item.push(letters.next()?),
                    letter => item.push(letter),
                }
            }
            while letters.next_if(|letter| letter.is_whitespace()).is_some() {}
            Some(item)
        } else {
            let mut item = String::new();
            while let Some(letter) = letters.next_if(|letter| *letter != ',') {
                match letter {
                    '{' | '}' | '"' => return None,
                    '\\' => item.push(letters.next()?),
                    letter => item.push(letter),
                }
            }
            let item = item.trim_end();
            match item {
                "" => return None,
                null if null.eq_ignore_ascii_case("null") => None,
                item => Some(item.to_owned()),
            }
        });
        match letters.next() {
            None => return Some(items),
            Some(',') => {}
            Some(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::items;

    #[test]
    fn lists_are_read_as_postgres_writes_them() {
        let read = |list: &str| {
            items(list).map(|items| items.into_iter().map(|item| item.unwrap_or("∅".to_owned())).collect::<Vec<_>>())
        };
        let some = |items: &[&str]| Some(items.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>());
        assert_eq!(read("{}"), some(&[]));
        assert_eq!(read("{a, b c ,NULL,null}"), some(&["a", "b c", "∅", "∅"]));
        assert_eq!(read(r#"{"a,b","NULL","","\"\\''{}" , x\,y}"#), some(&["a,b", "NULL", "", "\"\\''{}", "x,y"]));
        for wrong in ["", "a", "{a", "{a,}", "{,a}", "{\"a}", "{\"a\"b}", "{{a}}", "{a\\"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
