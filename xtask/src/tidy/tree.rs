//! What the checks look at: every text file of the project, and its packages.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::workspace::{Package, Workspace};

/// Hidden folders that belong to the project; all others are somebody's tools.
const HIDDEN: [&str; 5] = [".cargo", ".ci", ".config", ".github", ".sqlx"];

/// The project as a map of paths.
#[derive(Debug)]
pub(crate) struct Tree {
    /// By path relative to the root; what is not UTF-8 is kept as an empty text, so that it exists.
    files: BTreeMap<String, String>,
    /// Our packages.
    pub(crate) packages: Vec<Package>,
}

impl Tree {
    /// Reads everything from disk.
    pub(crate) fn load(workspace: &Workspace) -> Result<Self> {
        let mut tree = Self {
            files: BTreeMap::new(),
            packages: workspace.packages.clone(),
        };
        tree.add(&workspace.root, &workspace.root, &workspace.target)?;
        Ok(tree)
    }

    /// All files.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The files whose name ends with `suffix`.
    pub(crate) fn ending(&self, suffix: &str) -> impl Iterator<Item = (&str, &str)> {
        self.files().filter(move |(path, _)| path.ends_with(suffix))
    }

    /// The text of one file.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Whether there is such a file or folder.
    pub(crate) fn exists(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let inside = format!("{path}/");
        self.files.contains_key(path) || self.files.keys().any(|file| file.starts_with(&inside))
    }

    fn add(&mut self, folder: &Path, root: &Path, target: &Path) -> Result<()> {
        for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
            let entry = entry?;
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type()?.is_file() {
                let relative = path.strip_prefix(root)?.to_string_lossy().into_owned();
                self.files
                    .insert(relative, fs::read_to_string(&path).unwrap_or_default());
            } else if entry.file_type()?.is_dir() && is_ours(&name) && path != target {
                self.add(&path, root, target)?;
            }
        }
        Ok(())
    }
}

fn is_ours(folder: &str) -> bool {
    folder != "target" && (!folder.starts_with('.') || HIDDEN.contains(&folder))
}

#[cfg(test)]
impl Tree {
    /// A tree made up for a test.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let files = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        Self {
            files: files.collect(),
            packages: Vec::new(),
        }
    }
}
