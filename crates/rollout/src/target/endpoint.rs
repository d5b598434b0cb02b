//! A target behind an OpenAI-compatible endpoint.

use endpoint::{ChatMessage, ChatRequest, ChatResponse, Client, EndpointOptions, Finish, estimated_tokens};
use serde::{Deserialize, Serialize};

use super::{Answered, Call, Response, Take, Target, with_system};
use crate::Error;

/// `[target.openai]`, but for where it is: how responses are drawn. What is `None` is left to the endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct EndpointTargetOptions {
    /// Divides the logits; 0 always takes the most likely token.
    pub temperature: Option<f64>,
    /// Keep the most likely tokens that together have this probability.
    pub top_p: Option<f64>,
    /// Most tokens of a response.
    pub max_tokens: u32,
    /// A message before the prompt that tells the target how to behave.
    pub system: Option<String>,
}

/// A model that answers over HTTP. Each answer is handed over as soon as it is there, since it may be paid for.
pub struct EndpointTarget {
    client: Client,
    model: String,
    identity: String,
    options: EndpointTargetOptions,
}

impl EndpointTarget {
    /// A target that asks `client`, which was made with `endpoint`.
    pub fn new(client: Client, endpoint: &EndpointOptions, options: EndpointTargetOptions) -> EndpointTarget {
        let EndpointOptions { base_url, model, extra, .. } = endpoint;
        let extra = serde_json::Value::Object(extra.clone());
        let identity = format!("{} {model} {extra}", base_url.trim_end_matches('/'));
        EndpointTarget { client, model: model.clone(), identity, options }
    }

    fn request(&self, call: &Call) -> ChatRequest {
        let &EndpointTargetOptions { temperature, top_p, max_tokens, ref system } = &self.options;
        let messages = with_system(system.as_deref(), call.messages.clone());
        let messages = messages.into_iter().map(|it| ChatMessage { role: it.role, content: it.content }).collect();
        ChatRequest {
            temperature,
            top_p,
            max_tokens: Some(max_tokens),
            seed: Some(call.seed),
            ..ChatRequest::new(messages)
        }
    }
}

impl Target for EndpointTarget {
    fn name(&self) -> &str {
        &self.model
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn parameters(&self) -> String {
        // Every field of the options changes the answer, so all of them are part of the key.
        format!("{:?}", self.options)
    }

    fn answer(&mut self, calls: &[Call], take: &mut Take<'_>) -> Result<(), Error> {
        let requests: Vec<ChatRequest> = calls.iter().map(|call| self.request(call)).collect();
        self.client.chat(&requests, &mut |call, response| {
            take(
                response_of(&requests[call], response)
                    .map(|response| Answered { call, response })
                    .into_iter()
                    .collect(),
            )
        })
    }
}

/// The only choice; tokens at four characters each where the endpoint does not count them.
fn response_of(request: &ChatRequest, response: ChatResponse) -> Option<Response> {
    let usage = response.usage;
    let choice = response.choices.into_iter().next()?;
    let count = |tokens: u64| usize::try_from(tokens).unwrap_or(usize::MAX);
    Some(Response {
        tokens: count(usage.map_or_else(|| estimated_tokens(&choice.text), |usage| usage.completion_tokens)),
        prompt_tokens: count(usage.map_or_else(|| request.estimated_tokens(), |usage| usage.prompt_tokens)),
        cut: choice.finish == Finish::Length,
        text: choice.text,
    })
}
