//! `convoke doctor`: what is set up, what is missing, what to do about it.

mod stack;

use convoke_runtime::config::{Strings, limits};

use super::api::Api;
use super::args::DoctorArgs;
use super::failure::{Exit, Failure};
use super::{bots, discord, models, run};
use crate::local::{EMBEDDED_MODEL, running};
use crate::settings::Settings;

/// Looks around. On this machine nothing is changed, fetched or called; of a stack models are called, unless somebody
/// doesn't want that.
pub async fn doctor(settings: &Settings, args: &DoctorArgs) -> Result<Exit, Failure> {
    match &args.stack {
        Some(name) => stack::doctor(name, args).await,
        None => of_machine(settings).await,
    }
}

async fn of_machine(settings: &Settings) -> Result<Exit, Failure> {
    println!("data folder    {}", settings.data_dir.display());
    let file = settings.file().map_or_else(|| "none".to_owned(), |file| file.display().to_string());
    println!("settings file  {file}");
    println!("installation   {}", installation(settings).await);
    let weights = settings.cache_dir.join("models");
    let fetched = weights.read_dir().is_ok_and(|mut folder| folder.next().is_some());
    println!(
        "weights        {} ({})",
        weights.display(),
        if fetched { "there" } else { "fetched at first use: `convoke model pull`" }
    );
    let model = settings.get("CONVOKE_MODEL").unwrap_or_else(|| EMBEDDED_MODEL.to_owned());
    println!("default model  {model}");
    let limits = limits(settings).map_err(|mistakes| Failure::usage(settings.explain(&mistakes)))?;
    for note in run::notes(settings, &model, limits.budget_default.tokens)? {
        println!("note           {note}");
    }
    println!("discord        {}", discord::state(settings)?);
    println!("telegram       {}", bots::told_of_telegram(settings)?);
    println!("\nmodels");
    for line in models::lines(settings)? {
        println!("  {line}");
    }
    Ok(Exit::Done)
}

async fn installation(settings: &Settings) -> String {
    let Some((url, key)) = running(&settings.data_dir) else { return "not running: `convoke serve`".to_owned() };
    let answers = match Api::new(&url, &key) {
        Ok(api) => api.get("/health").await.is_ok(),
        Err(_) => false,
    };
    if answers { format!("serves {url}") } else { "not running: `convoke serve`".to_owned() }
}
