//! `cargo xtask prepare`: renews what is generated and committed, `.sqlx` (the types of every SQL statement, so
//! that a build needs no database), `.env.example` and the page about standings; with `--check` it only
//! compares.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail};

use crate::infra::Infra;
use crate::process;
use crate::workspace::Workspace;

/// The one package with SQL in it.
const SQL_PACKAGE: &str = "rolecall-db";
const QUERIES: &str = ".sqlx";
const MIGRATIONS: &str = "migrations";
/// Texts that a package prints about itself: the file, the package and its example.
const PRINTED: [(&str, &str, &str); 2] = [
    (".env.example", "rolecall-runtime", "env_example"),
    ("docs/standings.md", "rolecall-domain", "standings"),
];
const RENEW: &str = "run `cargo xtask prepare` and commit what it writes";

/// File names and what is in them.
type Files = BTreeMap<String, String>;

/// Writes, or with `check` compares, all of it.
pub(crate) fn run(workspace: &Workspace, check: bool) -> Result<()> {
    let queries = describe_queries(workspace)?;
    let folder = workspace.root.join(QUERIES);
    if check {
        compare(&read(&folder)?, &queries)?;
    } else {
        replace(&folder, &queries)?;
        println!("wrote {} statements to {QUERIES}", queries.len());
    }
    for (file, package, example) in PRINTED {
        let text = printed(workspace, package, example)?;
        let path = workspace.root.join(file);
        if !check {
            fs::write(&path, text)?;
            println!("wrote {file}");
        } else if fs::read_to_string(&path).unwrap_or_default() != text {
            bail!("{file} is out of date: {RENEW}");
        }
    }
    if check {
        println!("what is generated is up to date");
    }
    Ok(())
}

/// Has sqlx's macros ask a fresh, migrated database about every statement. They do so while they are compiled,
/// and write what they learn to `SQLX_OFFLINE_DIR`.
fn describe_queries(workspace: &Workspace) -> Result<Files> {
    let infra = Infra::start(workspace)?.with_fresh_database("rolecall_prepare")?;
    migrate(&workspace.root.join(MIGRATIONS), &infra)?;
    let answers = workspace.target.join("prepare").join("sqlx");
    if answers.exists() {
        fs::remove_dir_all(&answers)?;
    }
    fs::create_dir_all(&answers)?;
    touch_entry_points(workspace)?;
    process::run(
        infra
            .pass_to(&mut workspace.cargo())
            .args(["check", "--package", SQL_PACKAGE, "--all-targets"])
            .env("SQLX_OFFLINE", "false")
            .env("SQLX_OFFLINE_DIR", &answers),
    )?;
    read(&answers)
}

/// Applies the migrations in the order of their names, each in a transaction unless it says otherwise, as
/// sqlx's migrator does.
fn migrate(folder: &Path, infra: &Infra) -> Result<()> {
    for path in entries(folder)? {
        if path.extension().is_none_or(|extension| extension != "sql") {
            continue;
        }
        let sql = fs::read_to_string(&path)?;
        let mut psql = infra.psql();
        if !sql.starts_with("-- no-transaction") {
            psql.arg("--single-transaction");
        }
        process::output(psql.arg("--file").arg(&path))
            .with_context(|| format!("apply {}", path.display()))?;
    }
    Ok(())
}

/// Cargo sees no reason to compile again what has not changed, and the macros only speak when compiled.
#[expect(
    clippy::disallowed_methods,
    reason = "a file's time of change is the system's own"
)]
fn touch_entry_points(workspace: &Workspace) -> Result<()> {
    let package = workspace
        .packages
        .iter()
        .find(|package| package.name == SQL_PACKAGE);
    for path in &package.context("the package with the SQL is gone")?.entry_points {
        File::options()
            .append(true)
            .open(workspace.root.join(path))?
            .set_modified(SystemTime::now())?;
    }
    Ok(())
}

/// What an example of a package prints.
fn printed(workspace: &Workspace, package: &str, example: &str) -> Result<String> {
    let run = ["run", "--quiet", "--package", package, "--example", example];
    process::output(workspace.cargo().args(run))
}

fn compare(committed: &Files, described: &Files) -> Result<()> {
    let missing = described
        .keys()
        .filter(|name| !committed.contains_key(*name))
        .count();
    let left_over = committed
        .keys()
        .filter(|name| !described.contains_key(*name))
        .count();
    let changed = described
        .iter()
        .filter(|(name, text)| committed.get(*name).is_some_and(|old| old != *text));
    let changed = changed.count();
    if missing + left_over + changed > 0 {
        bail!("{QUERIES}: {missing} statements missing, {left_over} left over, {changed} changed: {RENEW}");
    }
    Ok(())
}

fn replace(folder: &Path, files: &Files) -> Result<()> {
    fs::create_dir_all(folder)?;
    for name in read(folder)?.keys().filter(|name| !files.contains_key(*name)) {
        fs::remove_file(folder.join(name))?;
    }
    for (name, text) in files {
        fs::write(folder.join(name), text)?;
    }
    Ok(())
}

fn read(folder: &Path) -> Result<Files> {
    let mut files = Files::new();
    for path in entries(folder)? {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        files.insert(name, fs::read_to_string(&path)?);
    }
    Ok(files)
}

/// The files of a folder, sorted; none if there is no such folder.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(entries: &[(&str, &str)]) -> Files {
        entries
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect()
    }

    #[test]
    fn missing_left_over_and_changed_statements_are_each_counted() {
        let committed = files(&[("same", "1"), ("changed", "1"), ("old", "1")]);
        let described = files(&[("same", "1"), ("changed", "2"), ("new", "1")]);
        let error = compare(&committed, &described).unwrap_err().to_string();
        assert!(
            error.contains("1 statements missing, 1 left over, 1 changed"),
            "{error}"
        );
        compare(&described, &described).unwrap();
    }

    #[test]
    fn replacing_leaves_exactly_the_described_statements() {
        let folder = std::env::temp_dir().join(format!("rolecall-prepare-test-{}", std::process::id()));
        replace(&folder, &files(&[("old", "1"), ("kept", "1")])).unwrap();
        let described = files(&[("kept", "2"), ("new", "1")]);
        replace(&folder, &described).unwrap();
        assert_eq!(read(&folder).unwrap(), described);
        fs::remove_dir_all(&folder).unwrap();
    }
}
