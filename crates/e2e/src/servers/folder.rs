//! A folder for servers' data and logs, below the system's temporary folder: the servers' account can get there,
//! which it cannot into a clone in somebody's home.

use std::{
    fs::{self, DirBuilder, File},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::Context;

use crate::servers::account::Account;

/// A folder of our own, removed on drop.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    pub(crate) account: Account,
}

impl Folder {
    /// Makes the folder for a stack of this name.
    pub fn create(name: &str) -> anyhow::Result<Self> {
        let account = Account::choose()?;
        let path = std::env::temp_dir().join(format!("rolecall-{name}-{}", std::process::id()));
        // Not `create_dir_all`: in a shared temporary folder it must be ours, and only ours.
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.with_context(|| format!("make {}", path.display()))?;
        let folder = Self { path, account };
        account.own(&folder.path)?;
        Ok(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A log in it, to append to.
    pub(crate) fn log(&self, name: &str) -> anyhow::Result<(Stdio, Stdio)> {
        let path = self.path.join(name);
        let open = || -> anyhow::Result<File> {
            let file = File::options().create(true).append(true).open(&path);
            file.with_context(|| format!("open {}", path.display()))
        };
        Ok((open()?.into(), open()?.into()))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left behind lies in the temporary folder, and is in nobody's way.
        let _ = fs::remove_dir_all(&self.path);
    }
}
