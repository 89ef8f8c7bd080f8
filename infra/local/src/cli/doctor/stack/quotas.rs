//! What the account may ask of Bedrock's models in a minute, beside what the steps that are worked at once would ask.

use std::collections::BTreeSet;

use convoke_runtime::installation::{Installation, ModelQuotas, quotas_of};

use super::Report;

/// How long a call takes, as the template's own example of the pace has it.
const CALL_S: u32 = 20;

/// Tells the quotas of each model of Bedrock among these, where there are any.
pub(super) async fn of_bedrock(
    report: &mut Report,
    found: &Installation,
    (names, at_once): (&BTreeSet<String>, Option<u32>),
) {
    let ids: Vec<&str> = names.iter().filter_map(|name| name.strip_prefix("bedrock/")).collect();
    if ids.is_empty() {
        return;
    }
    let all = match found.bedrock_quotas().await {
        Ok(all) => all,
        Err(error) => return report.failed("quota", &error, "see to your right servicequotas:ListServiceQuotas"),
    };
    for id in ids {
        tell(report, id, (quotas_of(id, &all), at_once));
    }
}

fn tell(report: &mut Report, id: &str, (quotas, at_once): (ModelQuotas, Option<u32>)) {
    let ModelQuotas { requests, tokens } = quotas;
    if requests.is_none() && tokens.is_none() {
        report.good(
            "quota",
            format_args!("bedrock/{id}: none is called so; Service Quotas, Amazon Bedrock has them all"),
        );
        return;
    }
    let amount =
        |value: Option<f64>| value.map_or_else(|| "an unknown number of".to_owned(), |value| format!("{value}"));
    let may = format!("{} requests and {} tokens a minute", amount(requests), amount(tokens));
    let Some(at_once) = at_once else {
        report.good("quota", format_args!("bedrock/{id}: {may}"));
        return;
    };
    let calls = at_once.saturating_mul(60 / CALL_S);
    let told = format!("bedrock/{id}: {may}; {at_once} steps at once make {calls} calls of {CALL_S} s each");
    if requests.is_some_and(|requests| f64::from(calls) > requests) {
        let hint = "calls will be throttled, and come later: lower StepConcurrency, or ask for more (Service Quotas, Amazon Bedrock)";
        report.wrong("quota", told, hint);
    } else {
        report.good("quota", told);
    }
}
