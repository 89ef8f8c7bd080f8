//! Webhooks: making and deleting them, and looking at what came of telling them.

use convoke_api::webhook::{DeliveryList, DeliveryView, RedeliveryView, WebhookList, WebhookView, WebhookWithSecret};
use serde_json::{Value, json};

use super::api::Api;
use super::args::{WebhookArgs, WebhooksCommand};
use super::failure::{Exit, Failure};
use super::follow::decode;
use super::jobs::print;
use super::progress::printable;
use super::session::{Needs, Session};
use crate::local::Duty;

/// Does what is asked.
pub async fn webhooks(command: WebhooksCommand, session: &Session<'_>) -> Result<Exit, Failure> {
    let target = command.target().clone();
    let api = session.connect(&target, Needs { model: None, duty: Duty::Answer }).await?;
    match command {
        WebhooksCommand::Create { place, event, description, json, .. } => {
            create(&api, &place, (event, description), json.into()).await
        }
        WebhooksCommand::List { json, .. } => list(&api, json.into()).await,
        WebhooksCommand::Delete(args) => delete(&api, &args).await,
        WebhooksCommand::Rotate(args) => {
            let answer = api.post(&format!("/v1/webhooks/{}/rotate", args.webhook), &json!({})).await?;
            with_secret(answer, args.json.into())
        }
        WebhooksCommand::Test(args) => test(&api, &args).await,
        WebhooksCommand::Deliveries { args, limit } => deliveries(&api, &args, limit).await,
        WebhooksCommand::Redeliver { delivery, args } => redeliver(&api, &args, &delivery, session).await,
    }
}

/// How an answer is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Text,
}

impl From<bool> for Form {
    fn from(json: bool) -> Self {
        if json { Self::Json } else { Self::Text }
    }
}

async fn create(
    api: &Api,
    url: &str,
    (events, description): (Vec<String>, Option<String>),
    form: Form,
) -> Result<Exit, Failure> {
    let mut body = json!({ "url": url });
    if !events.is_empty() {
        body["events"] = json!(events);
    }
    if let Some(description) = description {
        body["description"] = json!(description);
    }
    with_secret(api.post("/v1/webhooks", &body).await?, form)
}

fn with_secret(answer: Value, form: Form) -> Result<Exit, Failure> {
    if form == Form::Json {
        return print(&answer);
    }
    let made: WebhookWithSecret = decode(answer)?;
    println!("{}  {}", made.webhook.id, made.secret);
    eprintln!("This is the only time that the secret is shown.");
    if let Some(until) = made.webhook.earlier_secret_until {
        eprintln!("The one before signs, too, until {until}.");
    }
    Ok(Exit::Done)
}

async fn list(api: &Api, form: Form) -> Result<Exit, Failure> {
    let answer = api.get("/v1/webhooks").await?;
    if form == Form::Json {
        return print(&answer);
    }
    let list: WebhookList = decode(answer)?;
    list.webhooks.iter().for_each(show);
    Ok(Exit::Done)
}

fn show(webhook: &WebhookView) {
    let disabled = webhook.disabled_because.as_ref().map(|why| format!("  disabled: {why}")).unwrap_or_default();
    let line = format!("{}  {}  {}{disabled}", webhook.url, webhook.events.join(","), webhook.description);
    println!("{}  {}", webhook.id, printable(line.trim_end()));
}

async fn delete(api: &Api, args: &WebhookArgs) -> Result<Exit, Failure> {
    api.delete(&format!("/v1/webhooks/{}", args.webhook)).await?;
    if args.json {
        return print(&json!({ "id": args.webhook, "deleted": true }));
    }
    println!("{}  deleted", args.webhook);
    Ok(Exit::Done)
}

/// Exits with 1 where the message wasn't acknowledged.
async fn test(api: &Api, args: &WebhookArgs) -> Result<Exit, Failure> {
    let answer = api.post(&format!("/v1/webhooks/{}/test", args.webhook), &json!({})).await?;
    let tried: DeliveryView = decode(answer.clone())?;
    if args.json {
        print(&answer)?;
    } else {
        line(&tried);
    }
    Ok(if tried.delivered { Exit::Done } else { Exit::Failed })
}

fn line(tried: &DeliveryView) {
    let mark = if tried.delivered { "✓" } else { "✗" };
    let status = tried.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
    let of = tried.job.as_ref().zip(tried.seq).map(|(job, seq)| format!("  {job} #{seq}")).unwrap_or_default();
    let error = tried.error.as_ref().map(|error| format!("  {}", printable(error))).unwrap_or_default();
    let gave_up = if tried.gave_up { "  given up" } else { "" };
    println!(
        "{mark} {}  {}  {}{of}  try {}  {status}  {} ms{error}{gave_up}",
        tried.id, tried.at, tried.event_type, tried.attempt, tried.took_ms
    );
}

async fn deliveries(api: &Api, args: &WebhookArgs, limit: u32) -> Result<Exit, Failure> {
    let answer = api.get(&format!("/v1/webhooks/{}/deliveries?limit={limit}", args.webhook)).await?;
    if args.json {
        return print(&answer);
    }
    let list: DeliveryList = decode(answer)?;
    list.deliveries.iter().for_each(line);
    Ok(Exit::Done)
}

async fn redeliver(api: &Api, args: &WebhookArgs, delivery: &str, session: &Session<'_>) -> Result<Exit, Failure> {
    let path = format!("/v1/webhooks/{}/deliveries/{delivery}/redeliver", args.webhook);
    let answer = api.post(&path, &json!({})).await?;
    if args.json {
        print(&answer)?;
    } else {
        let asked: RedeliveryView = decode(answer)?;
        println!("{}  {} #{}", asked.message_id, asked.job, asked.seq);
    }
    if session.is_own().await {
        eprintln!("nobody serves; `convoke serve` sends it");
    }
    Ok(Exit::Done)
}
