//! Errors in OpenAI's form.

use serde_json::{Value, json};

/// Why a request is not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status of HTTP.
    pub status: u16,
    /// What is wrong, and what to do.
    pub message: String,
    /// The field that is wrong.
    pub param: Option<String>,
}

impl Refusal {
    /// A request that makes no sense.
    pub fn bad(message: impl Into<String>) -> Refusal {
        Refusal { status: 400, message: message.into(), param: None }
    }

    /// The same, of a field.
    pub fn field(name: &str, message: impl Into<String>) -> Refusal {
        Refusal { param: Some(name.into()), ..Refusal::bad(message) }
    }

    /// With another status.
    pub fn status(status: u16, message: impl Into<String>) -> Refusal {
        Refusal { status, ..Refusal::bad(message) }
    }

    /// The body of the answer.
    pub(super) fn body(&self) -> Value {
        let kind = match self.status {
            401 => "authentication_error",
            404 => "not_found_error",
            429 => "rate_limit_error",
            500.. => "server_error",
            _ => "invalid_request_error",
        };
        json!({"error": {"message": self.message, "type": kind, "param": self.param, "code": null}})
    }
}
