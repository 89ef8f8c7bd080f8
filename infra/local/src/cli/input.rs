//! From arguments to a submission.
//!
//! Whatever can be found wrong without an installation is found before one is started.

use std::path::Path;

use convoke_api::artifact::UploadView;
use convoke_app::flow::BUILT_IN;
use convoke_app::submit::PROMPT_BYTES_MAX;
use convoke_app::uploads::UPLOAD_BYTES_MAX;
use convoke_runtime::config::{Strings, limits};
use serde_json::{Map, Value, json};

use super::api::Api;
use super::args::OrderArgs;
use super::failure::Failure;
use super::follow::decode;
use crate::settings::Settings;

/// A submission whose files aren't uploaded yet.
#[derive(Debug)]
pub struct Order {
    body: Map<String, Value>,
    input: Map<String, Value>,
    files: Vec<NewFile>,
}

#[derive(Debug)]
struct NewFile {
    name: String,
    bytes: Vec<u8>,
}

/// The submission that the arguments and settings ask for. Reads files, changes nothing.
pub fn order(settings: &Settings, args: &OrderArgs) -> Result<Order, Failure> {
    let order = draft(settings, args)?;
    // A flow of one's own may need nothing; those that have a name are asked for something.
    if order.input.is_empty() && order.body.get("flow").is_some_and(Value::is_string) {
        return Err(Failure::usage("nothing was asked: give a PROMPT, or --input key=value"));
    }
    Ok(order)
}

/// The same for a batch, whose inputs come from elsewhere: all that they have in common, which may be nothing.
pub fn draft(settings: &Settings, args: &OrderArgs) -> Result<Order, Failure> {
    let flow = flow(args)?;
    let input = input(args)?;
    let files = args.file.iter().map(|path| file(path)).collect::<Result<_, _>>()?;
    let mut body = Map::new();
    body.insert("flow".to_owned(), flow);
    if let Some(model) = args.model.clone().or_else(|| settings.get("CONVOKE_MODEL")) {
        body.insert("model".to_owned(), json!(model.trim()));
    }
    if let Some(budget) = budget(settings, args)? {
        body.insert("budget".to_owned(), budget);
    }
    Ok(Order { body, input, files })
}

/// The body of the submission; its files are uploaded first.
pub async fn submission(api: &Api, order: Order) -> Result<Value, Failure> {
    let Order { mut body, mut input, files } = order;
    let mut ids = Vec::new();
    for file in files {
        ids.push(Value::String(upload(api, file).await?));
    }
    if !ids.is_empty() {
        input.insert("files".to_owned(), Value::Array(ids));
    }
    body.insert("input".to_owned(), Value::Object(input));
    Ok(Value::Object(body))
}

/// The input: `@file` first, then single values, then the prompt.
fn input(args: &OrderArgs) -> Result<Map<String, Value>, Failure> {
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
    if let Some(prompt) = args.prompt.as_ref().filter(|prompt| !prompt.trim().is_empty()) {
        input.insert("prompt".to_owned(), Value::String(prompt.clone()));
    }
    check_prompt(&input)?;
    Ok(input)
}

fn check_prompt(input: &Map<String, Value>) -> Result<(), Failure> {
    let Some(prompt) = input.get("prompt").and_then(Value::as_str) else { return Ok(()) };
    let bytes = prompt.len();
    if bytes > PROMPT_BYTES_MAX {
        let hint = "give longer texts as files, by --file";
        return Err(Failure::usage(format!("the prompt has {bytes} bytes, at most {PROMPT_BYTES_MAX} fit: {hint}")));
    }
    if prompt.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return Err(Failure::usage(
            "the prompt isn't text: it holds control characters; give data as files, by --file",
        ));
    }
    Ok(())
}

/// A flow by name, or the document in a file.
fn flow(args: &OrderArgs) -> Result<Value, Failure> {
    let name = &args.flow;
    let path = Path::new(name);
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("");
    if !matches!(extension, "yaml" | "yml" | "json") {
        // Another installation may have others.
        if args.target.url.is_none() && !BUILT_IN.contains(&name.as_str()) {
            let known = BUILT_IN.join(", ");
            return Err(Failure::usage(format!("--flow {name:?}: there is {known}, or name a YAML or JSON file")));
        }
        return Ok(Value::String(name.clone()));
    }
    let text = read(path)?;
    let doc = convoke_app::flow::parse(&text).map_err(|issues| {
        let issue = issues.first().map(|issue| format!("{}: {} ({})", issue.path, issue.message, issue.hint));
        Failure::usage(format!("{name}: {}", issue.unwrap_or_default()))
    })?;
    serde_json::to_value(doc).map_err(|error| Failure::caused("the flow can't be sent", &error))
}

/// The cap that the command line or the settings name; the installation's own where neither does.
fn budget(settings: &Settings, args: &OrderArgs) -> Result<Option<Value>, Failure> {
    let limits = limits(settings).map_err(|mistakes| Failure::usage(settings.explain(&mistakes)))?;
    let default = limits.budget_default;
    let by_settings = |name| settings.get(name).is_some();
    let usd = args.budget.or_else(|| by_settings("CONVOKE_BUDGET_USD").then_some(default.usd));
    let tokens = by_settings("CONVOKE_BUDGET_TOKENS").then_some(default.tokens);
    let mut budget = Map::new();
    budget.extend(usd.map(|usd| ("usd".to_owned(), json!(usd.to_string()))));
    budget.extend(tokens.map(|tokens| ("tokens".to_owned(), json!(tokens))));
    Ok((!budget.is_empty()).then_some(Value::Object(budget)))
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::usage(format!("{} can't be read: {error}", path.display())))
}

fn file(path: &Path) -> Result<NewFile, Failure> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| Failure::usage(format!("--file {shown} can't be read: {error}"));
    let about = std::fs::metadata(path).map_err(unreadable)?;
    if about.is_dir() {
        return Err(Failure::usage(format!("--file {shown} is a folder: name its files one by one, or pack them")));
    }
    if !(1..=UPLOAD_BYTES_MAX).contains(&about.len()) {
        let size = about.len();
        return Err(Failure::usage(format!("--file {shown} has {size} bytes: 1 to {UPLOAD_BYTES_MAX} can be sent")));
    }
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| Failure::usage(format!("--file {shown} has no name that can be sent")))?;
    Ok(NewFile { name: name.to_owned(), bytes: std::fs::read(path).map_err(unreadable)? })
}

/// Uploads a file as it is; answers its id.
pub async fn upload_file(api: &Api, path: &Path) -> Result<String, Failure> {
    upload(api, file(path)?).await
}

async fn upload(api: &Api, file: NewFile) -> Result<String, Failure> {
    let asked = api.post("/v1/uploads", &json!({ "name": file.name, "bytes": file.bytes.len() })).await?;
    let view: UploadView = decode(asked)?;
    api.upload(&view.url, &view.headers.content_type, file.bytes).await?;
    Ok(view.id)
}
