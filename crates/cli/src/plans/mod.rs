//! The plans file: read with every fault by line, checked against what is known, compared, applied.

pub(crate) mod apply;
pub(crate) mod check;
pub(crate) mod diff;
pub(crate) mod fault;
pub(crate) mod file;
pub(crate) mod show;
