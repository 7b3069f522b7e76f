//! The letters that people got, each under the id of its row in the record.

use std::collections::{BTreeMap, BTreeSet};

use rolecall_sandbox::mail::message::Message;

/// Everything that was written, and what there was to write.
#[derive(Debug, Default)]
pub(crate) struct Letters {
    /// Ids by person and kind. A sender that is killed before it could note what it sent sends again under the same
    /// id, by which mail servers know the letter.
    got: BTreeMap<(String, String), BTreeSet<String>>,
    /// How many came again under the same id.
    pub(crate) repeated: usize,
    /// Letters that are nobody's, and ones that never came.
    pub(crate) faults: Vec<String>,
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

impl Letters {
    /// The letters in the record: id, kind, state.
    pub(crate) const RECORD: &'static str =
        "SELECT id || ' ' || kind || ' ' || state FROM notifications WHERE channel = 'mail'";

    pub(crate) fn read(recorded: &[String], messages: &[Message]) -> Self {
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
                "undeliverable" => letters.faults.push(format!("the letter {row}")),
                _ => {}
            }
        }
        for message in messages {
            let id = id_of(message);
            sent.remove(id);
            let Some(kind) = kinds.get(id) else {
                letters
                    .faults
                    .push(format!("a letter that is not in the record: {}", message.subject));
                continue;
            };
            for to in &message.envelope_to {
                let of_this_kind = letters.got.entry((to.clone(), (*kind).to_owned())).or_default();
                letters.repeated += usize::from(!of_this_kind.insert(id.to_owned()));
            }
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

    /// What somebody got too often, or lacks.
    pub(crate) fn wrong(&self, email: &str, causes: Causes) -> Option<String> {
        let theirs = self.got.iter().filter(|((to, _), _)| to == email);
        let too_many = theirs.clone().find(|((_, kind), ids)| {
            let most = match kind.as_str() {
                "welcome" => causes.subscriptions,
                "payment_failed" | "payment_action_required" | "payment_recovered" => causes.debts,
                // The others speak of days that have not passed.
                _ => 0,
            };
            ids.len() > most
        });
        if let Some(((_, kind), ids)) = too_many {
            return Some(format!(
                "{} letters of the kind {kind}, with {causes:?}",
                ids.len()
            ));
        }
        let welcomed = theirs.clone().any(|((_, kind), _)| kind == "welcome");
        (causes.pays && !welcomed).then(|| "was never welcomed".to_owned())
    }
}

/// The id in `<id@domain>`.
fn id_of(message: &Message) -> &str {
    let header = message
        .headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("message-id"));
    let id = header.map_or("", |(_, id)| id.trim().trim_start_matches('<'));
    id.split('@').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAUSES: Causes = Causes {
        subscriptions: 1,
        debts: 0,
        pays: true,
    };

    fn message(id: &str) -> Message {
        Message {
            id: 1,
            received_at: 0,
            envelope_from: String::new(),
            envelope_to: vec!["ada@example.test".to_owned()],
            from: String::new(),
            to: String::new(),
            subject: String::new(),
            headers: vec![("Message-ID".to_owned(), format!("<{id}@example.test>"))],
            text: None,
            html: None,
            raw: String::new(),
        }
    }

    fn read(recorded: &[&str], messages: &[&str]) -> Letters {
        let recorded: Vec<String> = recorded.iter().map(|row| (*row).to_owned()).collect();
        let messages: Vec<Message> = messages.iter().map(|id| message(id)).collect();
        Letters::read(&recorded, &messages)
    }

    #[test]
    fn a_letter_under_the_same_id_is_the_same_letter_and_one_under_another_is_one_too_many() {
        let same = read(&["a welcome sent"], &["a", "a"]);
        assert_eq!((same.faults.len(), same.repeated), (0, 1));
        assert_eq!(same.wrong("ada@example.test", CAUSES), None);
        let two = read(&["a welcome sent", "b welcome sent"], &["a", "b"]);
        assert!(two.wrong("ada@example.test", CAUSES).is_some());
    }

    #[test]
    fn a_letter_that_was_lost_or_came_from_nowhere_is_a_fault() {
        assert_eq!(read(&["a welcome sent"], &[]).faults.len(), 1);
        assert_eq!(read(&[], &["a"]).faults.len(), 1);
        assert!(read(&[], &[]).wrong("ada@example.test", CAUSES).is_some());
    }
}
