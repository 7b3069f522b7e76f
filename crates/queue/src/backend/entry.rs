//! Reading entries out of Redis' replies, without copying the jobs in them.

use redis::Value;

/// An entry of the stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: String,
    /// The envelope; empty where the entry has none.
    pub(crate) job: Vec<u8>,
    /// Attempts before this entry was added.
    pub(crate) spent: u32,
    /// Runs before this entry was added, with those that were no attempts.
    pub(crate) runs: u32,
    /// How often this entry was delivered, with this time.
    pub(crate) deliveries: u32,
}

/// The entries in the answer to `XREADGROUP` for one stream: `[[stream, [[id, fields], ...]]]`.
pub(crate) fn read(reply: Value) -> Vec<Entry> {
    let streams = array(reply).into_iter();
    let entries = streams
        .filter_map(|stream| array(stream).into_iter().nth(1))
        .flat_map(array);
    entries
        .filter_map(|entry| {
            let mut parts = array(entry).into_iter();
            Some(Entry::new(text(parts.next()?)?, 1, parts.next()?))
        })
        .collect()
}

/// The entries in the answer of the reclaim script: `[[id, deliveries, fields], ...]`.
pub(crate) fn reclaimed(reply: Value) -> Vec<Entry> {
    let entries = array(reply).into_iter();
    entries
        .filter_map(|entry| {
            let mut parts = array(entry).into_iter();
            let (id, deliveries) = (text(parts.next()?)?, number(parts.next()?));
            Some(Entry::new(id, deliveries, parts.next()?))
        })
        .collect()
}

impl Entry {
    fn new(id: String, deliveries: u32, fields: Value) -> Self {
        let mut entry = Self {
            id,
            job: Vec::new(),
            spent: 0,
            runs: 0,
            deliveries,
        };
        let mut fields = array(fields).into_iter();
        while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
            match name {
                Value::BulkString(name) if name == b"job" => entry.job = bytes(value),
                Value::BulkString(name) if name == b"spent" => entry.spent = number(value),
                Value::BulkString(name) if name == b"runs" => entry.runs = number(value),
                _ => {}
            }
        }
        entry
    }
}

fn array(value: Value) -> Vec<Value> {
    if let Value::Array(items) = value {
        items
    } else {
        Vec::new()
    }
}

fn bytes(value: Value) -> Vec<u8> {
    if let Value::BulkString(bytes) = value {
        bytes
    } else {
        Vec::new()
    }
}

fn text(value: Value) -> Option<String> {
    String::from_utf8(bytes(value)).ok()
}

fn number(value: Value) -> u32 {
    match value {
        Value::Int(number) => u32::try_from(number).unwrap_or(0),
        other => text(other).and_then(|digits| digits.parse().ok()).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn list<const N: usize>(items: [Value; N]) -> Value {
        Value::Array(items.into())
    }

    #[test]
    fn entries_are_read_with_what_was_spent_before() {
        let fields = list([
            bulk("job"),
            bulk("{}"),
            bulk("spent"),
            bulk("2"),
            bulk("runs"),
            bulk("3"),
        ]);
        let reply = list([list([bulk("stream"), list([list([bulk("1-0"), fields])])])]);
        let expected = Entry {
            id: "1-0".to_owned(),
            job: b"{}".to_vec(),
            spent: 2,
            runs: 3,
            deliveries: 1,
        };
        assert_eq!(read(reply), [expected]);
    }

    #[test]
    fn reclaimed_entries_know_how_often_they_were_delivered() {
        let reply = list([list([
            bulk("1-0"),
            Value::Int(3),
            list([bulk("job"), bulk("{}")]),
        ])]);
        let expected = Entry {
            id: "1-0".to_owned(),
            job: b"{}".to_vec(),
            spent: 0,
            runs: 0,
            deliveries: 3,
        };
        assert_eq!(reclaimed(reply), [expected]);
    }

    #[test]
    fn nothing_is_no_entries() {
        assert_eq!(read(Value::Nil), []);
        assert_eq!(reclaimed(list([])), []);
    }

    #[test]
    fn an_entry_of_somebody_else_has_no_job() {
        let reply = list([list([
            bulk("s"),
            list([list([bulk("1-0"), list([bulk("a"), bulk("b")])])]),
        ])]);
        assert_eq!(read(reply).first().map(|entry| entry.job.len()), Some(0));
    }
}
