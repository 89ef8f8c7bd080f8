//! A request, with what scripts ask of it.

use std::collections::BTreeMap;

use serde_json::Value;

/// A request for a chat completion.
#[derive(Clone, Debug)]
pub struct ChatRequest {
    pub(super) index: usize,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Value,
}

impl ChatRequest {
    /// How many requests came before it.
    pub const fn index(&self) -> usize {
        self.index
    }

    /// A header by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Its JSON; null where it was none.
    pub const fn body(&self) -> &Value {
        &self.body
    }

    /// The model it names.
    pub fn model(&self) -> &str {
        self.body["model"].as_str().unwrap_or_default()
    }

    /// Whether a stream is asked for.
    pub fn is_stream(&self) -> bool {
        self.body["stream"] == true
    }

    /// The messages, oldest first.
    pub fn messages(&self) -> &[Value] {
        self.body["messages"].as_array().map_or(&[], Vec::as_slice)
    }

    /// The texts of all messages of a role, each on lines of its own.
    pub fn text_of(&self, role: &str) -> String {
        let texts = self.messages().iter().filter(|message| message["role"] == role);
        texts.filter_map(|message| message["content"].as_str()).collect::<Vec<_>>().join("\n")
    }

    /// Who the model is to be.
    pub fn system(&self) -> String {
        self.text_of("system")
    }

    /// What was asked last by the user.
    pub fn last_user(&self) -> &str {
        let mut users = self.messages().iter().rev().filter(|message| message["role"] == "user");
        users.find_map(|message| message["content"].as_str()).unwrap_or_default()
    }

    /// Whether a text stands in a system or user message.
    pub fn mentions(&self, text: &str) -> bool {
        self.system().contains(text) || self.text_of("user").contains(text)
    }

    /// What tools have answered since the model last spoke.
    pub fn tool_results(&self) -> Vec<&str> {
        let last = self.messages().iter().rev().take_while(|message| message["role"] == "tool");
        let mut results: Vec<&str> = last.filter_map(|message| message["content"].as_str()).collect();
        results.reverse();
        results
    }

    /// Names of the tools that may be called.
    pub fn tools(&self) -> Vec<&str> {
        let tools = self.body["tools"].as_array().map_or(&[] as &[Value], Vec::as_slice);
        tools.iter().filter_map(|tool| tool["function"]["name"].as_str()).collect()
    }

    /// The schema that the answer has to hold, however it is asked for: as response format, or as the tool that must
    /// be called.
    pub fn schema(&self) -> Option<&Value> {
        let native = self.body.pointer("/response_format/json_schema/schema");
        native.or_else(|| {
            let name = self.answer_tool()?;
            let tools = self.body["tools"].as_array()?;
            let tool = tools.iter().find(|tool| tool["function"]["name"] == name)?;
            Some(&tool["function"]["parameters"])
        })
    }

    /// The tool whose arguments are the answer: the one that is forced, or the last one where any must be called.
    pub fn answer_tool(&self) -> Option<&str> {
        match &self.body["tool_choice"] {
            Value::String(any) if any == "required" => self.tools().last().copied(),
            choice => choice["function"]["name"].as_str(),
        }
    }

    /// Tokens of the prompt by this server's own count: a quarter of its bytes.
    pub(super) fn tokens(&self) -> u64 {
        let texts = [&self.body["messages"], &self.body["tools"]].map(|part| part.to_string().len());
        super::reply::tokens(texts.iter().sum())
    }
}
