//! Who may depend on whom. A new edge between our packages needs an ADR; a foreign package that is named here
//! has one place where it is used, so that it can be replaced there. Dependencies for tests count.

use crate::tidy::{Fault, Tree};
use crate::workspace::Package;

/// For each of our packages, which others of ours it may use.
const OURS: [(&str, &[&str]); 13] = [
    ("rolecall-domain", &[]),
    ("rolecall-queue", &["domain"]),
    ("rolecall-stripe", &["domain"]),
    ("rolecall-discord", &["domain"]),
    ("rolecall-runtime", &["domain"]),
    ("rolecall-db", &["domain", "queue"]),
    (
        "rolecall-api",
        &["domain", "queue", "stripe", "discord", "runtime", "db", "sandbox"],
    ),
    // Its tests, the api's and the bot's are held against the simulators, which know nothing of ours.
    (
        "rolecall-worker",
        &["domain", "queue", "stripe", "runtime", "db", "sandbox"],
    ),
    // No database and no Stripe: the bot holds the Discord token and nothing else worth stealing.
    (
        "rolecall-bot",
        &["domain", "queue", "discord", "runtime", "sandbox"],
    ),
    ("rolecall-cli", &["domain", "queue", "stripe", "runtime", "db"]),
    // The other side of the wire: written from the platforms' specifications, not from our reading of them.
    ("rolecall-sandbox", &[]),
    // Its tests borrow the private PgBouncer of `db`; what is true of the services they see from outside.
    ("rolecall-e2e", &["sandbox", "db"]),
    ("xtask", &[]),
];

/// For each foreign package, by the beginning of its name, who may use it.
const FOREIGN: [(&str, &[&str]); 6] = [
    ("sqlx", &["rolecall-db"]),
    ("async-stripe", &["rolecall-stripe"]),
    ("twilight-", &["rolecall-discord", "rolecall-bot"]),
    ("lettre", &["rolecall-worker"]),
    ("openssl", &[]),
    ("native-tls", &[]),
];

pub(crate) fn check(tree: &Tree) -> Vec<Fault> {
    tree.packages.iter().flat_map(check_package).collect()
}

fn check_package(package: &Package) -> Vec<Fault> {
    let manifest = format!("{}/Cargo.toml", package.folder);
    let Some((_, allowed)) = OURS.iter().find(|(name, _)| *name == package.name) else {
        return vec![Fault::in_file(
            &manifest,
            "a new package: give it its edges in `xtask/src/tidy/edges.rs`",
        )];
    };
    let forbidden = package
        .dependencies
        .iter()
        .filter(|name| !is_allowed(&package.name, name, allowed));
    forbidden
        .map(|name| Fault::in_file(&manifest, format!("may not depend on {name}")))
        .collect()
}

fn is_allowed(package: &str, dependency: &str, allowed: &[&str]) -> bool {
    if let Some(ours) = dependency.strip_prefix("rolecall-") {
        return allowed.contains(&ours);
    }
    let owners = FOREIGN.iter().find(|(prefix, _)| dependency.starts_with(prefix));
    owners.is_none_or(|(_, owners)| owners.contains(&package))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(name: &str, dependencies: &[&str]) -> Vec<String> {
        let mut tree = Tree::of(&[]);
        tree.packages.push(Package {
            name: name.to_owned(),
            folder: "crates/x".to_owned(),
            dependencies: dependencies.iter().map(|name| (*name).to_owned()).collect(),
            entry_points: Vec::new(),
        });
        check(&tree).into_iter().map(|fault| fault.problem).collect()
    }

    #[test]
    fn the_bot_may_use_the_queue_but_not_the_database() {
        assert!(problems("rolecall-bot", &["rolecall-queue", "serde"]).is_empty());
        assert_eq!(
            problems("rolecall-bot", &["rolecall-db"]),
            ["may not depend on rolecall-db"]
        );
    }

    #[test]
    fn a_foreign_package_is_used_by_its_owner_only() {
        assert!(problems("rolecall-db", &["sqlx"]).is_empty());
        assert_eq!(problems("rolecall-api", &["sqlx"]), ["may not depend on sqlx"]);
        assert_eq!(
            problems("rolecall-worker", &["twilight-model"]),
            ["may not depend on twilight-model"]
        );
    }

    #[test]
    fn a_package_without_a_row_is_a_fault() {
        assert_eq!(problems("rolecall-new", &[]).len(), 1);
    }
}
