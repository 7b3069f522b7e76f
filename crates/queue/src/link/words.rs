//! What is wrong with Redis, in words for whoever has to mend it.

use redis::{ErrorKind, RedisError};

use crate::{causes::causes, link::trouble::code};

/// What is wrong with Redis and what to do about it: the rest of a sentence that begins with its
/// name.
pub fn in_plain_words(error: &RedisError) -> String {
    let known = code(error).and_then(|code| refusal(&code));
    known
        .or_else(|| loss(error))
        .map_or_else(|| format!("refused: {}", causes(error)), str::to_owned)
}

fn refusal(code: &str) -> Option<&'static str> {
    Some(match code {
        "LOADING" => "is still reading its data after a start",
        "READONLY" => {
            "takes no writes because it is a replica: a failover is going on, or REDIS_URL names a replica"
        }
        "OOM" => "is full (maxmemory is reached): give it more memory",
        "MISCONF" => "takes no writes because it cannot save to its disk: see its log, free disk space",
        "NOREPLICAS" => "takes no writes because too few of its replicas are connected",
        "BUSY" => "is busy with a script that does not end",
        "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" => "is changing its master",
        "NOAUTH" | "WRONGPASS" => "refuses the user or password in REDIS_URL",
        "NOPERM" => "does not permit the user in REDIS_URL what is needed",
        _ => return None,
    })
}

fn loss(error: &RedisError) -> Option<&'static str> {
    if error.kind() == ErrorKind::AuthenticationFailed {
        Some("refuses the user or password in REDIS_URL")
    } else if error.is_connection_refusal() {
        Some("refuses the connection: it is not running, or REDIS_URL names another place")
    } else if error.is_timeout() {
        Some("does not answer in time")
    } else if error.is_io_error() || error.is_connection_dropped() {
        Some("cannot be reached: the connection was lost")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[track_caller]
    fn check(error: &RedisError, expected: &str) {
        let words = in_plain_words(error);
        assert!(words.contains(expected), "{words}");
    }

    #[test]
    fn each_refusal_says_what_to_do() {
        for (code, expected) in [
            ("LOADING", "reading its data"),
            ("READONLY", "failover"),
            ("OOM", "maxmemory"),
            ("MISCONF", "disk space"),
            ("NOREPLICAS", "replicas"),
            ("WRONGPASS", "REDIS_URL"),
            ("WRONGTYPE", "refused: "),
        ] {
            check(
                &redis::make_extension_error(code.to_owned(), Some("text".to_owned())),
                expected,
            );
        }
    }

    #[test]
    fn a_lost_connection_is_told_from_a_refused_and_a_silent_one() {
        for (kind, expected) in [
            (io::ErrorKind::ConnectionRefused, "not running"),
            (io::ErrorKind::TimedOut, "does not answer"),
            (io::ErrorKind::BrokenPipe, "connection was lost"),
        ] {
            check(&io::Error::from(kind).into(), expected);
        }
    }
}
