//! Running the command and telling what it did.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// The command with nothing of the caller's surroundings that changes what it says; models go to `home`.
pub(crate) fn align_pro(home: &Path, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_align-pro"));
    command.arg("--home").arg(home).args(arguments).current_dir(repository());
    for name in ["ALIGN_PRO_HOME", "COLUMNS", "NO_COLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Run to the end, with `input` on standard input.
pub(crate) fn run_with(mut command: Command, input: &[u8]) -> Output {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let written = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    // A command that refuses its flags does not read its input.
    assert!(written.is_ok() || !output.status.success());
    output
}

/// Exit code and both streams, with the paths of this machine replaced.
pub(crate) fn told(output: &Output, home: &Path) -> String {
    let stream = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        text.replace(&home.display().to_string(), "[HOME]").replace(&repository().display().to_string(), "[REPOSITORY]")
    };
    let code = output.status.code().map_or_else(|| "none".to_owned(), |code| code.to_string());
    format!("exit code {code}\n--- stdout\n{}--- stderr\n{}", stream(&output.stdout), stream(&output.stderr))
}

/// The random model of the tests.
pub(crate) fn tiny_model() -> PathBuf {
    repository().join("crates/lm/testdata/models/llama")
}

/// A configuration of a run that takes a second, in `folder`: with this target and these rewards, and what else is told.
pub(crate) fn tiny_config(folder: &Path, target: &str, rest: &str) -> PathBuf {
    let text = format!(
        r#"
seed = 3
[prompter]
model = "{model}"
mode = "augment"
max-tokens = 8
instruction = "{{prompt}}"
lora = {{ rank = 2, alpha = 4 }}
{target}
[data.constraints]
train = 24
held-out = 6
types = ["punctuation:no_comma"]
[method.rloo]
lambda = 0.01
group-size = 2
{rest}"#,
        model = tiny_model().display()
    );
    let path = folder.join("tiny.toml");
    std::fs::write(&path, text).unwrap();
    path
}

/// `[target.local]` of it.
pub(crate) fn tiny_target() -> String {
    format!("[target.local]\nmodel = \"{}\"\nmax-tokens = 8", tiny_model().display())
}

/// Run `arguments` in an empty home and tell everything.
pub(crate) fn tell<const N: usize>(arguments: [&str; N]) -> String {
    let home = tempfile::tempdir().unwrap();
    told(&align_pro(home.path(), arguments).output().unwrap(), home.path())
}

pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap()
}

/// A home with the real SmolLM2 in it: the user's own if it is there, or else one of the tests, which is filled on first
/// use with the user's own pip.
pub(crate) fn real_home() -> &'static Path {
    static HOME: OnceLock<PathBuf> = OnceLock::new();
    HOME.get_or_init(|| {
        let list = Command::new(env!("CARGO_BIN_EXE_align-pro")).args(["model", "list", "--json"]).output().unwrap();
        let list: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
        if let Some(path) = list[0]["path"].as_str() {
            return Path::new(path).ancestors().nth(2).unwrap().to_owned();
        }
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("home");
        let output = align_pro(&home, ["model", "pull", "smollm2-135m-instruct"]).output().unwrap();
        assert!(output.status.success(), "{}", told(&output, &home));
        home
    })
}
