//! The act of a rollout.
