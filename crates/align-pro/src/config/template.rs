//! Configurations to start from, with a comment on every choice.

use crate::arguments::TemplateName;

/// The text of a template.
pub(crate) fn text(name: TemplateName) -> &'static str {
    match name {
        TemplateName::Constraints => include_str!("template/constraints.toml"),
        TemplateName::Gsm8k => include_str!("template/gsm8k.toml"),
        TemplateName::Jsonl => include_str!("template/jsonl.toml"),
    }
}
