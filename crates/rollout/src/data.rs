//! Prompts, and pairs of responses to them: what they are, and how they are read, split and made.

mod dialogue;
mod parquet;
mod preference;
mod read;
mod record;
mod split;
mod stable;
pub mod synth;

pub(crate) use dialogue::conversation;
pub use preference::{Preference, read_preferences};
pub use read::{BadRow, Loaded, Place, ReadOptions, read_records};
pub(crate) use record::excerpt;
pub use record::{Message, Prompt, Record};
pub use split::{Split, is_held_out, split_by_text};
pub use stable::{stable_digest, stable_hash};
