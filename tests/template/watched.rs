//! Alarms and the dashboard watch metrics that there are: our own as the code writes them, the services' as they are
//! documented.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use convoke_api::schema::STOP_REASONS;
use convoke_app::model::{Finish, ModelAnswer, ModelError, ModelProfile, Usage};
use convoke_app::ports::{EventKind, Posted};
use convoke_domain::money::{MicroUsd, Price};
use convoke_runtime::emf::{Emf, METRICS_MAX, NAMESPACE};
use convoke_runtime::observe::Observer;
use convoke_tests::template::{Resource, Template, names_in};
use serde_json::{Value, json};

const INSTALLATION: &str = "mine";
/// Functions that there are only where their platform is set up.
const BOTS: [&str; 2] = ["Discord", "Telegram"];

/// What the services measure by themselves: namespace, dimension, type of the resource that it names, metrics.
const OF_SERVICES: [(&str, &str, &str, &[&str]); 4] = [
    ("AWS/Lambda", "FunctionName", "AWS::Serverless::Function", &["Invocations", "Errors", "Throttles", "IteratorAge"]),
    (
        "AWS/SQS",
        "QueueName",
        "AWS::SQS::Queue",
        &["ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"],
    ),
    ("AWS/ApiGateway", "ApiId", "AWS::ApiGatewayV2::Api", &["Count", "4xx", "5xx"]),
    ("AWS/DynamoDB", "TableName", "AWS::DynamoDB::Table", &["ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits"]),
];

/// A metric: namespace, name, dimensions with their values.
type Metric = (String, String, BTreeMap<String, String>);

/// Every metric that the functions write, read off the lines that they write.
fn written() -> BTreeSet<Metric> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&lines);
    let emf = Emf::new(INSTALLATION.to_owned(), Arc::new(move |line| kept.lock().expect("kept").push(line.to_owned())));
    let price = Price { input_per_mtok: MicroUsd::from_usd(1), output_per_mtok: MicroUsd::from_usd(1) };
    let profile = ModelProfile {
        name: "openai/x".to_owned(),
        context_tokens: 1,
        output_tokens_max: 1,
        capable: true,
        price: Some(price),
    };
    let usage = Usage { input_tokens: 1_000, output_tokens: 1_000, reported_usd: None };
    let answer = ModelAnswer { text: String::new(), tool_calls: Vec::new(), finish: Finish::Stop, usage };
    let throttled = ModelError::Throttled { retry_after: None, detail: String::new() };
    for done in [Ok(answer), Err(throttled), Err(ModelError::Cancelled)] {
        emf.called(&profile, &done, Duration::from_millis(5));
    }
    emf.happened(&[
        &EventKind::StepCompleted { step: "a".to_owned(), attempt: 1 },
        &EventKind::StepFailed { step: "b".to_owned(), attempt: 1 },
    ]);
    for stop_reason in STOP_REASONS {
        emf.happened(&[&EventKind::Ended { status: stop_reason.status(), stop_reason }]);
    }
    for status in [200, 500] {
        emf.posted(&Ok(Posted { status, retry_after: None }));
    }
    let lines = lines.lock().expect("kept").clone();
    lines.iter().flat_map(|line| metrics_of(&serde_json::from_str(line).expect("JSON"))).collect()
}

fn metrics_of(line: &Value) -> Vec<Metric> {
    let directive = &line["_aws"]["CloudWatchMetrics"][0];
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let names = directive["Dimensions"][0].as_array().expect("a set").iter().map(text);
    let dimensions: BTreeMap<String, String> = names.map(|name| (name.clone(), text(&line[&name]))).collect();
    let metrics = directive["Metrics"].as_array().expect("metrics").iter();
    metrics.map(|metric| (text(&directive["Namespace"]), text(&metric["Name"]), dimensions.clone())).collect()
}

/// What filters make of logs; these have no dimensions, and a namespace of their stack's own.
fn filtered(template: &Template) -> Vec<(Value, String)> {
    let transformations = |filter: Resource<'_>| filter.property("MetricTransformations").as_array().cloned();
    let all = template.of("AWS::Logs::MetricFilter").into_iter().filter_map(transformations).flatten();
    all.map(|made| (made["MetricNamespace"].clone(), made["MetricName"].as_str().expect("a name").to_owned())).collect()
}

fn is_of_service(template: &Template, namespace: &str, name: &str, dimensions: &[(String, Value)]) -> bool {
    let Some((_, dimension, kind, metrics)) = OF_SERVICES.iter().find(|(of, ..)| *of == namespace) else {
        return false;
    };
    let [(given, value)] = dimensions else { return false };
    metrics.contains(&name) && given == dimension && template.target(value).kind == *kind
}

/// Dimensions of our own metrics, the stack's name as the installation that `written` has.
fn own(dimensions: &[(String, Value)]) -> BTreeMap<String, String> {
    let stack = [json!({"Ref": "AWS::StackName"}), json!({"Fn::Sub": "${AWS::StackName}"})];
    let value = |value: &Value| match value.as_str() {
        Some(text) => text.to_owned(),
        None if stack.contains(value) => INSTALLATION.to_owned(),
        None => panic!("{value}"),
    };
    dimensions.iter().map(|(name, given)| (name.clone(), value(given))).collect()
}

#[test]
fn every_alarm_watches_a_metric_that_there_is_and_tells_the_topic() {
    let template = Template::read();
    let (written, filtered) = (written(), filtered(&template));
    for alarm in template.of("AWS::CloudWatch::Alarm") {
        let namespace = alarm.property("Namespace");
        let name = alarm.property("MetricName").as_str().expect("a name").to_owned();
        let dimensions: Vec<(String, Value)> = alarm
            .property("Dimensions")
            .as_array()
            .into_iter()
            .flatten()
            .map(|one| (one["Name"].as_str().expect("a name").to_owned(), one["Value"].clone()))
            .collect();
        let is_known = match namespace.as_str() {
            Some(NAMESPACE) => written.contains(&(NAMESPACE.to_owned(), name.clone(), own(&dimensions))),
            Some(service) => is_of_service(&template, service, &name, &dimensions),
            None => dimensions.is_empty() && filtered.contains(&(namespace.clone(), name.clone())),
        };
        assert!(is_known, "{}: {namespace} {name} {dimensions:?}", alarm.name);
        for actions in ["AlarmActions", "OKActions"] {
            assert_eq!(alarm.property(actions), &json!([{"Ref": "AlarmTopicArn"}]), "{}", alarm.name);
        }
        let of_a_bot = names_in(alarm.property("Dimensions")).into_iter().find(|name| BOTS.contains(&name.as_str()));
        let wanted = match of_a_bot {
            Some(bot) => format!("Has{bot}Alarms"),
            None if namespace == NAMESPACE => "HasMetricAlarms".to_owned(),
            None => "HasAlarms".to_owned(),
        };
        assert_eq!(alarm.whole()["Condition"], wanted, "{}", alarm.name);
        let both = template.at(&format!("/Conditions/{wanted}")).to_string();
        assert!(wanted == "HasAlarms" || both.contains(r#"{"Condition":"HasAlarms"}"#), "{wanted}: {both}");
    }
}

#[test]
fn people_are_told_that_what_they_speak_to_fails() {
    let template = Template::read();
    let alarms = template.of("AWS::CloudWatch::Alarm");
    let errors = alarms.iter().filter(|alarm| alarm.property("MetricName") == "Errors");
    let watched: BTreeSet<&str> = errors.map(|alarm| template.target(alarm.property("Dimensions")).name).collect();
    assert_eq!(watched, ["Clock", "Step"].into_iter().chain(BOTS).collect());
}

/// The dashboard with these bots.
fn dashboard(template: &Template, bots: &[&str]) -> Value {
    let dashboard = template.resource("Overview");
    let mut text = dashboard.property("DashboardBody/Fn::Sub/0").as_str().expect("a text").to_owned();
    for (name, value) in dashboard.property("DashboardBody/Fn::Sub/1").as_object().expect("values") {
        let [condition, there, gone] = value["Fn::If"].as_array().expect("a choice").as_slice() else {
            panic!("{value}")
        };
        let is_there = bots.iter().any(|bot| *condition == format!("Has{bot}"));
        let value = if is_there { &there["Fn::Sub"] } else { gone };
        text = text.replace(&format!("${{{name}}}"), value.as_str().expect("a text"));
    }
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn the_dashboard_shows_every_function_that_there_is() {
    let template = Template::read();
    for bots in [&[][..], &BOTS[..1], &BOTS[1..], &BOTS] {
        let others = template.functions().into_iter().filter(|function| function.whole().get("Condition").is_none());
        let functions: BTreeSet<String> = others
            .map(|function| function.name)
            .chain(bots.iter().copied())
            .map(|name| format!("${{{name}}}"))
            .collect();
        let body = dashboard(&template, bots);
        for title in ["Errors of functions", "Throttles of functions"] {
            let mut widgets = body["widgets"].as_array().expect("widgets").iter();
            let widget = widgets.find(|widget| widget["properties"]["title"] == title).expect(title);
            let metrics = widget["properties"]["metrics"].as_array().expect("metrics").iter();
            let shown: BTreeSet<String> =
                metrics.map(|metric| metric[3].as_str().expect("a name").to_owned()).collect();
            assert_eq!(shown, functions, "{title} with {bots:?}");
        }
    }
}

#[test]
fn the_dashboard_shows_metrics_that_there_are_and_all_of_our_own() {
    let template = Template::read();
    let written = written();
    let body = dashboard(&template, &BOTS);
    let widgets = body["widgets"].as_array().expect("widgets");
    let metrics = |widget: &Value| widget["properties"]["metrics"].as_array().expect("metrics").clone();
    let mut shown = BTreeSet::new();
    for metric in widgets.iter().flat_map(metrics) {
        // The last may be how it is shown.
        let parts: Vec<&str> = metric.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
        let [namespace, name, dimensions @ ..] = parts.as_slice() else { panic!("{metric}") };
        let value = |text: &str| if text.contains("${") { json!({ "Fn::Sub": text }) } else { json!(text) };
        let pair = |pair: &[&str]| (pair[0].to_owned(), value(pair[1]));
        let dimensions: Vec<(String, Value)> = dimensions.chunks_exact(2).map(pair).collect();
        if *namespace == NAMESPACE {
            shown.insert(((*namespace).to_owned(), (*name).to_owned(), own(&dimensions)));
        } else {
            assert!(is_of_service(&template, namespace, name, &dimensions), "{metric}");
        }
    }
    assert_eq!(shown, written, "what is written, and what is shown of it");
    assert_eq!(names_in(template.at("/Conditions/HasDashboard")), BTreeSet::from(["Dashboard".to_owned()]));
}

#[test]
fn metrics_are_few_and_tell_of_no_tenant() {
    let written = written();
    assert_eq!(written.len(), METRICS_MAX);
    let dimensions: BTreeSet<&str> =
        written.iter().flat_map(|(.., dimensions)| dimensions.keys().map(String::as_str)).collect();
    assert_eq!(dimensions, BTreeSet::from(["Installation", "StopReason"]));
}

#[test]
fn the_filter_for_stuck_jobs_reads_what_the_clock_logs() {
    let template = Template::read();
    let filter = template.resource("StuckJobs");
    assert_eq!(template.target(filter.property("LogGroupName")).name, "ClockLog");
    let source = include_str!("../../functions/clock/src/lib.rs");
    let said = source.lines().find(|line| line.contains("\"ticked\")")).expect("the clock says what it did");
    assert!(said.contains("info!(") && said.contains("failed ="), "{said}");
    assert_eq!(filter.property("FilterPattern"), r#"{ ($.message = "ticked") && ($.failed > 0) }"#);
    assert_eq!(filter.property("MetricTransformations/0/MetricValue"), "$.failed");
}
