//! What an account may ask of Bedrock's models in a minute, as Service Quotas lists it.
//!
//! Quotas have names for people alone, such as `Cross-region model inference requests per minute for Anthropic Claude
//! Sonnet 4 V1`: what they are about is read out of that, and of the models' ids. A model whose quotas are called otherwise
//! has none here.

use aws_config::SdkConfig;
use serde::Deserialize;
use serde_json::json;

use crate::signing::{Ask, AskError, Service};

const SERVICE: (&str, &str) = ("Service Quotas", "servicequotas");
const TARGET: &str = "ServiceQuotasV20190624.ListServiceQuotas";
const MEDIA_TYPE: &str = "application/x-amz-json-1.1";
/// Quotas of a page; as many as there may be.
const PAGE: u32 = 100;
/// Pages that are read at most.
const PAGES_MAX: usize = 50;
/// What inference profiles that lead to several regions begin with; `global` is another kind.
const AREAS: [&str; 9] = ["us", "us-gov", "eu", "apac", "jp", "au", "ca", "sa", "me"];
/// Digits of a date in a model's id.
const DATE_DIGITS: usize = 8;

/// A quota of the account.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Quota {
    /// What it is called.
    #[serde(rename = "QuotaName")]
    pub name: String,
    /// How much may be.
    pub value: f64,
}

/// What may be asked of a model in a minute, by all that the account runs in the region; `None` where no quota says so.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ModelQuotas {
    /// Requests.
    pub requests: Option<f64>,
    /// Tokens, in and out.
    pub tokens: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    #[serde(default)]
    next_token: Option<String>,
    #[serde(default)]
    quotas: Vec<Quota>,
}

/// All quotas of Bedrock that the account has in the region.
pub(super) async fn of_bedrock(aws: &SdkConfig) -> Result<Vec<Quota>, AskError> {
    let service = Service::new(aws, SERVICE).map_err(|source| AskError::Unasked { service: SERVICE.0, source })?;
    let (mut quotas, mut next) = (Vec::new(), None);
    for _ in 0..PAGES_MAX {
        let mut body = json!({ "ServiceCode": "bedrock", "MaxResults": PAGE });
        if let Some(token) = next {
            body["NextToken"] = token;
        }
        let headers = [("content-type", MEDIA_TYPE), ("x-amz-target", TARGET)];
        let ask = Ask { method: "POST", path: "/", headers: &headers, body: &body.to_string() };
        let page: Page = service.read(ask).await?;
        quotas.extend(page.quotas);
        next = page.next_token.filter(|token| !token.is_empty()).map(Into::into);
        if next.is_none() {
            break;
        }
    }
    Ok(quotas)
}

/// The quotas of the model with an id of Bedrock's, such as `us.anthropic.claude-sonnet-4-20250514-v1:0`.
pub fn quotas_of(id: &str, quotas: &[Quota]) -> ModelQuotas {
    let wanted = Asked::of_id(id);
    let value = |what: &str| {
        let fits = |quota: &&Quota| Asked::of_quota(&quota.name).is_some_and(|found| found == (what, wanted.clone()));
        quotas.iter().find(fits).map(|quota| quota.value)
    };
    ModelQuotas { requests: value("requests per minute"), tokens: value("tokens per minute") }
}

/// A model, and how it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Asked {
    /// As quotas say it: `on-demand`, `cross-region`, `global cross-region`.
    how: &'static str,
    /// The words and numbers of its name, without its version.
    model: Vec<String>,
    version: String,
}

impl Asked {
    fn of_id(id: &str) -> Self {
        let (how, id) = match id.split_once('.') {
            Some(("global", id)) => ("global cross-region", id),
            Some((area, id)) if AREAS.contains(&area) => ("cross-region", id),
            _ => ("on-demand", id),
        };
        let (name, revision) = id.split_once(':').map_or((id, None), |(name, revision)| (name, Some(revision)));
        let last = name
            .rsplit_once('-')
            .filter(|(_, last)| revision.is_some() && last.trim_start_matches('v').chars().all(|c| c.is_ascii_digit()));
        let (name, version) = last.map_or((name, "1"), |(name, last)| (name, last.trim_start_matches('v')));
        let is_date = |word: &String| word.len() == DATE_DIGITS && word.chars().all(|c| c.is_ascii_digit());
        let mut model: Vec<String> = words(name).into_iter().filter(|word| !is_date(word)).collect();
        // `mistral.mistral-large`
        model.dedup();
        Self { how, model, version: version.to_owned() }
    }

    /// What a quota counts, and of what.
    fn of_quota(name: &str) -> Option<(&'static str, Self)> {
        let name = name.to_lowercase();
        let (counted, model) = name.split_once(" for ")?;
        let (how, what) = counted.split_once(" model inference ")?;
        let how = ["on-demand", "cross-region", "global cross-region"].into_iter().find(|known| *known == how)?;
        let what = ["requests per minute", "tokens per minute"].into_iter().find(|known| *known == what)?;
        let mut model = words(model.split('(').next().unwrap_or_default());
        model.dedup();
        let version = match model.as_slice() {
            [.., v, number] if v == "v" => number.clone(),
            _ => "1".to_owned(),
        };
        if model.len() > 2 && model[model.len() - 2] == "v" {
            model.truncate(model.len() - 2);
        }
        Some((what, Self { how, model, version }))
    }
}

/// Runs of letters and of digits: `Llama 3.1 8B` and `llama3-1-8b` are the same.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before = ' ';
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            let goes_on = before.is_ascii_alphanumeric() && before.is_ascii_digit() == c.is_ascii_digit();
            match words.last_mut().filter(|_| goes_on) {
                Some(word) => word.push(c.to_ascii_lowercase()),
                None => words.push(c.to_ascii_lowercase().to_string()),
            }
        }
        before = c;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_quotas_are_found_by_its_name_and_by_how_it_is_asked() {
        let name = |value: f64, name: &str| Quota { name: name.to_owned(), value };
        let quotas = [
            name(50.0, "On-demand model inference requests per minute for Anthropic Claude 3.5 Sonnet"),
            name(51.0, "On-demand model inference requests per minute for Anthropic Claude 3.5 Sonnet V2"),
            name(400_000.0, "On-demand model inference tokens per minute for Anthropic Claude 3.5 Sonnet V2"),
            name(
                9.0,
                "Model invocation max tokens per day for Anthropic Claude 3.5 Sonnet V2 (doubled for cross-region calls)",
            ),
            name(200.0, "Cross-region model inference requests per minute for Anthropic Claude Sonnet 4 V1"),
            name(201.0, "Global cross-region model inference requests per minute for Anthropic Claude Sonnet 4 V1"),
            name(100.0, "Cross-Region model inference requests per minute for Anthropic Claude Sonnet 4.5 V1"),
            name(800.0, "On-demand model inference requests per minute for Meta Llama 3.1 8B Instruct"),
            name(2_000.0, "Cross-region model inference requests per minute for Amazon Nova Pro"),
        ];
        for (id, requests, tokens) in [
            ("anthropic.claude-3-5-sonnet-20240620-v1:0", Some(50.0), None),
            ("anthropic.claude-3-5-sonnet-20241022-v2:0", Some(51.0), Some(400_000.0)),
            ("us.anthropic.claude-3-5-sonnet-20241022-v2:0", None, None),
            ("eu.anthropic.claude-sonnet-4-20250514-v1:0", Some(200.0), None),
            ("global.anthropic.claude-sonnet-4-20250514-v1:0", Some(201.0), None),
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", Some(100.0), None),
            ("meta.llama3-1-8b-instruct-v1:0", Some(800.0), None),
            ("us.amazon.nova-pro-v1:0", Some(2_000.0), None),
            ("amazon.nova-pro-v1:0", None, None),
            ("arn:aws:bedrock:us-east-1:000000000000:application-inference-profile/x", None, None),
        ] {
            assert_eq!(quotas_of(id, &quotas), ModelQuotas { requests, tokens }, "{id}");
        }
    }
}
