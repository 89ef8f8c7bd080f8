//! Dependencies point one way: `domain` <- `api`, `schema` <- `app` <- `aws`, `models`, `tools` <- `runtime` <- `functions/*`.

use toml::Value;

use super::tree::{Package, locked, packages, setting};

/// The packages of the workspace that one in `folder` may be built of; `None` where nothing is laid down for it.
fn may_use(folder: &str) -> Option<&'static [&'static str]> {
    Some(match folder {
        "shared/domain" | "shared/schema" | "infra/crc-fast" => &[],
        "shared/api" => &["convoke-domain"],
        "shared/app" => &["convoke-domain", "convoke-api", "convoke-schema"],
        "bots/chat" => &["convoke-domain", "convoke-api"],
        "shared/models" => &["convoke-domain", "convoke-api", "convoke-app", "convoke-schema"],
        "shared/aws" | "shared/tools" => &["convoke-domain", "convoke-api", "convoke-app"],
        "shared/runtime" => {
            &["convoke-domain", "convoke-api", "convoke-app", "convoke-aws", "convoke-models", "convoke-tools"]
        }
        "bots/desk" => &["convoke-domain", "convoke-api", "convoke-app", "convoke-chat"],
        "bots/discord" | "bots/telegram" => {
            &["convoke-domain", "convoke-api", "convoke-app", "convoke-runtime", "convoke-chat", "convoke-desk"]
        }
        // It tells chats, so it knows how messages get there.
        "functions/deliver" => {
            &["convoke-domain", "convoke-api", "convoke-app", "convoke-runtime", "convoke-discord", "convoke-telegram"]
        }
        _ if folder.starts_with("functions/") => &["convoke-domain", "convoke-api", "convoke-app", "convoke-runtime"],
        _ => return None,
    })
}

/// The crates with AWS types in them that one in `folder` may be built of: all, or these.
fn may_use_of_aws(folder: &str) -> Option<&'static [&'static str]> {
    match folder {
        // The last two are the services' other side: what they say is their subject.
        "shared/aws" | "shared/runtime" | "infra/local" | "tests" => None,
        "shared/models" => Some(&["aws-sdk-bedrockruntime", "aws-smithy-types"]),
        _ if folder.starts_with("functions/") || folder.starts_with("bots/") => {
            Some(&["aws_lambda_events", "lambda_http", "lambda_runtime"])
        }
        _ => Some(&[]),
    }
}

fn is_of_aws(name: &str) -> bool {
    ["aws-", "aws_", "lambda_", "serde_dynamo"].iter().any(|prefix| name.starts_with(prefix))
}

fn wrong(package: &Package) -> Vec<String> {
    let Package { folder, dependencies, .. } = package;
    let ours = dependencies.iter().filter(|name| *name == "convoke" || name.starts_with("convoke-"));
    let mut wrong: Vec<String> = match (folder.as_str(), may_use(folder)) {
        ("tests", _) => Vec::new(),
        // What is run on one machine is made of everything but the tests.
        ("infra/local", _) => ours.filter(|name| *name == "convoke-tests").cloned().collect(),
        (_, Some(allowed)) => ours.filter(|name| !allowed.contains(&name.as_str())).cloned().collect(),
        (_, None) => vec!["a place in `may_use` of this test".to_owned()],
    };
    if let Some(allowed) = may_use_of_aws(folder) {
        let of_aws = dependencies.iter().filter(|name| is_of_aws(name));
        wrong.extend(of_aws.filter(|name| !allowed.contains(&name.as_str())).cloned());
    }
    wrong
}

#[test]
fn dependencies_point_one_way() {
    for package in packages() {
        assert_eq!(wrong(&package), Vec::<String>::new(), "{} must not depend on it", package.folder);
    }
}

#[test]
fn what_points_the_other_way_is_found() {
    let package = |folder: &str, dependencies: &[&str]| Package {
        folder: folder.to_owned(),
        dependencies: dependencies.iter().map(|&name| name.to_owned()).collect(),
        takes_lints: true,
    };
    for (folder, name) in [
        ("shared/domain", "convoke-api"),
        ("shared/api", "convoke-app"),
        ("shared/app", "convoke-aws"),
        ("shared/app", "aws-sdk-s3"),
        ("shared/models", "aws-sdk-s3"),
        ("shared/tools", "convoke-models"),
        ("functions/step", "convoke-aws"),
        ("functions/step", "aws-sdk-dynamodb"),
        ("infra/local", "convoke-tests"),
        ("elsewhere", "convoke-domain"),
    ] {
        assert!(!wrong(&package(folder, &[name])).is_empty(), "{folder} on {name}");
    }
    assert!(wrong(&package("functions/step", &["convoke-app", "lambda_runtime", "tokio"])).is_empty());
}

#[test]
fn the_domain_is_built_of_data_and_rules_alone() {
    let domain = packages().into_iter().find(|package| package.folder == "shared/domain").expect("it is there");
    assert_eq!(domain.dependencies.iter().collect::<Vec<_>>(), ["serde", "thiserror"]);
}

#[test]
fn the_workspaces_lints_are_everybodys() {
    let without: Vec<String> =
        packages().into_iter().filter(|package| !package.takes_lints).map(|package| package.folder).collect();
    assert_eq!(without, Vec::<String>::new());
}

/// What `cargo lambda` is told where nothing is said would have a step that panics end its nine neighbours.
#[test]
fn the_functions_are_built_small_and_step_alone_unwinds() {
    let config = |folder: &str, kind: &str| -> Option<Vec<String>> {
        let config = setting(folder, &[kind, "metadata", "lambda", "build", "config"])?;
        Some(config.as_array()?.iter().filter_map(|line| line.as_str().map(str::to_owned)).collect())
    };
    let all = config(".", "workspace").expect("the workspace's");
    let (aborts, tables) = ("profile.release.panic = 'abort'", ", '-Cforce-unwind-tables=no'");
    assert!(all.iter().any(|line| line == aborts) && all.iter().any(|line| line.contains(tables)), "{all:?}");
    let unwinds: Vec<String> = all.iter().filter(|line| *line != aborts).map(|line| line.replace(tables, "")).collect();
    assert_eq!(config("functions/step", "package"), Some(unwinds), "the same but for what unwinding needs");
    assert_eq!(setting(".", &["profile", "release", "panic"]), Some("unwind".into()));
    let others = packages().into_iter().filter(|package| package.folder != "functions/step");
    let own: Vec<String> =
        others.filter(|other| config(&other.folder, "package").is_some()).map(|other| other.folder).collect();
    assert_eq!(own, Vec::<String>::new());
}

/// A newer one that somebody asks for would come back beside it, with a warning at most.
#[test]
fn the_checksums_are_our_own() {
    let locked = locked();
    let checksums: Vec<&Value> = locked.iter().filter(|package| package["name"].as_str() == Some("crc-fast")).collect();
    assert!(matches!(checksums.as_slice(), [one] if one.get("source").is_none()), "{checksums:?}");
}
