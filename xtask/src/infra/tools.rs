//! The programs that the project needs beside Rust, where they lie, and the Debian packages they come from.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::process;

/// A program outside this workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    /// The record.
    Postgres,
    /// The queues.
    Redis,
    /// A pooler in transaction mode, as Supabase has it; for the tests of `crates/db`.
    PgBouncer,
    /// For the browser test.
    Chromium,
    /// Drives Chromium.
    Chromedriver,
}

impl Tool {
    /// All that the whole test suite needs.
    pub(crate) const ALL: [Self; 5] = [
        Self::Postgres,
        Self::Redis,
        Self::PgBouncer,
        Self::Chromium,
        Self::Chromedriver,
    ];

    /// Debian's package.
    pub(crate) fn package(self) -> &'static str {
        match self {
            Self::Postgres => "postgresql",
            Self::Redis => "redis-server",
            Self::PgBouncer => "pgbouncer",
            Self::Chromium => "chromium",
            Self::Chromedriver => "chromium-driver",
        }
    }

    /// Where the program lies, if it is installed.
    pub(crate) fn find(self) -> Option<PathBuf> {
        let program = match self {
            // `psql` and `pg_ctl` may be wrappers elsewhere; all of ours lie beside `initdb`.
            Self::Postgres => "initdb",
            Self::Redis => "redis-server",
            Self::PgBouncer => "pgbouncer",
            Self::Chromium => "chromium",
            Self::Chromedriver => "chromedriver",
        };
        process::find(program, &folders_off_path())
    }

    /// The folder of an installed program; empty, and so left to `PATH`, where there is none.
    pub(crate) fn folder(self) -> PathBuf {
        let found = self.find().and_then(|program| program.canonicalize().ok());
        found
            .as_deref()
            .and_then(Path::parent)
            .map(Path::to_path_buf)
            .unwrap_or_default()
    }
}

/// `PATH` with the folders in which Debian hides servers, so that tests find them too.
pub(crate) fn search_path() -> OsString {
    let path = process::variable("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(folders_off_path());
    std::env::join_paths(folders).unwrap_or_else(|_| path.clone().into())
}

/// Folders of servers that are not on everybody's `PATH`; the newest Postgres first.
fn folders_off_path() -> Vec<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut versions: Vec<_> = versions.map(|entry| entry.path().join("bin")).collect();
    versions.sort();
    versions.reverse();
    versions.push(PathBuf::from("/usr/sbin"));
    versions
}
