//! One file a command.

pub(crate) mod bench;
pub(crate) mod chaos;
pub(crate) mod demo;
pub(crate) mod lint;
pub(crate) mod prepare;
pub(crate) mod test;
pub(crate) mod tidy;
