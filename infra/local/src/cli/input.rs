//! From arguments to a submission.

use std::path::Path;

use convoke_api::artifact::UploadView;
use serde_json::{Map, Value, json};

use super::api::Api;
use super::args::RunArgs;
use super::failure::Failure;
use super::follow::decode;

/// The body of the submission that the arguments ask for; files are uploaded first.
pub async fn submission(api: &Api, args: &RunArgs) -> Result<Value, Failure> {
    let mut input = input(args)?;
    let files = upload(api, args).await?;
    if !files.is_empty() {
        input.insert("files".to_owned(), Value::Array(files));
    }
    let mut body = json!({ "flow": flow(&args.flow)?, "input": input });
    if let Some(model) = &args.model {
        body["model"] = json!(model);
    }
    if let Some(usd) = &args.budget {
        body["budget"] = json!({ "usd": usd });
    }
    Ok(body)
}

/// The input: `@file` first, then single values, then the prompt.
pub fn input(args: &RunArgs) -> Result<Map<String, Value>, Failure> {
    let mut input = Map::new();
    for part in &args.input {
        if let Some(file) = part.strip_prefix('@') {
            let text = read(Path::new(file))?;
            let value: Map<String, Value> = serde_json::from_str(&text)
                .map_err(|error| Failure::usage(format!("{file} holds no JSON object: {error}")))?;
            input.extend(value);
        } else if let Some((key, value)) = part.split_once('=') {
            let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
            input.insert(key.to_owned(), value);
        } else {
            return Err(Failure::usage(format!("--input {part:?}: expected key=value or @file.json")));
        }
    }
    if let Some(prompt) = &args.prompt {
        input.insert("prompt".to_owned(), Value::String(prompt.clone()));
    }
    if input.is_empty() {
        return Err(Failure::usage("nothing was asked: give a PROMPT, or --input key=value"));
    }
    Ok(input)
}

/// A flow by name, or the document in a file.
fn flow(name: &str) -> Result<Value, Failure> {
    let path = Path::new(name);
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("");
    if !matches!(extension, "yaml" | "yml" | "json") {
        return Ok(Value::String(name.to_owned()));
    }
    let text = read(path)?;
    let doc = convoke_app::flow::parse(&text).map_err(|issues| {
        let issue = issues.first().map(|issue| format!("{}: {} ({})", issue.path, issue.message, issue.hint));
        Failure::usage(format!("{name}: {}", issue.unwrap_or_default()))
    })?;
    serde_json::to_value(doc).map_err(|error| Failure::caused("the flow can't be sent", &error))
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::usage(format!("{} can't be read: {error}", path.display())))
}

async fn upload(api: &Api, args: &RunArgs) -> Result<Vec<Value>, Failure> {
    let mut ids = Vec::new();
    for path in &args.file {
        let shown = path.display();
        let bytes = std::fs::read(path).map_err(|error| Failure::usage(format!("{shown} can't be read: {error}")))?;
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| Failure::usage(format!("{shown} has no name that can be sent")))?;
        let asked = api.post("/v1/uploads", &json!({ "name": name, "bytes": bytes.len() })).await?;
        let view: UploadView = decode(asked)?;
        api.upload(&view.url, &view.headers.content_type, bytes).await?;
        ids.push(Value::String(view.id));
    }
    Ok(ids)
}
