//! What an error of Redis means to us: is it away, does it refuse for now, or is it our mistake.

use redis::{ErrorKind, RedisError};

/// Why Redis did not do what it was asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It cannot be reached, or does not answer.
    Away,
    /// It reads its data after a start.
    Loading,
    /// It is a replica: a failover is going on.
    ReadOnly,
    /// It has reached its memory limit and may not evict.
    OutOfMemory,
    /// It cannot keep a write safe, on its disk or with its replicas, and refuses it.
    CannotPersist,
    /// A wrong command, a key of another type, a missing right: trying again will not help.
    Mistake,
}

impl Trouble {
    pub(crate) fn of(error: &RedisError) -> Self {
        let Some(code) = code(error) else {
            return if is_broken(error) {
                Self::Away
            } else {
                Self::Mistake
            };
        };
        match code.as_str() {
            "LOADING" => Self::Loading,
            "READONLY" => Self::ReadOnly,
            "OOM" => Self::OutOfMemory,
            "MISCONF" | "NOREPLICAS" => Self::CannotPersist,
            "BUSY" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" => Self::Away,
            _ if is_broken(error) => Self::Away,
            _ => Self::Mistake,
        }
    }

    /// Whether the same request may succeed later.
    pub(crate) fn passes(self) -> bool {
        self != Self::Mistake
    }
}

/// Whether the connection that gave this error is of no more use.
pub(crate) fn is_broken(error: &RedisError) -> bool {
    error.is_unrecoverable_error()
        || matches!(
            error.kind(),
            ErrorKind::Io | ErrorKind::Parse | ErrorKind::AuthenticationFailed
        )
}

/// Whether the stream or its consumer group is not there (any more): after FLUSHALL.
pub(crate) fn is_group_gone(error: &RedisError) -> bool {
    code(error).is_some_and(|code| code == "NOGROUP" || code == "UNBLOCKED")
}

/// Whether Redis has reached its memory limit.
pub(crate) fn is_full(error: &RedisError) -> bool {
    Trouble::of(error) == Trouble::OutOfMemory
}

/// The word an error reply starts with. Inside a pipeline that of the first error; before
/// Redis 7 a script's error hides it in the text.
pub(crate) fn code(error: &RedisError) -> Option<String> {
    let errors = error.clone().into_server_errors()?;
    let (_, first) = errors.first()?;
    let hidden = ["OOM", "READONLY", "MISCONF", "NOREPLICAS", "NOGROUP"]
        .into_iter()
        .find(|code| {
            first.code() == "ERR"
                && first
                    .details()
                    .is_some_and(|text| text.contains(&format!("-{code} ")))
        });
    Some(hidden.unwrap_or(first.code()).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(code: &str, detail: &str) -> RedisError {
        redis::make_extension_error(code.to_owned(), Some(detail.to_owned()))
    }

    #[test]
    fn each_refusal_is_told_apart() {
        for (code, expected) in [
            ("LOADING", Trouble::Loading),
            ("READONLY", Trouble::ReadOnly),
            ("OOM", Trouble::OutOfMemory),
            ("MISCONF", Trouble::CannotPersist),
            ("NOREPLICAS", Trouble::CannotPersist),
            ("MASTERDOWN", Trouble::Away),
            ("WRONGTYPE", Trouble::Mistake),
        ] {
            assert_eq!(Trouble::of(&reply(code, "text")), expected, "{code}");
        }
    }

    #[test]
    fn a_refusal_inside_an_old_script_is_found_in_the_text() {
        let error = reply(
            "ERR",
            "Error running script: @user_script:3: -OOM command not allowed",
        );
        assert_eq!(Trouble::of(&error), Trouble::OutOfMemory);
    }

    #[test]
    fn a_lost_connection_is_away() {
        let error = RedisError::from(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
        assert_eq!(Trouble::of(&error), Trouble::Away);
        assert!(Trouble::Away.passes() && !Trouble::Mistake.passes());
    }
}
