//! Integration tests.

mod stacks_conformance;
