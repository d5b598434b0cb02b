//! Any text as a configuration, what stands before a zero byte as `--set` lines: refused, or a plan that is a configuration again.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (set, configuration) = text.split_once('\0').unwrap_or(("", text));
    let sets: Vec<String> = set.lines().map(str::to_owned).collect();
    if let Ok(sound) = align_pro::resolves_to_itself(configuration, &sets) {
        assert!(sound, "the plan resolves to another plan");
    }
});
