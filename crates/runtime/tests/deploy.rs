//! What `deploy` offers is what the services read, and the images say which build they are.
#![cfg(test)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use rolecall_runtime::env::{
    Service,
    registry::{GROUPS, Variable},
};

/// Variables that the compose file leaves alone, and why.
const LEFT_OUT: [(&str, &str); 6] = [
    ("HOST", "a container listens on every address it has"),
    ("PORT", "the image sets it, and the label for the proxy names it"),
    (
        "HEALTH_PORT",
        "the image sets it, and its health check asks there",
    ),
    ("STRIPE_API_BASE", "for tests"),
    ("DISCORD_API_BASE", "for tests"),
    ("DISCORD_GATEWAY_URL", "for tests"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn file(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The name before the colon of a line that is indented by so much.
fn key(line: &str, indent: usize) -> Option<(&str, &str)> {
    let rest = line.strip_prefix(&" ".repeat(indent))?;
    let (key, value) = rest.split_once(':')?;
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_-<".contains(letter);
    (!key.is_empty() && key.chars().all(plain)).then_some((key, value.trim()))
}

/// The variables of each service's container: enough of YAML for a file of our own.
fn environments(compose: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut anchors: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut services: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let (mut anchor, mut service, mut inside) = (None, String::new(), false);
    for line in compose.lines() {
        if let Some((name, value)) = key(line, 0) {
            anchor = value.strip_prefix('&').map(str::to_owned);
            inside = name == "services";
        } else if let Some((name, _)) = key(line, 2) {
            match &anchor {
                Some(anchor) => drop(anchors.entry(anchor.clone()).or_default().insert(name.to_owned())),
                None if inside => name.clone_into(&mut service),
                None => {}
            }
        } else if let Some((name, value)) = key(line, 6).filter(|_| inside) {
            let variables = services.entry(service.clone()).or_default();
            if name == "<<" {
                for used in value.split(|letter: char| !letter.is_ascii_alphanumeric()) {
                    variables.extend(anchors.get(used).into_iter().flatten().cloned());
                }
            } else {
                variables.insert(name.to_owned());
            }
        }
    }
    services
}

fn variables() -> impl Iterator<Item = &'static Variable> {
    GROUPS.iter().flat_map(|group| group.variables).copied()
}

#[test]
fn the_compose_file_hands_every_variable_to_who_reads_it_and_to_nobody_else() {
    let environments = environments(&file("deploy/compose.production.yml"));
    for service in [Service::Api, Service::Worker, Service::Bot] {
        let given = &environments[service.name()];
        for variable in variables() {
            let reads = variable.services.contains(&service);
            let left_out = LEFT_OUT.iter().any(|(name, _)| *name == variable.name);
            assert_eq!(
                given.contains(variable.name),
                reads && !left_out,
                "{service}: {}",
                variable.name
            );
        }
    }
    let migrate = &environments["migrate"];
    for secret in variables().filter(|variable| variable.is_secret()) {
        assert!(
            !migrate.contains(secret.name),
            "{} opens nothing there",
            secret.name
        );
    }
}

#[test]
fn the_template_of_production_env_names_what_the_compose_file_asks_for() {
    let compose = file("deploy/compose.production.yml");
    let asked: BTreeSet<&str> = compose
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .flat_map(|line| line.split("${").skip(1))
        .filter_map(|rest| rest.split([':', '}']).next())
        .collect();
    let template = file("deploy/production.env.example");
    let named: BTreeSet<&str> = template
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| Some(line.split_once('=')?.0))
        .collect();
    assert_eq!(asked, named);
}

#[test]
fn each_image_is_told_which_commit_it_is_built_from() {
    for service in [Service::Api, Service::Worker, Service::Bot] {
        let text = file(&format!("Dockerfile.{service}"));
        let (build, image) = text.rsplit_once("\nFROM ").unwrap();
        let (_, ours) = build.rsplit_once("\nCOPY . .\n").unwrap();
        assert!(
            ours.contains("ARG REVISION") && ours.contains("ROLECALL_COMMIT=\"$REVISION\" cargo build"),
            "{service}"
        );
        assert!(image.contains("ARG REVISION"), "{service}");
    }
}

/// All of our sources, to look for a name in.
fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_metric_that_an_alert_names_is_registered_by_a_service() {
    let mut code = String::new();
    for member in ["api", "worker", "bot", "queue", "runtime"] {
        sources(&root().join("crates").join(member).join("src"), &mut code);
    }
    let rules = file("deploy/prometheus/rules.yml");
    let names: BTreeSet<&str> = rules
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .flat_map(|line| line.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_'))
        .filter(|word| word.starts_with("rolecall_"))
        .collect();
    assert!(names.len() > 6, "{names:?}");
    for name in names {
        assert!(code.contains(&format!("\"{name}\"")), "nobody registers {name}");
    }
}
