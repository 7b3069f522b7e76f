//! What `cargo metadata` says about this workspace: where it lies, its packages and their edges.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::process;

/// The workspace this command was called in.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// Where the root manifest lies.
    pub(crate) root: PathBuf,
    /// Where cargo builds; honours `CARGO_TARGET_DIR`.
    pub(crate) target: PathBuf,
    /// Our own packages.
    pub(crate) packages: Vec<Package>,
}

/// One of our packages.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    /// Its name, such as `rolecall-db`.
    pub(crate) name: String,
    /// Its folder, relative to the root.
    pub(crate) folder: String,
    /// The names of all packages it names as dependencies, of every kind.
    pub(crate) dependencies: Vec<String>,
    /// The root source file of each target, relative to the root.
    pub(crate) entry_points: Vec<String>,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn locate() -> Result<Self> {
        let mut command = Command::new("cargo");
        let text = process::output(command.args(["metadata", "--format-version", "1", "--no-deps"]))?;
        Self::parse(&text).context("read the answer of cargo metadata")
    }

    fn parse(text: &str) -> Result<Self> {
        let metadata: Value = serde_json::from_str(text)?;
        let root = PathBuf::from(string(&metadata, "workspace_root")?);
        let target = PathBuf::from(string(&metadata, "target_directory")?);
        let packages = list(&metadata, "packages").map(|package| Package::parse(package, &root));
        Ok(Self {
            packages: packages.collect::<Result<_>>()?,
            root,
            target,
        })
    }

    /// A cargo command in the workspace's root.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new("cargo");
        command.current_dir(&self.root);
        command
    }

    /// The command that builds the services, the simulators and the demo. It selects the whole workspace, as the
    /// tests do, because another selection has other features and would build the dependencies once more.
    pub(crate) fn build_programs(&self) -> Command {
        let mut command = self.cargo();
        command.args(["build", "--workspace", "--exclude", "xtask", "--bins"]);
        command
    }

    /// Where `cargo build` puts a binary of the development profile.
    pub(crate) fn binary(&self, name: &str) -> PathBuf {
        self.target.join("debug").join(name)
    }
}

impl Package {
    fn parse(value: &Value, root: &Path) -> Result<Self> {
        let manifest = PathBuf::from(string(value, "manifest_path")?);
        let folder = manifest.parent().context("manifest_path has no folder")?;
        Ok(Self {
            name: string(value, "name")?.to_owned(),
            folder: relative(folder, root)?,
            dependencies: list(value, "dependencies")
                .map(|dependency| Ok(string(dependency, "name")?.to_owned()))
                .collect::<Result<_>>()?,
            entry_points: list(value, "targets")
                .map(|target| relative(Path::new(string(target, "src_path")?), root))
                .collect::<Result<_>>()?,
        })
    }
}

fn relative(path: &Path, root: &Path) -> Result<String> {
    let inside = path
        .strip_prefix(root)
        .with_context(|| format!("{} lies outside", path.display()))?;
    Ok(inside.to_string_lossy().into_owned())
}

fn string<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value
        .get(key)
        .and_then(Value::as_str)
        .with_context(|| format!("no `{key}`"))
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_metadata_becomes_paths_relative_to_the_root() {
        let text = r#"{"workspace_root":"/w","target_directory":"/t","packages":[{"name":"a",
            "manifest_path":"/w/crates/a/Cargo.toml","dependencies":[{"name":"serde"}],
            "targets":[{"src_path":"/w/crates/a/src/lib.rs"}]}]}"#;
        let workspace = Workspace::parse(text).unwrap();
        let package = &workspace.packages[0];
        assert_eq!(package.folder, "crates/a");
        assert_eq!(package.dependencies, ["serde"]);
        assert_eq!(package.entry_points, ["crates/a/src/lib.rs"]);
        assert_eq!(workspace.binary("x"), PathBuf::from("/t/debug/x"));
    }
}
