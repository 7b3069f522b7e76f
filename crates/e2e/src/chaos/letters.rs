//! What people were written, by mail and by Discord, each message under the id of its row in the record.

use std::collections::{BTreeMap, BTreeSet};

use rolecall_sandbox::{discord, mail};

/// Everything that was written by one way, and what there was to write.
#[derive(Debug, Default)]
pub(crate) struct Letters {
    /// Ids by person and kind. A sender that is killed before it could note what it sent sends again under the same
    /// id, by which mail servers, and Discord for some minutes, know the letter.
    got: BTreeMap<(String, String), BTreeSet<String>>,
    /// How many came again under the same id.
    pub(crate) repeated: usize,
    /// How many nobody took.
    pub(crate) refused: usize,
    /// Letters that are nobody's, and ones that never came.
    pub(crate) faults: Vec<String>,
}

/// A letter as it came.
#[derive(Debug)]
pub(crate) struct Letter {
    id: String,
    /// An address, or a Discord account.
    to: String,
    says: String,
}

/// What somebody has to be written about, by what Stripe says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Causes {
    /// How often they subscribed.
    pub(crate) subscriptions: usize,
    /// How many payments failed.
    pub(crate) debts: usize,
    /// Whether they have access now.
    pub(crate) pays: bool,
}

impl Letter {
    /// One for each who received the mail.
    pub(crate) fn mailed(message: &mail::message::Message) -> impl Iterator<Item = Self> {
        let header = message
            .headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("message-id"));
        // `<id@domain>`
        let id = header.map_or("", |(_, id)| id.trim().trim_start_matches('<'));
        let id = id.split('@').next().unwrap_or_default();
        message.envelope_to.iter().map(|to| Self {
            id: id.to_owned(),
            to: to.clone(),
            says: message.subject.clone(),
        })
    }

    /// A direct message to somebody.
    pub(crate) fn direct(message: discord::state::channels::Message, user: u64) -> Self {
        Self {
            id: message.nonce.unwrap_or_default(),
            to: user.to_string(),
            says: message.content,
        }
    }
}

impl Letters {
    /// The letters in the record: id, kind, state.
    pub(crate) const BY_MAIL: &'static str =
        "SELECT id || ' ' || kind || ' ' || state FROM notifications WHERE channel = 'mail'";

    /// The same for direct messages: what the bot makes their nonces of, kind, state.
    pub(crate) const BY_DISCORD: &'static str = "SELECT right(replace(id::text, '-', ''), 25) || ' ' || kind || ' ' || \
         state FROM notifications WHERE channel = 'discord'";

    pub(crate) fn read(recorded: &[String], came: impl IntoIterator<Item = Letter>) -> Self {
        let mut letters = Self::default();
        let mut kinds = BTreeMap::new();
        let mut sent = BTreeSet::new();
        for row in recorded {
            let mut words = row.split(' ');
            let (Some(id), Some(kind), Some(state)) = (words.next(), words.next(), words.next()) else {
                continue;
            };
            kinds.insert(id, kind);
            match state {
                "sent" => drop(sent.insert(id)),
                "undeliverable" => letters.refused += 1,
                _ => {}
            }
        }
        for letter in came {
            let Letter { id, to, says } = letter;
            sent.remove(id.as_str());
            let Some(kind) = kinds.get(id.as_str()) else {
                letters
                    .faults
                    .push(format!("a letter to {to} that is not in the record: {says}"));
                continue;
            };
            let of_this_kind = letters.got.entry((to, (*kind).to_owned())).or_default();
            letters.repeated += usize::from(!of_this_kind.insert(id));
        }
        let never = sent
            .into_iter()
            .map(|id| format!("the letter {id} was noted as sent and never came"));
        letters.faults.extend(never);
        letters
    }

    /// How many different ones there are.
    pub(crate) fn different(&self) -> usize {
        self.got.values().map(BTreeSet::len).sum()
    }

    /// What somebody got too often.
    pub(crate) fn too_many(&self, to: &str, causes: Causes) -> Option<String> {
        let mut theirs = self.got.iter().filter(|((whose, _), _)| whose == to);
        let too_many = theirs.find(|((_, kind), ids)| {
            let most = match kind.as_str() {
                "welcome" => causes.subscriptions,
                "payment_failed" | "payment_action_required" | "payment_recovered" => causes.debts,
                // The others speak of days that have not passed.
                _ => 0,
            };
            ids.len() > most
        });
        too_many.map(|((_, kind), ids)| format!("{} letters of the kind {kind}, with {causes:?}", ids.len()))
    }

    /// Whether somebody got one of this kind.
    pub(crate) fn has(&self, to: &str, kind: &str) -> bool {
        self.got.contains_key(&(to.to_owned(), kind.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: &str = "ada@example.test";

    const CAUSES: Causes = Causes {
        subscriptions: 1,
        debts: 0,
        pays: true,
    };

    fn read(recorded: &[&str], came: &[&str]) -> Letters {
        let recorded: Vec<String> = recorded.iter().map(|row| (*row).to_owned()).collect();
        let letter = |id: &&str| Letter {
            id: (*id).to_owned(),
            to: ADA.to_owned(),
            says: String::new(),
        };
        Letters::read(&recorded, came.iter().map(letter))
    }

    #[test]
    fn a_letter_under_the_same_id_is_the_same_letter_and_one_under_another_is_one_too_many() {
        let same = read(&["a welcome sent"], &["a", "a"]);
        assert_eq!((same.faults.len(), same.repeated), (0, 1));
        assert_eq!(same.too_many(ADA, CAUSES), None);
        let two = read(&["a welcome sent", "b welcome sent"], &["a", "b"]);
        assert!(two.too_many(ADA, CAUSES).is_some());
    }

    #[test]
    fn a_letter_that_was_lost_or_came_from_nowhere_is_a_fault() {
        assert_eq!(read(&["a welcome sent"], &[]).faults.len(), 1);
        assert_eq!(read(&[], &["a"]).faults.len(), 1);
        assert!(read(&["a welcome sent"], &["a"]).has(ADA, "welcome"));
        assert!(!read(&["a welcome due"], &[]).has(ADA, "welcome"));
    }
}
