//! `cargo xtask tidy`: prints what breaks a rule of the house.

use anyhow::{Result, bail};

use crate::tidy::{self, Tree};
use crate::workspace::Workspace;

/// Checks the whole tree.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let tree = Tree::load(workspace)?;
    let faults = tidy::faults(&tree);
    for fault in &faults {
        println!("{fault}");
    }
    if !faults.is_empty() {
        bail!("tidy: {} faults", faults.len());
    }
    println!("tidy: {} files, no faults", tree.files().count());
    Ok(())
}
