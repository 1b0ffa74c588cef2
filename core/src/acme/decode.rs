//! Decoding what CAs send: liberal about everything that is not needed.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Error, Value};
use tracing::debug;

use crate::printable::shortened;

/// The longest body that is logged, in characters.
const LOGGED_MAX: usize = 4_000;
/// The most objects and lists in a body. An order of 100 names has about 100; an object of six octets takes 600 in memory.
const PARTS_MAX: usize = 10_000;
/// Some servers put this before a text, although JSON has none (RFC 8259 §8.1).
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Decodes the body of an answer. What is null is as good as missing. A body that cannot be decoded is logged.
pub(super) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    let text = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    let decoded = if parts(text) > PARTS_MAX {
        let reason = format!("it has more than {PARTS_MAX} objects and lists");
        Err(Error::custom(reason))
    } else {
        serde_json::from_slice(text).and_then(decode_value)
    };
    if let Err(error) = &decoded {
        let body = shortened(&String::from_utf8_lossy(body), LOGGED_MAX);
        debug!(%error, body, "an answer of the CA cannot be decoded");
    }
    decoded
}

/// Decodes a part of a body in the same way.
pub(super) fn decode_value<T: DeserializeOwned>(mut value: Value) -> Result<T, Error> {
    remove_nulls(&mut value);
    T::deserialize(value)
}

/// The same text without what is null, for a library that is strict; as it is if it is no JSON.
pub(super) fn repaired(body: &[u8]) -> Vec<u8> {
    let repaired = decode::<Value>(body).and_then(|value| serde_json::to_vec(&value));
    repaired.unwrap_or_else(|_| body.to_vec())
}

fn remove_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(remove_nulls);
        }
        Value::Array(items) => {
            items.retain(|item| !item.is_null());
            items.iter_mut().for_each(remove_nulls);
        }
        _ => {}
    }
}

/// What is not as expected is as good as missing.
pub(super) fn lenient<'a, D: Deserializer<'a>, T: DeserializeOwned>(
    from: D,
) -> Result<Option<T>, D::Error> {
    let value = Value::deserialize(from)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

/// A URL; one that is empty is as good as missing.
pub(super) fn url<'a, D: Deserializer<'a>>(from: D) -> Result<Option<String>, D::Error> {
    let url = Option::<String>::deserialize(from)?;
    Ok(url.filter(|url| !url.trim().is_empty()))
}

/// A status, in any case. One that is unknown is the usual one: what it means is decided by what follows.
pub(super) fn status<'a, D: Deserializer<'a>, T: DeserializeOwned + Default>(
    from: D,
) -> Result<T, D::Error> {
    let status = Value::deserialize(from)?;
    let Some(status) = status.as_str() else {
        return Err(D::Error::custom("the status is not a text"));
    };
    let lowercase = Value::String(status.to_ascii_lowercase());
    Ok(serde_json::from_value(lowercase).unwrap_or_default())
}

/// How many objects and lists are in a JSON text.
fn parts(text: &[u8]) -> usize {
    let (mut parts, mut is_string, mut is_escaped) = (0, false, false);
    for octet in text {
        match octet {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_string,
            b'"' => is_string = !is_string,
            b'{' | b'[' if !is_string => parts += 1,
            _ => {}
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Answer {
        needed: String,
        #[serde(default, deserialize_with = "lenient")]
        optional: Option<u8>,
        #[serde(default, deserialize_with = "url")]
        url: Option<String>,
        #[serde(default)]
        list: Vec<u8>,
    }

    fn answer(optional: Option<u8>, url: Option<&str>, list: &[u8]) -> Answer {
        Answer {
            needed: "x".to_owned(),
            optional,
            url: url.map(str::to_owned),
            list: list.to_vec(),
        }
    }

    #[test]
    fn what_is_not_needed_may_be_null_empty_missing_or_something_else() {
        for (body, expected) in [
            (r#"{"needed":"x"}"#, answer(None, None, &[])),
            (
                r#"{"needed":"x","optional":null,"url":null,"list":null,"more":1}"#,
                answer(None, None, &[]),
            ),
            (
                r#"{"needed":"x","optional":"7","url":" ","list":[null,1]}"#,
                answer(None, None, &[1]),
            ),
            (
                "\u{feff}{\"needed\":\"x\",\"optional\":7,\"url\":\"u\"}",
                answer(Some(7), Some("u"), &[]),
            ),
        ] {
            let decoded: Answer = decode(body.as_bytes()).unwrap();
            assert_eq!(decoded, expected, "{body}");
        }
        for body in ["", "{}", "[]", r#"{"needed":null}"#, "<html>"] {
            assert!(decode::<Answer>(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn a_body_of_too_many_parts_is_not_read() {
        let answer = |parts: usize| {
            let more = "[],".repeat(parts);
            format!(r#"{{"needed":"x","list":[{more}0]}}"#)
        };
        // The object and the list around them.
        let most: Result<Value, _> = decode(answer(PARTS_MAX - 2).as_bytes());
        most.unwrap();
        let error = decode::<Value>(answer(PARTS_MAX - 1).as_bytes()).unwrap_err();
        assert!(error.to_string().contains("more than 10000"), "{error}");
    }

    #[test]
    fn brackets_in_strings_are_no_parts() {
        let text = br#"{"a\\": ["\"[{", "[\\\"{"], "b": {}}"#;
        assert_eq!(parts(text), 3);
    }

    #[test]
    fn a_text_is_repaired_and_what_is_no_text_stays() {
        assert_eq!(
            repaired(br#"{"a":null,"b":[{"c":null}]}"#),
            br#"{"b":[{}]}"#
        );
        assert_eq!(repaired(b"<html>"), b"<html>");
    }
}
