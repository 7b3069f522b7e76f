//! The program itself: it says where everything is, and ends well on SIGTERM.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

#[test]
fn the_program_prints_its_addresses_and_ends_with_0_on_sigterm() {
    let listens = [
        "--stripe-listen",
        "--discord-listen",
        "--smtp-listen",
        "--mail-listen",
    ];
    let mut child = Command::new(env!("CARGO_BIN_EXE_rolecall-sandbox"))
        .args(listens.iter().flat_map(|name| [*name, "127.0.0.1:0"]))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().take(4);
    let lines: Vec<String> = lines.collect::<Result<_, _>>().unwrap();
    for (line, name) in lines.iter().zip(["stripe", "discord", "smtp", "mailbox"]) {
        assert!(line.starts_with(name) && line.contains("://127.0.0.1:"), "{line}");
    }
    let killed = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn help_and_version_are_told() {
    for flag in ["--help", "--version"] {
        let output = Command::new(env!("CARGO_BIN_EXE_rolecall-sandbox"))
            .arg(flag)
            .output()
            .unwrap();
        assert!(output.status.success());
        assert!(
            String::from_utf8(output.stdout)
                .unwrap()
                .contains("rolecall-sandbox")
        );
    }
}
