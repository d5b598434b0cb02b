//! Prompts: what they are, and how they are read, split and made.

mod record;

pub use record::{Message, Prompt, Record};
