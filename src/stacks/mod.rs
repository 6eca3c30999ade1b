//! stacks
mod error;
mod files;
mod merge;
mod scalar;
mod value;
mod yaml;
pub use error::StackError;
