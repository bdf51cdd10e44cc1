//! How errors end the program: `error: …`, `hint: …`, and an exit code.

use std::io::{self, Write as _};
use std::process::ExitCode;

use pagevault_api::ascii;
use pagevault_client::ClientError;
use serde_json::json;

use crate::text::escape;

/// An error with advice.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Advised {
    pub(crate) message: String,
    pub(crate) hint: String,
    /// The command line itself is wrong.
    pub(crate) usage: bool,
}

impl Advised {
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into(), usage: false }
    }

    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { usage: true, ..Self::new(message, hint) }
    }
}

/// An error that ends the program.
#[derive(Debug)]
pub(crate) struct Failed {
    message: String,
    hint: Option<String>,
    kind: String,
    code: u8,
    silent: bool,
}

impl From<anyhow::Error> for Failed {
    fn from(error: anyhow::Error) -> Self {
        let client = error.downcast_ref::<ClientError>();
        let advised = error.downcast_ref::<Advised>();
        let hint = client.and_then(ClientError::hint).or(advised.map(|a| a.hint.clone()));
        let usage = advised.is_some_and(|advised| advised.usage);
        let io = error.downcast_ref::<io::Error>();
        Self {
            message: message(&error).trim_end().to_owned(),
            hint,
            kind: client.map_or_else(|| "other".to_owned(), kind),
            code: if usage { 2 } else { 1 },
            // Whoever read our output has had enough: `pagevault ls | head`.
            silent: io.is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe),
        }
    }
}

impl Failed {
    /// Says it on stderr; as JSON, if that is the language of the command.
    pub(crate) fn report(&self, json: bool) -> ExitCode {
        if self.silent {
            return ExitCode::SUCCESS;
        }
        let text = if json { self.json() } else { self.lines() };
        // There is nobody left to tell.
        let _ = io::stderr().lock().write_all(text.as_bytes());
        ExitCode::from(self.code)
    }

    fn lines(&self) -> String {
        let hint = self.hint.as_ref().map(|hint| format!("hint: {}\n", escape(hint)));
        format!("error: {}\n{}", escape(&self.message), hint.unwrap_or_default())
    }

    fn json(&self) -> String {
        let error = json!({ "kind": self.kind, "message": self.message, "hint": self.hint });
        ascii::json(&json!({ "error": error }).to_string()) + "\n"
    }
}

/// The message and those of its causes, unless one says already what its cause says.
fn message(error: &anyhow::Error) -> String {
    let mut message = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !message.contains(&cause) {
            message = format!("{message}: {cause}");
        }
    }
    message
}

/// What programs branch on: the server's word for it, if it is the server who refuses.
fn kind(error: &ClientError) -> String {
    let problem = error.problem().and_then(|problem| serde_json::to_value(problem.kind).ok());
    if let Some(kind) = problem.as_ref().and_then(serde_json::Value::as_str) {
        return kind.to_owned();
    }
    let kind = match error {
        ClientError::Unreachable { .. } => "unreachable",
        ClientError::Broken { .. } | ClientError::GaveUp { .. } => "interrupted",
        ClientError::Protocol { .. } => "protocol",
        ClientError::Mismatch { .. } => "mismatch",
        ClientError::Exists { .. } => "exists",
        ClientError::FileChanged { .. } => "file-changed",
        ClientError::Archive(_) => "invalid-archive",
        ClientError::Io { .. } => "io",
        _ => "other",
    };
    kind.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_cannot_write_to_the_terminal() {
        let failed = Failed::from(anyhow::anyhow!("no \x1b[2Jsuch\nthing"));
        assert_eq!(failed.lines(), "error: no \\u{1b}[2Jsuch\\nthing\n");
        let failed = Failed::from(anyhow::Error::new(Advised::usage("a", "b")));
        assert_eq!((failed.lines().as_str(), failed.code), ("error: a\nhint: b\n", 2));
    }

    #[test]
    fn json_is_one_line() {
        let client = ClientError::Unreachable { server: "s".into(), reason: "r".into() };
        let failed = Failed::from(anyhow::Error::new(client));
        let json: serde_json::Value = serde_json::from_str(&failed.json()).unwrap();
        assert_eq!(json["error"]["kind"], "unreachable");
        assert!(json["error"]["hint"].as_str().unwrap().contains("pagevault serve"));
        assert_eq!(failed.json().lines().count(), 1);
        let failed = Failed::from(anyhow::anyhow!("\u{9b}2J\u{202e}"));
        assert!(failed.json().contains(r"\u009b2J\u202e"), "{}", failed.json());
    }
}
