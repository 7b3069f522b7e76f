//! Prints `.env.example`, or with `--table` the table of variables for the documentation.

use std::io::{self, Write};

use rolecall_runtime::env::{env_example, env_table};

fn main() -> io::Result<()> {
    let wants_table = std::env::args()
        .nth(1)
        .is_some_and(|argument| argument == "--table");
    let text = if wants_table { env_table() } else { env_example() };
    io::stdout().write_all(text.as_bytes())
}
