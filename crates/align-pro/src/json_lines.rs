//! Reading JSON lines, with errors that say where and how to mend them.

use std::io::Read;
use std::path::Path;

use anyhow::Context;
use lm::{Message, Role};
use serde_json::{Map, Value};

use crate::failure::{BadLine, Failure, shown};

/// A file of JSON objects, one a line.
#[derive(Debug)]
pub(crate) struct JsonLines {
    file: String,
    /// What a good line looks like, for the hint.
    shape: &'static str,
    pub(crate) records: Vec<Record>,
}

/// One object and where it stood.
#[derive(Debug)]
pub(crate) struct Record {
    line: usize,
    fields: Map<String, Value>,
}

impl JsonLines {
    /// Read all of `path` (`-` is standard input); empty lines are passed over. `shape` says what a good line looks like.
    pub(crate) fn read(path: &Path, shape: &'static str) -> anyhow::Result<JsonLines> {
        let file = shown(path);
        let bytes = read_bytes(path).with_context(|| format!("cannot read `{file}`"))?;
        let mut lines = JsonLines { file, shape, records: Vec::new() };
        for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
            if !line.trim_ascii().is_empty() {
                let record = parse(index + 1, line).map_err(|fault| lines.failure(index + 1, fault))?;
                lines.records.push(record);
            }
        }
        Ok(lines)
    }

    /// Turn every record into what the command needs; the first that cannot be is the error.
    pub(crate) fn map<T>(&self, read: impl Fn(&Record) -> Result<T, Fault>) -> anyhow::Result<Vec<T>> {
        let items = self.records.iter().map(|record| read(record).map_err(|fault| self.failure(record.line, fault)));
        Ok(items.collect::<Result<_, Failure>>()?)
    }

    fn failure(&self, line: usize, fault: Fault) -> Failure {
        let Fault { field, problem } = fault;
        Failure::Input { file: self.file.clone(), line: BadLine { line, field, problem, fix: self.shape } }
    }
}

/// What is wrong with a record, before its place is attached.
#[derive(Debug)]
pub(crate) struct Fault {
    field: Option<&'static str>,
    problem: String,
}

impl Fault {
    pub(crate) fn of_line(problem: impl Into<String>) -> Fault {
        Fault { field: None, problem: problem.into() }
    }

    pub(crate) fn of_field(field: &'static str, problem: impl Into<String>) -> Fault {
        Fault { field: Some(field), problem: problem.into() }
    }
}

impl Record {
    /// The field as it is, whatever it is; for fields that are passed through.
    pub(crate) fn value(&self, field: &str) -> Option<&Value> {
        self.fields.get(field)
    }

    /// A field that must be a string if it is there.
    pub(crate) fn text(&self, field: &'static str) -> Result<Option<String>, Fault> {
        match self.fields.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(Fault::of_field(field, format!("expected a string, found {}", kind(other)))),
        }
    }

    /// A field that must be a list of messages if it is there.
    pub(crate) fn messages(&self, field: &'static str) -> Result<Option<Vec<Message>>, Fault> {
        match self.fields.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Array(items)) if items.is_empty() => {
                Err(Fault::of_field(field, "the list of messages is empty"))
            }
            Some(Value::Array(items)) => items
                .iter()
                .enumerate()
                .map(|(index, item)| message(field, index, item))
                .collect::<Result<_, _>>()
                .map(Some),
            Some(other) => Err(Fault::of_field(field, format!("expected a list of messages, found {}", kind(other)))),
        }
    }
}

fn message(field: &'static str, index: usize, item: &Value) -> Result<Message, Fault> {
    let text = |key: &str| match item.get(key) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => {
            Err(Fault::of_field(field, format!("`{key}` of message {} is {}, not a string", index + 1, kind(other))))
        }
        None => Err(Fault::of_field(field, format!("message {} has no `{key}`", index + 1))),
    };
    let role = match text("role")?.as_str() {
        "system" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        other => {
            let problem = format!("the role of message {} is `{other}`, not system, user or assistant", index + 1);
            return Err(Fault::of_field(field, problem));
        }
    };
    Ok(Message::new(role, text("content")?))
}

fn parse(number: usize, line: &[u8]) -> Result<Record, Fault> {
    match serde_json::from_slice(line) {
        Ok(Value::Object(fields)) => Ok(Record { line: number, fields }),
        Ok(other) => Err(Fault::of_line(format!("expected an object in braces, found {}", kind(&other)))),
        // serde_json counts lines too, but there is only one here.
        Err(error) => {
            let told = error.to_string();
            let what = told.split(" at line ").next().unwrap_or(&told);
            Err(Fault::of_line(format!("not JSON: {what} at column {}", error.column())))
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn read_bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    if path.as_os_str() != "-" {
        return std::fs::read(path);
    }
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &[u8]) -> anyhow::Result<JsonLines> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), content)?;
        JsonLines::read(file.path(), "mend it")
    }

    /// What is said about a file whose fields `text` and `messages` are read.
    fn complaint(content: &[u8]) -> String {
        let lines = match read(content) {
            Ok(lines) => lines.map(|record| Ok((record.text("text")?, record.messages("messages")?))).map(|_| ()),
            Err(error) => Err(error),
        };
        let error = lines.unwrap_err();
        error.chain().last().unwrap().to_string()
    }

    #[test]
    fn objects_come_with_their_fields() {
        let lines = read(
            b"{\"text\": \"one\", \"id\": 7}\r\n\n  \n{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]}",
        )
        .unwrap();
        let texts = lines.map(|record| record.text("text")).unwrap();
        assert_eq!(texts, [Some("one".to_owned()), None]);
        assert_eq!(lines.records[0].value("id"), Some(&Value::from(7)));
        let messages = lines.records[1].messages("messages").unwrap().unwrap();
        assert_eq!(messages, [Message::new(Role::User, "hi")]);
    }

    #[test]
    fn faults_name_line_field_and_what_is_wrong() {
        let check = |content: &str, expected: &str| assert_eq!(complaint(content.as_bytes()), expected);
        check("{\"text\": \"a\"}\n\n{\"text\": 3}", "line 3, field `text`: expected a string, found a number");
        check("[1]", "line 1: expected an object in braces, found a list");
        check("{\"text\": }", "line 1: not JSON: expected value at column 10");
        check("{\"text\": \"a", "line 1: not JSON: EOF while parsing a string at column 11");
        check("{\"messages\": {}}", "line 1, field `messages`: expected a list of messages, found an object");
        check("{\"messages\": []}", "line 1, field `messages`: the list of messages is empty");
        check(
            "{\"messages\": [{\"role\": \"tool\", \"content\": \"\"}]}",
            "line 1, field `messages`: the role of message 1 is `tool`, not system, user or assistant",
        );
        check("{\"messages\": [{\"role\": \"user\"}]}", "line 1, field `messages`: message 1 has no `content`");
        check(
            "{\"messages\": [{\"role\": \"user\", \"content\": null}]}",
            "line 1, field `messages`: `content` of message 1 is null, not a string",
        );
        assert!(complaint(b"{\"text\": \"\xff\"}").starts_with("line 1: not JSON: invalid unicode"));
    }
}
