//! `convoke doctor`: what is set up, what is missing, what to do about it.

use convoke_runtime::config::{ProcessEnv, Strings};

use super::api::Api;
use super::failure::{Exit, Failure};
use super::models;
use super::place::Places;
use crate::local::{EMBEDDED_MODEL, running};

/// Keys that select nothing by themselves, and the line that would use each.
const KEYS: [(&str, &str); 3] = [
    ("OPENAI_API_KEY", "--model openai/gpt-4.1"),
    ("OPENROUTER_API_KEY", "--model openrouter/anthropic/claude-sonnet-4"),
    ("AZURE_OPENAI_API_KEY", "--model azure/gpt-4.1"),
];

/// Looks around; nothing is changed, fetched or called.
pub async fn doctor(places: &Places) -> Result<Exit, Failure> {
    println!("data folder    {}", places.data_dir.display());
    println!("installation   {}", installation(places).await);
    let weights = places.cache_dir.join("models");
    let fetched = weights.read_dir().is_ok_and(|mut folder| folder.next().is_some());
    println!(
        "weights        {} ({})",
        weights.display(),
        if fetched { "there" } else { "fetched at first use: `convoke model pull`" }
    );
    let model = ProcessEnv.get("CONVOKE_MODEL").unwrap_or_else(|| EMBEDDED_MODEL.to_owned());
    println!("default model  {model}");
    for (key, line) in KEYS {
        if ProcessEnv.get(key).is_some() && !line.contains(model.split('/').next().unwrap_or_default()) {
            println!("note           {key} is set and not used; `convoke run {line}` would use it");
        }
    }
    println!("\nmodels");
    for line in models::lines()? {
        println!("  {line}");
    }
    Ok(Exit::Done)
}

async fn installation(places: &Places) -> String {
    let Some((url, key)) = running(&places.data_dir) else { return "not running: `convoke serve`".to_owned() };
    let answers = match Api::new(&url, &key) {
        Ok(api) => api.get("/health").await.is_ok(),
        Err(_) => false,
    };
    if answers { format!("serves {url}") } else { "not running: `convoke serve`".to_owned() }
}
