//! What each role may do: what its function needs, on what it needs it for.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use convoke_tests::template::{Resource, Template, names_in};

/// Statements that may name every resource, each because there is no other way.
const EVERYTHING: [(&str, &str); 1] = [("NotifyRole", "Streams")];

/// A statement of a role.
struct Statement {
    role: String,
    sid: String,
    value: Value,
}

impl Statement {
    fn list(&self, name: &str) -> Vec<Value> {
        match &self.value[name] {
            Value::Array(list) => list.clone(),
            one => vec![one.clone()],
        }
    }

    fn actions(&self) -> Vec<String> {
        self.list("Action").iter().map(|action| action.as_str().expect("a name").to_owned()).collect()
    }

    /// The partitions of the table that it is about.
    fn partitions(&self) -> Vec<String> {
        let keys = self.value["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"].as_array();
        keys.into_iter().flatten().map(|key| key.as_str().expect("a pattern").to_owned()).collect()
    }
}

fn is_of_a_bot(statement: &Statement) -> bool {
    ["DiscordRole", "TelegramRole"].contains(&statement.role.as_str())
}

/// Statements, those that depend on parameters as if they were there.
fn statements(template: &Template) -> Vec<Statement> {
    let of_role = |role: Resource<'_>| {
        let policies = role.property("Policies").as_array().expect("policies").clone();
        let name = role.name.to_owned();
        policies.into_iter().flat_map(move |policy| {
            let all = policy["PolicyDocument"]["Statement"].as_array().expect("statements").clone();
            let role = name.clone();
            all.into_iter().map(move |value| statement(&role, &value))
        })
    };
    template.of("AWS::IAM::Role").into_iter().flat_map(of_role).collect()
}

fn statement(role: &str, value: &Value) -> Statement {
    let value = value.get("Fn::If").map_or(value, |choice| &choice[1]).clone();
    assert_eq!(value["Effect"], "Allow", "{role}: {value}");
    let sid = value["Sid"].as_str().expect("a name").to_owned();
    Statement { role: role.to_owned(), sid, value }
}

/// The actions that a function's role may do on a resource, by the resource's name.
fn allowed(template: &Template, function: &str) -> BTreeMap<String, BTreeSet<String>> {
    let role = template.target(template.resource(function).property("Role")).name.to_owned();
    let mut allowed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for statement in statements(template).iter().filter(|statement| statement.role == role) {
        for resource in names_in(&statement.value["Resource"]) {
            allowed.entry(resource).or_default().extend(statement.actions());
        }
    }
    allowed
}

#[test]
fn nothing_is_allowed_by_a_pattern_of_actions_or_on_everything() {
    let template = Template::read();
    let mut everything = Vec::new();
    for statement in statements(&template) {
        let place = format!("{}/{}", statement.role, statement.sid);
        assert!(statement.actions().iter().all(|action| !action.contains('*')), "{place}: {:?}", statement.actions());
        if statement.list("Resource").iter().any(|resource| resource == "*") {
            everything.push((statement.role, statement.sid));
        }
    }
    let told: Vec<(&str, &str)> = everything.iter().map(|(role, sid)| (role.as_str(), sid.as_str())).collect();
    assert_eq!(told, EVERYTHING);
}

#[test]
fn every_resource_of_a_policy_is_of_this_stack() {
    let template = Template::read();
    let parameters = ["BedrockResources"];
    for statement in statements(&template) {
        for resource in statement.list("Resource").iter().filter(|resource| *resource != "*") {
            let names = names_in(resource);
            let is_known = |name: &String| {
                parameters.contains(&name.as_str())
                    || name.ends_with("ApiKeyParameter")
                    || name.ends_with("TokenParameter")
                    || template.resources().any(|resource| resource.name == name)
            };
            let place = format!("{}/{}", statement.role, statement.sid);
            assert!(!names.is_empty() && names.iter().all(is_known), "{place}: {resource}");
        }
    }
}

#[test]
fn no_function_touches_the_keys_of_callers_but_to_look_one_up() {
    let template = Template::read();
    for statement in statements(&template) {
        if names_in(&statement.value["Resource"]) != BTreeSet::from(["Table".to_owned()])
            || statement.value["Resource"].to_string().contains("StreamArn")
            || statement.value["Resource"].to_string().contains("index/")
        {
            continue;
        }
        let place = format!("{}/{}", statement.role, statement.sid);
        let actions = statement.actions();
        match statement.partitions().iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["KEY#*"] => assert_eq!(actions, ["dynamodb:GetItem"], "{place}"),
            // Whoever comes from a chat has no tenant yet, so one transaction writes a link, its code and the tenant's list.
            ["T#*", "LNK#*", "COD#*", "TOK#*", "UPD#*"] => assert!(is_of_a_bot(&statement), "{place}"),
            ["LNK#*", "T#*"] | ["T#*", "LNK#*", "COD#*"] => {
                let condition = &statement.value["Condition"]["ForAllValues:StringNotLike"]["dynamodb:LeadingKeys"];
                assert_eq!(condition[0], "T#*#*", "{place}: of tenants what stands in their own partition alone");
            }
            ref partitions => {
                assert!(!partitions.is_empty(), "{place} isn't bound to partitions");
                let writes = actions.iter().any(|action| !action.contains("Get") && !action.contains("Query"));
                for partition in partitions {
                    let is_known = match *partition {
                        "T#*" | "T#*#H#*" => true,
                        "LNK#*" => !writes,
                        "BOT#*" => statement.role == "DeliverRole" || !writes,
                        "COD#*" | "TOK#*" => actions == ["dynamodb:PutItem"],
                        _ => false,
                    };
                    assert!(is_known, "{place}: {partition}, {actions:?}");
                }
            }
        }
    }
}

#[test]
fn whoever_submits_may_look_whose_the_chats_are_that_a_job_tells() {
    let template = Template::read();
    let of_roles = statements(&template);
    let submits = |one: &&Statement| {
        one.actions().contains(&"sqs:SendMessage".to_owned()) && names_in(&one.value["Resource"]).contains("Steps")
    };
    let submitters: BTreeSet<&str> = of_roles.iter().filter(submits).map(|one| one.role.as_str()).collect();
    assert_eq!(submitters.len(), 6, "the API, what schedules run in, and the bots: {submitters:?}");
    for role in submitters {
        let may = |action: &str| -> BTreeSet<String> {
            let own = of_roles.iter().filter(|one| one.role == role && one.actions().iter().any(|own| own == action));
            own.flat_map(Statement::partitions).collect()
        };
        assert!(may("dynamodb:GetItem").contains("LNK#*"), "{role}: `LNK#` says whose a chat is");
        assert!(may("dynamodb:BatchGetItem").contains("BOT#*"), "{role}: `BOT#` says whether its bot may speak");
    }
}

#[test]
fn who_only_looks_writes_nothing() {
    let template = Template::read();
    let allowed = allowed(&template, "Status");
    let writes =
        |action: &&String| ["Put", "Update", "Delete", "Write", "Send"].iter().any(|verb| action.contains(verb));
    let written: Vec<&String> = allowed
        .iter()
        .filter(|(resource, _)| *resource != "StatusLog")
        .flat_map(|(_, actions)| actions)
        .filter(writes)
        .collect();
    assert_eq!(written, Vec::<&String>::new());
}

#[test]
fn functions_reach_what_they_need_and_no_further() {
    let template = Template::read();
    let reach = |function: &str| -> Vec<String> {
        let own = format!("{function}Log");
        allowed(&template, function).into_keys().filter(|name| *name != own).collect()
    };
    for (function, expected) in [
        ("Submit", &["Bucket", "Steps", "Table"][..]),
        ("Status", &["Bucket", "Table"]),
        ("Artifacts", &["Bucket", "Table"]),
        ("Control", &["Bucket", "Deliveries", "Steps", "Table"]),
        ("Notify", &["Bucket", "Deliveries", "EventsDead", "Table"]),
        ("Deliver", &["Bucket", "Deliveries", "DiscordTokenParameter", "Table", "TelegramTokenParameter"]),
        ("Discord", &["Bucket", "Deliveries", "DiscordTokenParameter", "Steps", "Table"]),
        ("Telegram", &["Bucket", "Deliveries", "Steps", "Table", "TelegramTokenParameter"]),
        ("Clock", &["Bucket", "Deliveries", "Solo", "Steps", "Table"]),
    ] {
        assert_eq!(reach(function), expected, "{function}");
    }
    let models =
        reach("Step").into_iter().filter(|name| name == "BedrockResources" || name.ends_with("ApiKeyParameter"));
    assert_eq!(models.count(), 5, "models are called by steps alone, which is why keys are theirs alone");
}

#[test]
fn nobody_lists_or_deletes_what_is_kept_but_schedules_webhooks_and_links() {
    let template = Template::read();
    for statement in statements(&template) {
        for action in statement.actions() {
            let place = format!("{}/{}", statement.role, statement.sid);
            let may_delete = action == "sqs:DeleteMessage"
                || statement.role == "ControlRole" && statement.sid == "SchedulesWebhooksAndLinks"
                || is_of_a_bot(&statement) && statement.sid == "SchedulesAndLinks"
                || statement.role == "ClockRole" && statement.sid == "Waited"
                || statement.role == "DeliverRole" && statement.sid == "MovedLinks";
            assert!(may_delete || !action.contains("Delete"), "{place}: {action}");
            if action == "dynamodb:DeleteItem" {
                let but = &statement.value["Condition"]["ForAllValues:StringNotLike"]["dynamodb:LeadingKeys"];
                assert_eq!(*but, json!(["T#*#*"]), "{place}: of tenants what stands in their own partition, no job");
            }
            assert!(action != "s3:ListBucket" || statement.sid == "MissingUploads", "{place}: {action}");
            assert!(action != "dynamodb:Scan", "{place}: {action}");
        }
    }
}
