//! Prints the page about standings for `docs`.

use std::io::{self, Write};

use rolecall_domain::standing_table::page;

fn main() -> io::Result<()> {
    io::stdout().write_all(page().as_bytes())
}
