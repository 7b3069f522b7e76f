//! The ways in which Discord closes a connection for good, and what mends each.

/// A close after which connecting again is of no use until somebody has done something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fatal {
    /// 4004.
    Token,
    /// 4010, 4011: more connections are needed than one.
    Shards(u16),
    /// 4012.
    Version,
    /// 4013.
    Intents,
    /// 4014.
    PrivilegedIntents,
    /// A code that twilight takes for final and we do not know.
    Other(u16),
}

impl Fatal {
    /// What a close code means.
    pub(crate) const fn of(code: u16) -> Self {
        match code {
            4004 => Self::Token,
            4010 | 4011 => Self::Shards(code),
            4012 => Self::Version,
            4013 => Self::Intents,
            4014 => Self::PrivilegedIntents,
            code => Self::Other(code),
        }
    }

    /// What it is and what to do, for whoever looks at `/ready`.
    pub(crate) fn fix(self) -> String {
        match self {
            Self::Token => {
                "Discord refuses the bot token (4004): put a current one into DISCORD_BOT_TOKEN and restart the bot".to_owned()
            }
            Self::Shards(code) => {
                format!("the bot is in more servers than one connection may serve ({code}): remove it from some, then restart it")
            }
            Self::Version => "Discord no longer speaks this version's protocol (4012): update Rolecall".to_owned(),
            Self::Intents => {
                "DISCORD_INTENTS holds something that Discord does not know (4013): mend it and restart the bot".to_owned()
            }
            Self::PrivilegedIntents => {
                "an intent is not switched on (4014): Developer Portal > Bot > Privileged Gateway Intents > Server Members \
                 Intent; it is looked at every 5 minutes"
                    .to_owned()
            }
            Self::Other(code) => format!("Discord closed the connection for good ({code}): see the log, then restart the bot"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_final_close_says_its_code_and_what_to_do_in_what_health_has_room_for() {
        for code in [4004, 4010, 4011, 4012, 4013, 4014, 4999] {
            let fix = Fatal::of(code).fix();
            assert!(fix.contains(&code.to_string()) && fix.len() <= 200, "{fix}");
        }
    }
}
