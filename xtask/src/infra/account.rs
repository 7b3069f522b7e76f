//! The account that the servers run under: Postgres refuses to run as root.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::process;

/// Our own account, or an unprivileged one where ours is root.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Account {
    ids: Option<(u32, u32)>,
}

impl Account {
    /// Debian's package makes `postgres`; every Unix has `nobody`.
    pub(crate) fn choose() -> Result<Self> {
        if !process::is_root() {
            return Ok(Self { ids: None });
        }
        let ids = ids_of("postgres").or_else(|_| ids_of("nobody"))?;
        Ok(Self { ids: Some(ids) })
    }

    /// A command that runs under this account, in `folder`.
    pub(crate) fn command(self, program: impl AsRef<std::ffi::OsStr>, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(folder).env("HOME", folder);
        if let Some((user, group)) = self.ids {
            command.uid(user).gid(group);
        }
        command
    }

    /// Makes this account the owner of `path`.
    pub(crate) fn own(self, path: &Path) -> Result<()> {
        let Some((user, group)) = self.ids else {
            return Ok(());
        };
        chown(path, Some(user), Some(group)).with_context(|| format!("give {} away", path.display()))
    }

    /// Whether this account gets as far as `folder` and may write there.
    pub(crate) fn can_use(self, folder: &Path) -> bool {
        let mut command = self.command("sh", Path::new("/"));
        let status = command
            .args(["-c", r#"cd "$1" 2>/dev/null && test -w ."#, "sh"])
            .arg(folder)
            .status();
        status.is_ok_and(|status| status.success())
    }
}

fn ids_of(name: &str) -> Result<(u32, u32)> {
    let id = |flag: &str| -> Result<u32> {
        Ok(process::output(Command::new("id").args([flag, name]))?
            .trim()
            .parse()?)
    };
    Ok((id("-u")?, id("-g")?))
}
