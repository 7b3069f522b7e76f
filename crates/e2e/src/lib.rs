//! The whole installation on one machine: the real services as processes, the simulators in this one.
//!
//! What the demo shows and what the system tests prove are the same stories over the same stack.

pub mod balancer;
pub mod bench;
pub mod chaos;
pub mod machine;
pub mod person;
pub mod ports;
pub mod process;
pub mod servers;
pub mod stack;
pub mod story;
pub mod timeline;
pub mod until;
