//! Any bytes as a file of prompts in the form of Parquet: an error, or records that read back from their rows.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lm_fuzz::read_prompts;

fuzz_target!(|bytes: &[u8]| read_prompts("p.parquet", bytes));
