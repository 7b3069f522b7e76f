//! The folder that private servers live in: `target/infra/<pid>`, or one under the system's temporary folder
//! where the servers' account cannot reach the target folder (a clone in root's home).

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::infra::account::Account;
use crate::process;

/// A folder of our own, removed on drop.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes a new folder that `account` owns and can reach.
    pub(crate) fn create(target: &Path, account: Account) -> Result<Self> {
        let preferred = target.join("infra");
        remove_abandoned(&preferred);
        let name = std::process::id().to_string();
        let places = [
            preferred.join(&name),
            std::env::temp_dir().join(format!("rolecall-infra-{name}")),
        ];
        for path in places {
            let scratch = Self::create_at(path, account)?;
            if account.can_use(&scratch.path) {
                return Ok(scratch);
            }
        }
        bail!("found no folder that the servers' account may write to; set TMPDIR to one that it can reach")
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn create_at(path: PathBuf, account: Account) -> Result<Self> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))?;
        }
        // Not `create_dir_all`: in a shared temporary folder it must be ours, and only ours.
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("make {}", path.display()))?;
        let scratch = Self { path };
        account.own(&scratch.path)?;
        Ok(scratch)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("xtask: {} stays behind: {error}", self.path.display());
        }
    }
}

/// Removes what a guard that was killed outright has left behind.
fn remove_abandoned(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        let owner = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let is_pid = owner.parse::<u32>().is_ok();
        if is_pid && !is_alive(owner) && fs::remove_dir_all(&path).is_err() {
            eprintln!("xtask: could not remove the abandoned {}", path.display());
        }
    }
}

fn is_alive(pid: &str) -> bool {
    process::output(Command::new("sh").args(["-c", r#"kill -0 "$1""#, "sh", pid])).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scratch_folder_is_usable_while_it_lives_and_gone_after() {
        let target = std::env::temp_dir().join(format!("rolecall-scratch-test-{}", std::process::id()));
        let account = Account::choose().unwrap();
        let scratch = Scratch::create(&target, account).unwrap();
        let path = scratch.path().to_path_buf();
        assert!(account.can_use(&path));
        drop(scratch);
        assert!(!path.exists());
        fs::remove_dir_all(&target).unwrap();
    }

    #[test]
    fn the_folder_of_a_dead_process_is_removed_and_that_of_a_live_one_kept() {
        let folder = std::env::temp_dir().join(format!("rolecall-abandoned-test-{}", std::process::id()));
        let mut child = Command::new("true").spawn().unwrap();
        let dead = folder.join(child.id().to_string());
        child.wait().unwrap();
        let live = folder.join(std::process::id().to_string());
        fs::create_dir_all(&dead).unwrap();
        fs::create_dir_all(&live).unwrap();
        remove_abandoned(&folder);
        assert!(!dead.exists());
        assert!(live.exists());
        fs::remove_dir_all(&folder).unwrap();
    }
}
