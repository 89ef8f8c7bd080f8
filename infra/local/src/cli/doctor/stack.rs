//! `convoke doctor --stack`: whether an installation in an AWS account is whole, seen with the caller's credentials.
//!
//! What the functions' own roles may do isn't seen from here.

mod quotas;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Display;
use std::time::{Duration, Instant};

use convoke_api::webhook::WebhookView;
use convoke_app::failure::Failure as AppFailure;
use convoke_app::model::{Message, ModelError, ModelRequest, Models};
use convoke_app::platform::Platform;
use convoke_domain::ids::TenantId;
use convoke_models::registry::Registry;
use convoke_runtime::installation::{EventSource, FunctionSetup, Installation};
use convoke_runtime::models::{self, Extras};
use convoke_runtime::secrets::{self, OF_DISCORD, OF_TELEGRAM, SECRETS, WithSecrets};

use super::super::api::Api;
use super::super::args::DoctorArgs;
use super::super::failure::{Exit, Failure};
use super::super::progress::printable;
use super::super::stack;

/// Functions that run beside steps: the API, the clock, the stream's, two of deliveries.
const BESIDE_STEPS: u32 = 6;
/// Longest time that a model may take for a word.
const CALL_MAX: Duration = Duration::from_secs(30);
/// Enough for a word of models that think before they speak; no more is held.
const WORD_TOKENS_MAX: u32 = 64;

/// What to do where a part doesn't answer.
const RIGHTS: &str = "see to your rights, and whether somebody deleted it";

/// What is told, line by line.
#[derive(Default)]
struct Report {
    right: u32,
    wrong: u32,
}

impl Report {
    fn good(&mut self, what: &str, told: impl Display) {
        self.right += 1;
        println!("✓ {what:<12} {}", printable(&told.to_string()));
    }

    fn wrong(&mut self, what: &str, told: impl Display, hint: &str) {
        self.wrong += 1;
        println!("✗ {what:<12} {}", printable(&told.to_string()));
        println!("  {:<12} {hint}", "");
    }

    fn failed(&mut self, what: &str, error: &dyn Error, hint: &str) {
        self.wrong(what, Failure::caused("", error), hint);
    }
}

/// Looks at everything, and goes on where something is wrong; then it fails. Changes nothing.
pub async fn doctor(name: &str, args: &DoctorArgs) -> Result<Exit, Failure> {
    let found = stack::find(name).await?;
    let mut report = Report::default();
    report.good("stack", format_args!("{name} in {}", found.region()));
    let url = args.url.as_ref().unwrap_or(&found.url);
    match Api::new(url, "")?.get("/health").await {
        Ok(_) => report.good("API", url),
        Err(failure) => report.wrong("API", format_args!("{url}: {failure}"), "the logs of Status tell more"),
    }
    stores(&mut report, &found).await;
    if let Some((setup, at_once)) = step(&mut report, &found).await {
        let values = keys(&mut report, &found, &setup).await;
        let names = models_of(&mut report, (&found, args), &WithSecrets::new(&setup.settings, values)).await;
        quotas::of_bedrock(&mut report, &found, (&names, at_once)).await;
    }
    let platform = stack::platform_of(found.clients, &found.stores)?;
    match tenants(&mut report, &platform, name).await {
        Ok(()) => report.good("table", &found.stores.table),
        Err(error) => report.failed("table", &error, RIGHTS),
    }
    println!("{} right, {} wrong", report.right, report.wrong);
    Ok(if report.wrong == 0 { Exit::Done } else { Exit::Failed })
}

async fn stores(report: &mut Report, found: &Installation) {
    match found.bucket_is_there().await {
        Ok(()) => report.good("bucket", &found.stores.bucket),
        Err(error) => report.failed("bucket", &error, RIGHTS),
    }
    match found.dead_letters().await {
        Ok(queues) => {
            for queue in &queues {
                let told = format!("{} dead letters in {}", queue.count, queue.queue);
                match queue.count {
                    0 => report.good("queue", told),
                    _ => report.wrong("queue", told, "docs/AWS.md, Dead letters, says what to do"),
                }
            }
        }
        Err(error) => report.failed("queues", &error, RIGHTS),
    }
}

/// How the step function is set up, and how many steps it works at once, where that is known.
async fn step(report: &mut Report, found: &Installation) -> Option<(FunctionSetup, Option<u32>)> {
    let Some(name) = &found.step else {
        report.wrong("steps", "the stack doesn't say which function works at steps", "update it: `sam deploy`");
        return None;
    };
    let setup = match found.function(name).await {
        Ok(setup) => setup,
        Err(error) => {
            report.failed("steps", &error, "see to your right lambda:GetFunctionConfiguration");
            return None;
        }
    };
    if setup.state != "Active" {
        let why = setup.reason.clone().unwrap_or_default();
        report.wrong("steps", format_args!("{name} is {} {why}", setup.state), "wait, or deploy again");
    }
    let at_once = match (found.sources(name).await, found.concurrent_max().await) {
        (Ok(sources), Ok(most)) => Some(pace(report, &sources, most)),
        (Err(error), _) | (_, Err(error)) => {
            let hint = "see to your rights lambda:ListEventSourceMappings and lambda:GetAccountSettings";
            report.failed("pace", &error, hint);
            None
        }
    };
    Some((setup, at_once))
}

/// Tells the pace; how many steps are worked at once.
fn pace(report: &mut Report, sources: &[EventSource], most: u32) -> u32 {
    for source in sources.iter().filter(|source| source.state != "Enabled") {
        let told = format!("a queue of steps is {}", source.state);
        report.wrong("pace", told, "nobody works at steps: enable the event source mapping, or deploy again");
    }
    let at_once: u32 = sources.iter().filter_map(EventSource::concurrency_max).sum();
    let steps: u32 = sources.iter().map(|source| source.concurrency_max().unwrap_or(1) * source.batch_size).sum();
    let told = format!("{steps} steps in {at_once} functions at once; the account runs {most} at once");
    if at_once + BESIDE_STEPS > most {
        let hint = "lower StepConcurrency, or ask for more (Service Quotas, Lambda, Concurrent executions)";
        report.wrong("pace", told, hint);
    } else {
        report.good("pace", told);
    }
    steps
}

/// The keys that the settings name, never printed.
async fn keys(report: &mut Report, found: &Installation, setup: &FunctionSetup) -> BTreeMap<&'static str, String> {
    let wanted = [&SECRETS[..], &OF_DISCORD[..], &OF_TELEGRAM[..]].concat();
    let mut values = BTreeMap::new();
    for (name, parameter) in secrets::named(&setup.settings, &wanted) {
        let read = match found.ssm() {
            Ok(ssm) => ssm.value(&parameter).await,
            Err(error) => Err(error),
        };
        match read {
            Ok(value) if value.trim().is_empty() => {
                report.wrong(
                    "key",
                    format_args!("{parameter} is empty"),
                    "`aws ssm put-parameter --overwrite` fills it",
                );
            }
            Ok(value) => {
                report.good("key", format_args!("{parameter} for {name}"));
                values.insert(name, value);
            }
            Err(error) => {
                let hint =
                    format!("`aws ssm put-parameter --type SecureString --name {parameter} --value ..` makes it");
                report.failed("key", &error, &hint);
            }
        }
    }
    values
}

/// Tells whether each model answers; the names of all.
async fn models_of(
    report: &mut Report,
    (found, args): (&Installation, &DoctorArgs),
    strings: &WithSecrets<'_>,
) -> BTreeSet<String> {
    let read = models::settings(strings, Extras { bedrock: Some(found.bedrock()), ..Extras::default() });
    let settings = match read {
        Ok(settings) => settings,
        Err(mistakes) => {
            report.failed("models", &mistakes, "change the parameters, and deploy again");
            return BTreeSet::new();
        }
    };
    let names: BTreeSet<String> = settings.aliases.values().cloned().chain([settings.default_model.clone()]).collect();
    let registry = match Registry::new(settings) {
        Ok(registry) => registry,
        Err(error) => {
            report.failed("models", &error, "this program is built without TLS");
            return names;
        }
    };
    for name in &names {
        let model = match registry.model(name) {
            Ok(model) => model,
            Err(error) => {
                report.failed("model", &error, "change the parameters, and deploy again");
                continue;
            }
        };
        if args.no_calls {
            report.good("model", format_args!("{name} is set up"));
            continue;
        }
        let began = Instant::now();
        match model.complete(&word(), None).await {
            Ok(answer) => {
                let usd = model.profile().cost_of(&answer.usage).usd;
                report.good("model", format_args!("{name} answers in {} ms, for ${usd}", began.elapsed().as_millis()));
            }
            Err(error) => report.failed("model", &error, &access(name, &error)),
        }
    }
    names
}

/// What to do where a model gives no answer.
fn access(name: &str, error: &ModelError) -> String {
    match error {
        ModelError::Throttled { .. } => format!("{name}: ask its provider for more, or lower StepConcurrency"),
        ModelError::Refused { .. } if name.starts_with("bedrock/") => {
            format!("{name}: see whether the account has access to it in this region, and BedrockResources names it")
        }
        ModelError::Refused { .. } => format!("{name}: see whether its name is right, and its key is good"),
        _ => format!("{name}: see whether its provider is up, and its address is right"),
    }
}

fn word() -> ModelRequest {
    ModelRequest {
        messages: vec![Message::User { text: "Answer with the word yes.".to_owned() }],
        tools: Vec::new(),
        schema: None,
        output_tokens_max: WORD_TOKENS_MAX,
        temperature: None,
        seed: None,
        timeout: CALL_MAX,
        cancel: tokio_util::sync::CancellationToken::new(),
    }
}

async fn tenants(report: &mut Report, platform: &Platform, name: &str) -> Result<(), AppFailure> {
    let all = platform.tenants().await?;
    let names: Vec<&str> = all.iter().map(TenantId::as_str).collect();
    if names.is_empty() {
        report.wrong("tenants", "nobody has a key", &format!("`convoke keys create --stack {name}` makes one"));
    } else {
        report.good("tenants", names.join(", "));
    }
    for tenant in &all {
        for webhook in platform.webhooks(tenant).await?.webhooks {
            let trouble = trouble(platform, tenant, &webhook).await?;
            let told = format!("{} of {tenant}: {}", webhook.id, webhook.url);
            match trouble {
                None => report.good("webhook", told),
                Some(why) => {
                    let hint =
                        format!("once mended: `convoke webhooks test {} --stack {name} --tenant {tenant}`", webhook.id);
                    report.wrong("webhook", format_args!("{told}: {why}"), &hint);
                }
            }
        }
    }
    Ok(())
}

/// Why a webhook isn't told, or what its last try came to.
async fn trouble(platform: &Platform, tenant: &TenantId, webhook: &WebhookView) -> Result<Option<String>, AppFailure> {
    if let Some(why) = &webhook.disabled_because {
        return Ok(Some(format!("disabled: {why}")));
    }
    let last = platform.webhook_deliveries(tenant, webhook.id.as_str(), (None, Some(1))).await?;
    let failed = last.deliveries.into_iter().find(|tried| !tried.delivered);
    Ok(failed.map(|tried| {
        let why = tried.error.or_else(|| Some(tried.status?.to_string())).unwrap_or_default();
        format!("the last try, at {}, failed: {why}", tried.at)
    }))
}
