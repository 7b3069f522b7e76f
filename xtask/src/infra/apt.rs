//! Missing programs: installed from Debian's packages where that is possible, otherwise named with what to do.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::infra::tools::Tool;
use crate::process;

/// Debian asks this program before a package may start its service.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Sees to it that all of `tools` are installed.
pub(crate) fn ensure(tools: &[Tool]) -> Result<()> {
    let missing = missing(tools);
    if missing.is_empty() {
        return Ok(());
    }
    if !process::is_root() || process::find("apt-get", &[]).is_none() {
        bail!("{}", advice(&missing));
    }
    println!(
        "Installing {} from Debian, since not all of it is here.",
        missing.join(", ")
    );
    install(&missing)?;
    let still_missing = self::missing(tools);
    if !still_missing.is_empty() {
        bail!(
            "apt-get installed {}, but its programs are not to be found",
            still_missing.join(", ")
        );
    }
    Ok(())
}

/// The packages of those `tools` that are not installed.
pub(crate) fn missing(tools: &[Tool]) -> Vec<&'static str> {
    tools
        .iter()
        .filter(|tool| tool.find().is_none())
        .map(|tool| tool.package())
        .collect()
}

/// What a developer can do about missing packages.
pub(crate) fn advice(packages: &[&str]) -> String {
    format!(
        "not installed: {names}. On Debian or Ubuntu:\n  sudo apt-get install {packages}\n\
         For Postgres and Redis there is also\n  docker compose -f docker-compose.dev.yml up --detach --wait\n\
         whose first lines give the DATABASE_URL and REDIS_URL to set.",
        names = packages.join(", "),
        packages = packages.join(" "),
    )
}

fn install(packages: &[&str]) -> Result<()> {
    let _quiet = NoServices::declare()?;
    process::run(apt_get().arg("update"))?;
    process::run(
        apt_get()
            .args(["install", "--yes", "--no-install-recommends"])
            .args(packages),
    )
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").arg("--quiet");
    command
}

/// While this lives, packages that are installed do not start their services.
struct NoServices {
    ours: bool,
}

impl NoServices {
    fn declare() -> Result<Self> {
        let ours = !Path::new(POLICY).exists();
        if ours {
            fs::write(POLICY, "#!/bin/sh\nexit 101\n").context("keep packages from starting services")?;
            fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755))?;
        }
        Ok(Self { ours })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.ours && fs::remove_file(POLICY).is_err() {
            eprintln!("xtask: could not remove {POLICY}; while it is there, no package starts its service");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advice_names_every_missing_package_and_the_containers() {
        let advice = advice(&["redis-server", "pgbouncer"]);
        assert!(
            advice.contains("apt-get install redis-server pgbouncer"),
            "{advice}"
        );
        assert!(advice.contains("docker-compose.dev.yml"), "{advice}");
    }
}
