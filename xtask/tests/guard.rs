//! The guard on real servers: it serves, it stops when told to, and it does not outlive its parent.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result};
use serde_json::Value;

const XTASK: &str = env!("CARGO_BIN_EXE_xtask");

/// A target folder of one test.
fn target(test: &str) -> PathBuf {
    std::env::temp_dir().join(format!("rolecall-guard-{test}-{}", std::process::id()))
}

/// Starts `command`, which starts a guard, and waits for its servers.
fn start(command: &mut Command) -> Result<(Child, BufReader<ChildStdout>, Value)> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut output = BufReader::new(child.stdout.take().context("no output")?);
    let mut line = String::new();
    output.read_line(&mut line)?;
    Ok((child, output, serde_json::from_str(&line)?))
}

/// The `host:port` of a URL that the guard announced.
fn address(urls: &Value, key: &str) -> Result<String> {
    let url = urls.get(key).and_then(Value::as_str).context("no URL")?;
    let authority = url
        .split("://")
        .nth(1)
        .and_then(|rest| rest.split('/').next())
        .context("no authority")?;
    Ok(authority.rsplit('@').next().unwrap_or(authority).to_owned())
}

/// What must be so when a guard has ended: nobody answers any more, and nothing is left on disk.
fn assert_all_gone(urls: &Value, target: &Path) -> Result<()> {
    for key in ["database", "redis"] {
        assert!(
            TcpStream::connect(address(urls, key)?).is_err(),
            "{key} still answers"
        );
    }
    assert_eq!(target.join("infra").read_dir()?.count(), 0);
    std::fs::remove_dir_all(target)?;
    Ok(())
}

#[test]
fn a_guard_serves_until_it_is_told_to_stop() -> Result<()> {
    let target = target("told");
    let mut command = Command::new(XTASK);
    command
        .args(["guard", "--parent", &std::process::id().to_string(), "--target"])
        .arg(&target);
    let (mut child, _output, urls) = start(&mut command)?;
    for key in ["database", "redis"] {
        TcpStream::connect(address(&urls, key)?).with_context(|| format!("{key} does not answer"))?;
    }
    writeln!(child.stdin.take().context("no input")?, "stop")?;
    assert!(child.wait()?.success());
    assert_all_gone(&urls, &target)
}

#[test]
fn a_guard_does_not_outlive_its_parent() -> Result<()> {
    let target = target("orphan");
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            r#""$1" guard --parent $$ --target "$2" & wait"#,
            "sh",
            XTASK,
        ])
        .arg(&target);
    let (mut parent, mut output, urls) = start(&mut command)?;
    parent.kill()?;
    parent.wait()?;
    // The guard holds the other end of its output: the end of that is the end of the guard.
    output.read_to_end(&mut Vec::new())?;
    assert_all_gone(&urls, &target)
}
