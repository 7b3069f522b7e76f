//! The account that servers run under: Postgres refuses to run as root.

use std::{
    os::unix::fs::{MetadataExt, chown},
    path::Path,
    process::Command,
};

use anyhow::{Context, bail};

/// Our own account, or an unprivileged one where ours is root.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Account {
    ids: Option<(u32, u32)>,
}

impl Account {
    /// Debian's package makes `postgres`; every Unix has `nobody`.
    pub(crate) fn choose() -> anyhow::Result<Self> {
        // The folder of this very process belongs to whom it runs as.
        let ours = std::fs::metadata("/proc/self").context("see who this process runs as")?;
        let ids = match ours.uid() {
            0 => Some(ids_of("postgres").or_else(|_| ids_of("nobody"))?),
            _ => None,
        };
        Ok(Self { ids })
    }

    /// A command that runs under this account in `folder`, and dies with the thread that started it, so that a
    /// test that is killed leaves no server behind.
    pub(crate) fn command(self, program: &Path, folder: &Path) -> tokio::process::Command {
        let mut command = tokio::process::Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        if let Some((user, group)) = self.ids {
            command.args(["--reuid", &user.to_string(), "--regid", &group.to_string()]);
            command.arg("--clear-groups");
        }
        command
            .arg(program)
            .current_dir(folder)
            .env("HOME", folder)
            .kill_on_drop(true);
        command
    }

    /// Makes this account the owner of `path`.
    pub(crate) fn own(self, path: &Path) -> anyhow::Result<()> {
        let Some((user, group)) = self.ids else {
            return Ok(());
        };
        chown(path, Some(user), Some(group)).with_context(|| format!("give {} away", path.display()))
    }
}

fn ids_of(name: &str) -> anyhow::Result<(u32, u32)> {
    let id = |flag: &str| -> anyhow::Result<u32> {
        let output = Command::new("id").args([flag, name]).output()?;
        if !output.status.success() {
            bail!("there is no account {name}");
        }
        Ok(String::from_utf8(output.stdout)?.trim().parse()?)
    };
    Ok((id("-u")?, id("-g")?))
}
