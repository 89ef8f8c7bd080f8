//! Queues, table, functions: numbers that depend on each other, and what the code expects to find.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_dynamodb::types::{KeySchemaElement, Projection};
use convoke_app::platform::Limits;
use convoke_aws::{TTL_ATTRIBUTE, table_definition};
use convoke_domain::review::TIME_MAX_MS;
use convoke_schema::Schema;
use serde_json::{Value, json};

use convoke_tests::template::{Resource, Template, names_in};

/// Lambda asks for this many times the function's time-out.
const VISIBILITY_TIMES: u64 = 6;
/// Fewer deliveries bury messages that were throttled.
const RECEIVES_MIN: u64 = 5;
/// As long as SQS keeps anything.
const DEAD_KEPT_S: u64 = 14 * 86_400;
/// The HTTP API waits no longer.
const HTTP_TIMEOUT_S: u64 = 30;

fn number(resource: &Resource<'_>, path: &str) -> u64 {
    let value = resource.property(path);
    value.as_u64().unwrap_or_else(|| panic!("{}: {path} is {value}", resource.name))
}

fn is_queue(resource: &Resource<'_>) -> bool {
    resource.kind == "AWS::SQS::Queue"
}

#[test]
fn all_names_are_of_something() {
    let template = Template::read();
    let known: BTreeSet<String> = template
        .resources()
        .map(|resource| resource.name.to_owned())
        .chain(template.at("/Parameters").as_object().expect("parameters").keys().cloned())
        .collect();
    for part in ["/Resources", "/Outputs", "/Globals", "/Conditions"] {
        let unknown: Vec<String> = names_in(template.at(part)).difference(&known).cloned().collect();
        assert_eq!(unknown, Vec::<String>::new(), "{part}");
    }
}

#[test]
fn a_message_stays_hidden_while_its_function_may_work_on_it() {
    let template = Template::read();
    let mut of_queues = 0;
    for mapping in template.of("AWS::Lambda::EventSourceMapping") {
        let source = template.target(mapping.property("EventSourceArn"));
        if is_queue(&source) {
            let function = template.target(mapping.property("FunctionName"));
            let least = VISIBILITY_TIMES * number(&function, "Timeout");
            assert!(number(&source, "VisibilityTimeout") >= least, "{} of {}", source.name, function.name);
            of_queues += 1;
        }
    }
    assert_eq!(of_queues, 3, "the step queue, the one for steps alone, and that of deliveries");
}

#[test]
fn what_fails_again_and_again_is_kept_apart() {
    let template = Template::read();
    let sources: Vec<Resource<'_>> = template.of("AWS::Lambda::EventSourceMapping");
    for mapping in sources {
        assert_eq!(mapping.property("FunctionResponseTypes"), &json!(["ReportBatchItemFailures"]), "{}", mapping.name);
        let source = template.target(mapping.property("EventSourceArn"));
        let dead = if is_queue(&source) {
            assert!(number(&source, "RedrivePolicy/maxReceiveCount") >= RECEIVES_MIN, "{}", source.name);
            template.target(source.property("RedrivePolicy/deadLetterTargetArn"))
        } else {
            assert_eq!(mapping.property("BisectBatchOnFunctionError"), true, "{}", mapping.name);
            assert!((1..=100).contains(&number(&mapping, "MaximumRetryAttempts")), "{}", mapping.name);
            assert!(number(&mapping, "MaximumRecordAgeInSeconds") <= 86_400, "{}", mapping.name);
            template.target(mapping.property("DestinationConfig/OnFailure/Destination"))
        };
        assert!(is_queue(&dead), "{}", dead.name);
        assert_eq!(number(&dead, "MessageRetentionPeriod"), DEAD_KEPT_S, "{}", dead.name);
    }
}

#[test]
fn every_queue_of_dead_letters_has_an_alarm() {
    let template = Template::read();
    let queues = template.of("AWS::SQS::Queue");
    let dead =
        queues.iter().filter(|queue| queue.property("RedrivePolicy").is_null()).map(|queue| queue.name.to_owned());
    let watched = template
        .of("AWS::CloudWatch::Alarm")
        .into_iter()
        .filter(|alarm| alarm.property("MetricName") == "ApproximateNumberOfMessagesVisible")
        .map(|alarm| template.target(alarm.property("Dimensions")).name.to_owned());
    assert_eq!(dead.collect::<BTreeSet<_>>(), watched.collect::<BTreeSet<_>>());
}

#[test]
fn what_kills_a_process_comes_alone() {
    let template = Template::read();
    let mappings = template.of("AWS::Lambda::EventSourceMapping");
    let solo = mappings.iter().find(|mapping| template.target(mapping.property("EventSourceArn")).name == "Solo");
    assert_eq!(solo.expect("it is mapped").property("BatchSize"), 1);
    assert_eq!(template.at("/Globals/Function/Environment/Variables/SOLO_QUEUE_URL"), &json!({"Ref": "Solo"}));
}

#[test]
fn the_stream_shows_the_items_that_change_and_no_others() {
    let template = Template::read();
    let mappings = template.of("AWS::Lambda::EventSourceMapping");
    let of_stream = mappings.iter().find(|mapping| !mapping.property("FilterCriteria").is_null()).expect("a filter");
    let filters = of_stream.property("FilterCriteria/Filters").as_array().expect("filters");
    let pattern =
        |filter: &Value| -> Value { serde_json::from_str(filter["Pattern"].as_str().expect("text")).expect("JSON") };
    let keys: Vec<Value> =
        filters.iter().map(|filter| pattern(filter)["dynamodb"]["Keys"]["sk"]["S"].clone()).collect();
    // As the module docs of `convoke_aws::table` have it: the job's item, and the groups of its maps.
    assert_eq!(keys, [json!(["J"]), json!([{"prefix": "G#"}])]);
    for filter in filters {
        assert_eq!(pattern(filter)["eventName"], json!(["INSERT", "MODIFY"]));
    }
}

#[test]
fn the_table_is_the_one_that_the_code_works_with() {
    let template = Template::read();
    let tables = template.of("AWS::DynamoDB::Table");
    let [table] = tables.as_slice() else { panic!("one table") };
    let wanted = table_definition("any").build().expect("whole");
    let keys = |keys: &[KeySchemaElement]| -> Value {
        let key =
            |key: &KeySchemaElement| json!({"AttributeName": key.attribute_name(), "KeyType": key.key_type().as_str()});
        keys.iter().map(key).collect()
    };
    let projection = |projection: &Projection| {
        let kind = projection.projection_type().expect("a type").as_str();
        match projection.non_key_attributes() {
            [] => json!({ "ProjectionType": kind }),
            attributes => json!({"ProjectionType": kind, "NonKeyAttributes": attributes}),
        }
    };
    let attributes: Value = wanted
        .attribute_definitions()
        .iter()
        .map(|a| json!({"AttributeName": a.attribute_name(), "AttributeType": a.attribute_type().as_str()}))
        .collect();
    let indexes: Value = wanted
        .global_secondary_indexes()
        .iter()
        .map(|index| {
            let projected = projection(index.projection().expect("a projection"));
            json!({"IndexName": index.index_name(), "KeySchema": keys(index.key_schema()), "Projection": projected})
        })
        .collect();
    assert_eq!(table.property("KeySchema"), &keys(wanted.key_schema()));
    assert_eq!(table.property("AttributeDefinitions"), &attributes);
    assert_eq!(table.property("GlobalSecondaryIndexes"), &indexes);
    assert_eq!(table.property("BillingMode"), wanted.billing_mode().expect("a mode").as_str());
    let view = wanted.stream_specification().and_then(|stream| stream.stream_view_type()).expect("a view");
    assert_eq!(table.property("StreamSpecification/StreamViewType"), view.as_str());
    let ttl = json!({"AttributeName": TTL_ATTRIBUTE, "Enabled": true});
    assert_eq!(table.property("TimeToLiveSpecification"), &ttl);
}

#[test]
fn each_function_has_a_package_a_role_and_a_log_that_is_thrown_away_one_day() {
    let template = Template::read();
    let mut seen = BTreeSet::new();
    for function in template.functions() {
        let folder = function.property("CodeUri").as_str().expect("a folder");
        let binary = function.whole()["Metadata"]["BuildProperties"]["Binary"].as_str().expect("a binary");
        assert_eq!(folder.replace("functions/", "convoke-").replace("bots/", "convoke-"), binary);
        let log = template.target(function.property("LoggingConfig/LogGroup"));
        assert_eq!(log.kind, "AWS::Logs::LogGroup");
        assert_eq!(log.property("RetentionInDays"), &json!({"Ref": "LogRetentionDays"}), "{}", log.name);
        let role = template.target(function.property("Role"));
        assert_eq!(role.kind, "AWS::IAM::Role");
        for own in [folder, log.name, role.name] {
            assert!(seen.insert(own.to_owned()), "{own} is of one function");
        }
    }
    let packages = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../functions")).expect("functions");
    let of_bots = template.functions().into_iter().filter(|function| function.whole().get("Condition").is_some());
    assert_eq!(packages.count(), template.functions().len() - of_bots.count(), "each package is deployed");
}

#[test]
fn who_waits_for_an_answer_gets_ours() {
    let template = Template::read();
    for integration in template.of("AWS::ApiGatewayV2::Integration") {
        let function = template.target(integration.property("IntegrationUri"));
        assert!(number(&function, "Timeout") < HTTP_TIMEOUT_S, "{}", function.name);
    }
}

#[test]
fn the_bucket_is_private_and_lets_go_of_what_nobody_needs() {
    let template = Template::read();
    let bucket = template.resource("Bucket");
    let blocks = bucket.property("PublicAccessBlockConfiguration").as_object().expect("blocks");
    assert!(blocks.len() == 4 && blocks.values().all(|block| block == true), "{blocks:?}");
    let rules = bucket.property("LifecycleConfiguration/Rules").as_array().expect("rules");
    let uploads = rules.iter().find(|rule| rule["Prefix"] == "uploads/").expect("uploads go");
    assert!(uploads["ExpirationInDays"].as_u64().is_some_and(|days| days >= 1), "{uploads}");
    let denied = template.resource("BucketPolicy").property("PolicyDocument/Statement").clone();
    assert_eq!(denied[0]["Condition"], json!({"Bool": {"aws:SecureTransport": "false"}}));
}

#[test]
fn no_job_loses_its_files_while_it_waits_for_a_person() {
    let template = Template::read();
    let parameter = template.at("/Parameters/FilesExpireDays");
    let pattern = parameter["AllowedPattern"].as_str().expect("a pattern");
    let schema = json!({"type": "string", "pattern": format!("^{pattern}$")});
    let schema = Schema::compile(&schema).expect("a schema");
    let may = |days: u64| schema.is_valid(&json!(days.to_string()));
    let longest = Limits::default().deadline_max + Duration::from_millis(TIME_MAX_MS);
    let least = longest.as_secs() / 86_400 + 1;
    let allowed: Vec<u64> = (0..=1_200).filter(|days| may(*days)).collect();
    assert_eq!(allowed, std::iter::once(0).chain(least..=1_200).collect::<Vec<_>>());
    assert_eq!(parameter["Default"], "0", "by default they stay");
}
