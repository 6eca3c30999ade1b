//! Components: what a rollout runs, one file per kind.

mod checkout;
mod environment;
mod log;
mod process;

pub use environment::Environment;
pub use log::{LogSink, Masks, Stream};
