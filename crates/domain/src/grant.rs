//! What a grant by hand must be before it is given.

use chrono::{DateTime, SecondsFormat, Utc};

use crate::catalog::{Catalog, PlanSlug};

/// The longest reason, in characters.
pub const LONGEST_REASON: usize = 500;

/// A grant that may be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gift {
    /// What is given.
    pub plan: PlanSlug,
    /// Why, for everybody who asks later.
    pub reason: String,
    /// Until when; `None` for ever.
    pub ends_at: Option<DateTime<Utc>>,
}

/// Why a grant may not be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrantFault {
    /// The catalog has no such plan.
    #[error("there is no plan {plan:?}; {known}")]
    UnknownPlan {
        /// As it was asked for.
        plan: String,
        /// What there is, in words.
        known: String,
    },
    /// Nobody could say later why it was given.
    #[error("a reason is missing: say why it is given, for whoever looks at it later")]
    NoReason,
    /// A reason is a sentence, not a file.
    #[error("the reason has {length} characters, and {LONGEST_REASON} have to be enough")]
    LongReason {
        /// How many it has.
        length: usize,
    },
    /// It would be over before it begins.
    #[error("it would end at {}, which is not in the future", .ends_at.to_rfc3339_opts(SecondsFormat::AutoSi, true))]
    Past {
        /// The end that was asked for.
        ends_at: DateTime<Utc>,
    },
}

/// Checks what was asked for. A plan that is no longer sold may still be given.
pub fn check(
    catalog: &Catalog,
    plan: &str,
    reason: &str,
    ends_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<Gift, GrantFault> {
    let slug: Option<PlanSlug> = plan.parse().ok();
    let plan = slug
        .filter(|slug| catalog.plans.contains_key(slug))
        .ok_or_else(|| GrantFault::UnknownPlan {
            plan: plan.to_owned(),
            known: known_plans(catalog),
        })?;
    let reason = check_reason(reason)?;
    if let Some(ends_at) = ends_at.filter(|end| *end <= now) {
        return Err(GrantFault::Past { ends_at });
    }
    Ok(Gift {
        plan,
        reason,
        ends_at,
    })
}

/// A reason without blanks around it.
pub fn check_reason(reason: &str) -> Result<String, GrantFault> {
    let reason = reason.trim();
    let length = reason.chars().count();
    if length == 0 {
        return Err(GrantFault::NoReason);
    }
    if length > LONGEST_REASON {
        return Err(GrantFault::LongReason { length });
    }
    Ok(reason.to_owned())
}

fn known_plans(catalog: &Catalog) -> String {
    if catalog.plans.is_empty() {
        return "none has been applied yet".to_owned();
    }
    let slugs: Vec<&str> = catalog.plans.keys().map(PlanSlug::as_str).collect();
    format!("there is {}", slugs.join(", "))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use chrono::TimeDelta;

    use super::*;
    use crate::catalog::{EndPolicy, Plan, PlanKind};

    fn now() -> DateTime<Utc> {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn catalog() -> Catalog {
        let plan = Plan {
            slug: "council".parse().unwrap(),
            name: "Council".to_owned(),
            kind: PlanKind::Individual,
            prices: BTreeSet::new(),
            grace: None,
            paused_keeps_access: false,
            trial_days: 0,
            end: EndPolicy::Remove,
            roles: BTreeSet::new(),
            archived: true,
        };
        Catalog {
            plans: [(plan.slug.clone(), plan)].into(),
            ..Catalog::default()
        }
    }

    fn try_with(plan: &str, reason: &str, ends_at: Option<DateTime<Utc>>) -> Result<Gift, GrantFault> {
        check(&catalog(), plan, reason, ends_at, now())
    }

    #[test]
    fn a_grant_of_a_known_plan_with_a_reason_is_good_for_ever_or_for_a_time() {
        let gift = try_with("council", "  speaker in May \n", None).unwrap();
        assert_eq!(
            (gift.plan.as_str(), gift.reason.as_str(), gift.ends_at),
            ("council", "speaker in May", None)
        );
        let soon = now() + TimeDelta::microseconds(1);
        assert_eq!(try_with("council", "x", Some(soon)).unwrap().ends_at, Some(soon));
    }

    #[test]
    fn what_may_not_be_given_is_refused_in_words_that_say_what_to_do() {
        let fault =
            |plan: &str, reason: &str, ends_at| try_with(plan, reason, ends_at).unwrap_err().to_string();
        assert_eq!(
            fault("patron", "x", None),
            "there is no plan \"patron\"; there is council"
        );
        assert!(fault("Not a slug", "x", None).starts_with("there is no plan"));
        assert!(fault("council", " \t", None).starts_with("a reason is missing"));
        assert!(fault("council", &"x".repeat(501), None).contains("501 characters"));
        assert_eq!(
            fault("council", "x", Some(now())),
            "it would end at 2026-11-21T12:00:00Z, which is not in the future"
        );
        let none = check(&Catalog::default(), "council", "x", None, now()).unwrap_err();
        assert!(none.to_string().contains("none has been applied yet"), "{none}");
    }
}
