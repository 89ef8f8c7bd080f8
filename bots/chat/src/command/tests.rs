use serde_json::Value as Json;

use super::*;

const HERE: Hearing<'static> = Hearing { bot: "convoke_bot", is_private: false, flows: &["software", "market-report"] };
const JOB: &str = "01KAJ0X5T3ZQ4V8N2M6R7W9YBC";

fn heard(text: &str) -> Command {
    parse(text, Vec::new(), &HERE).expect("for us").unwrap_or_else(|misread| panic!("{text}: {}", misread.what))
}

fn misread(text: &str) -> String {
    parse(text, Vec::new(), &HERE).expect("for us").expect_err(text).what
}

fn run(flow: Option<&str>, budget: Option<u64>, prompt: Option<&str>) -> Command {
    Command::Run(Run {
        flow: flow.map(Into::into),
        prompt: prompt.map(Into::into),
        budget: budget.map(MicroUsd),
        ..Run::default()
    })
}

fn text(name: &str, value: &str) -> Given {
    Given { name: name.to_owned(), value: Value::Text(value.to_owned()) }
}

fn name(text: &str) -> JobName {
    text.parse().expect("a name")
}

#[test]
fn a_job_is_asked_for_in_one_line_or_in_two() {
    let api = Some("a todo api");
    for (text, expected) in [
        ("/run a todo api", run(None, None, api)),
        ("/run@Convoke_Bot software --budget 1.50 a todo api", run(Some("software"), Some(1_500_000), api)),
        ("/run --budget=1,50 --flow software a todo api", run(Some("software"), Some(1_500_000), api)),
        ("/run —budget $2 a todo api", run(None, Some(2_000_000), api)),
        ("/run a todo api --budget 2 --flow market-report", run(Some("market-report"), Some(2_000_000), api)),
        ("/run software: a todo api", run(Some("software"), None, api)),
        ("/run software\na todo api", run(Some("software"), None, api)),
        ("/run software for accountants", run(None, None, Some("software for accountants"))),
        ("/run market-report ACME", run(Some("market-report"), None, Some("ACME"))),
        ("/run a cli with a --verbose flag", run(None, None, Some("a cli with a --verbose flag"))),
        ("/run explain --verbose x", run(None, None, Some("explain --verbose x"))),
        ("/run software", run(Some("software"), None, None)),
        ("/RUN", run(None, None, None)),
        ("/run line\nby line", run(None, None, Some("line\nby line"))),
    ] {
        assert_eq!(heard(text), expected, "{text}");
    }
}

#[test]
fn what_else_a_flow_takes_is_named() {
    for text in [
        "/run software --input review_plan=true,rounds=3 --input topic=tea a todo api",
        "/run a todo api --input topic=tea --input rounds=3 --input review_plan=true --flow software",
    ] {
        let Command::Run(run) = heard(text) else { panic!("{text}") };
        let inputs = serde_json::to_value(run.inputs).expect("JSON");
        assert_eq!(inputs, serde_json::json!({"review_plan": true, "rounds": 3, "topic": "tea"}), "{text}");
        assert_eq!((run.flow.as_deref(), run.prompt.as_deref()), (Some("software"), Some("a todo api")), "{text}");
    }
}

#[test]
fn what_is_said_to_others_is_not_for_us() {
    for text in ["", "hello", "run x", "/", "/ run", "/run@other_bot x", "/weather", "//run"] {
        assert_eq!(parse(text, Vec::new(), &HERE), None, "{text}");
    }
    let alone = Hearing { is_private: true, ..HERE };
    assert!(parse("/weather", Vec::new(), &alone).is_some_and(|heard| heard.is_err()));
    assert!(parse("/weather@convoke_bot", Vec::new(), &HERE).is_some_and(|heard| heard.is_err()));
}

#[test]
fn jobs_are_named_by_their_ids_or_the_ends_of_them() {
    assert_eq!(heard(&format!("/status {JOB}")), Command::Status { job: Some(name(JOB)) });
    assert_eq!(heard("/status …7w9ybc"), Command::Status { job: Some(name("7W9YBC")) });
    assert_eq!(heard("/status"), Command::Status { job: None });
    assert_eq!(heard("/cancel `W9YBC`"), Command::Cancel { job: Some(name("W9YBC")) });
    assert_eq!(heard("/stop W9YBC"), Command::Cancel { job: Some(name("W9YBC")) });
    assert_eq!(
        heard("/retry W9YBC --budget 3"),
        Command::Retry { job: Some(name("W9YBC")), budget: Some(MicroUsd::from_usd(3)) }
    );
    assert_eq!(heard("/files W9YBC"), Command::Artifacts { job: Some(name("W9YBC")), path: None });
    let readme = || Some("docs/README.md".to_owned());
    assert_eq!(heard("/files docs/README.md"), Command::Artifacts { job: None, path: readme() });
    assert_eq!(heard("/files w9ybc docs/README.md"), Command::Artifacts { job: Some(name("W9YBC")), path: readme() });
    assert_eq!(heard("/cost"), Command::Cost { job: None });
    assert_eq!(heard("/jobs awaiting review"), heard("/list awaiting_review"));
    let id: JobId = JOB.parse().expect("an id");
    assert!("ybc".parse::<JobName>().is_err());
    assert!(name("9ybc").names(&id) && name("9ybc").id().is_none());
    assert_eq!(name(JOB).id(), Some(id.clone()));
    assert_eq!(JobName::short(&id), "7W9YBC");
}

#[test]
fn a_follow_up_may_leave_its_job_out() {
    let follow_up = |job: Option<JobName>, prompt: &str| {
        Command::FollowUp(FollowUp { job, prompt: Some(prompt.to_owned()), budget: None })
    };
    assert_eq!(heard(&format!("/followup {JOB} add tests")), follow_up(Some(name(JOB)), "add tests"));
    assert_eq!(heard("/followup 7W9YBC add tests"), follow_up(Some(name("7W9YBC")), "add tests"));
    assert_eq!(heard("/follow_up add tests"), follow_up(None, "add tests"));
    assert_eq!(heard("/followup"), Command::FollowUp(FollowUp::default()));
}

#[test]
fn schedules_are_made_and_kept() {
    let create = |when: When, prompt: &str| {
        let run = Run { prompt: Some(prompt.to_owned()), ..Run::default() };
        Command::Schedule(Schedule::Create { when, zone: None, run })
    };
    let cron = |fields: &str| When::Cron(fields.to_owned());
    for (text, expected) in [
        ("/schedule daily 06:00 report", create(cron("0 6 * * *"), "report")),
        ("/schedule weekdays at 18:30 report", create(cron("30 18 * * MON-FRI"), "report")),
        ("/schedule create weekly monday 7:05 report", create(cron("5 7 * * MON"), "report")),
        ("/schedule tue 7:05 report", create(cron("5 7 * * TUE"), "report")),
        ("/schedule hourly report", create(cron("0 * * * *"), "report")),
        ("/schedule every 6h a long report", create(When::Every(21_600), "a long report")),
        ("/schedule \"0  6 * * 1-5\" report", create(cron("0 6 * * 1-5"), "report")),
        ("/schedule “0 6 * * 1-5” report", create(cron("0 6 * * 1-5"), "report")),
    ] {
        assert_eq!(heard(text), expected, "{text}");
    }
    let Command::Schedule(Schedule::Create { zone, run, .. }) =
        heard("/schedule daily 06:00 --zone Europe/Berlin --budget 1 report")
    else {
        panic!("a schedule");
    };
    assert_eq!((zone.as_deref(), run.budget), (Some("Europe/Berlin"), Some(MicroUsd::from_usd(1))));
    assert_eq!(heard("/schedule list"), Command::Schedule(Schedule::List));
    assert_eq!(heard("/schedule pause AB12"), Command::Schedule(Schedule::Pause { id: "AB12".into() }));
    assert_eq!(heard("/schedule resume AB12"), Command::Schedule(Schedule::Resume { id: "AB12".into() }));
    assert_eq!(heard("/schedule delete AB12"), Command::Schedule(Schedule::Delete { id: "AB12".into() }));
}

#[test]
fn who_writes_something_wrong_is_told_what_to_write() {
    for (text, told) in [
        ("/run --budget lots x", "I can't read the budget “lots”: write US dollars, such as 1.50."),
        ("/run --budget 0 x", "I can't read the budget “0”: nothing can be done for nothing"),
        ("/run --budget", "Something has to follow --budget."),
        ("/run --input tea x", "I can't read the input “tea”: write name=value, such as review_plan=true"),
        ("/run --input prompt=tea x", "I can't read the input “prompt=tea”: write name=value"),
        ("/run --input a=b", "The prompt is missing: What you want"),
        ("/run --colour red x", "--colour isn't an option here. There are: flow, budget, input, prompt"),
        ("/run --flow a/b x", "I can't read the flow “a/b”: write a flow's name, such as software."),
        ("/status x", "I can't read the job “x”: expected a job's id, or at least its last 4 characters."),
        ("/status 7W9YBC now", "I don't know what to do with “now”."),
        ("/jobs dancing", "I can't read the status “dancing”: write one of queued, working"),
        ("/schedule", "The when is missing"),
        ("/schedule daily", "I can't read a time at the beginning of “daily”: write daily 06:00"),
        ("/schedule daily 25:00 x", "I can't read a time at the beginning"),
        ("/schedule every 0m x", "I can't read a time at the beginning"),
        ("/schedule every h x", "I can't read a time at the beginning"),
        ("/schedule \"1 2 3\" x", "I can't read a time at the beginning"),
        ("/schedule daily 06:00", "The prompt is missing: What you want"),
        ("/schedule pause", "The schedule is missing: Which schedule"),
        ("/help me", "I don't know what to do with “me”."),
    ] {
        let what = misread(text);
        assert!(what.starts_with(told), "{text}: {what}");
    }
}

#[test]
fn discords_options_make_the_same_commands() {
    let given = vec![text("prompt", " a todo api "), text("budget", "1.5"), text("flow", "software")];
    assert_eq!(from_options(&["run"], given), Ok(run(Some("software"), Some(1_500_000), Some("a todo api"))));
    let file =
        Attached { name: "a.md".into(), media_type: None, bytes: 5, source: "https://cdn.discordapp.com/a.md".into() };
    let given = vec![Given { name: "file2".into(), value: Value::File(file.clone()) }];
    let Ok(Command::Run(run)) = from_options(&["run"], given) else { panic!("a job") };
    assert_eq!(run.files, [file]);
    assert_eq!(from_options(&["schedule", "list"], Vec::new()), Ok(Command::Schedule(Schedule::List)));
    let given = vec![text("when", "0 6 * * 1-5"), text("prompt", "report")];
    assert!(matches!(
        from_options(&["schedule", "create"], given),
        Ok(Command::Schedule(Schedule::Create { when: When::Cron(_), .. }))
    ));
    let given = vec![text("when", "whenever you like it best"), text("prompt", "report")];
    assert!(from_options(&["schedule", "create"], given).is_err());
    assert!(from_options(&["start"], Vec::new()).is_err(), "Telegram's alone");
    assert!(from_options(&["dance"], Vec::new()).is_err());
    assert!(from_options(&["help"], vec![text("budget", "1")]).is_err());
}

#[test]
fn deep_links_carry_codes() {
    assert_eq!(payload_of_start("/start ABC-123", &HERE), Some("ABC-123"));
    assert_eq!(payload_of_start("/start@convoke_bot ABC", &HERE), Some("ABC"));
    for text in ["/start", "/start@other ABC", "/run ABC", "start ABC"] {
        assert_eq!(payload_of_start(text, &HERE), None, "{text}");
    }
    assert_eq!(heard("/start ABC"), Command::Start { payload: Some("ABC".into()) });
    assert_eq!(heard("/link ABC"), Command::Link { code: Some("ABC".into()) });
}

#[test]
fn every_command_can_be_registered() {
    for spec in COMMANDS {
        assert!((1..=100).contains(&spec.about.chars().count()), "{}", spec.about);
        let mut needs = spec.options.iter().map(|option| option.is_required);
        assert!(
            needs.by_ref().skip_while(|is_required| *is_required).all(|is_required| !is_required),
            "{:?}",
            spec.verb
        );
        for option in spec.options {
            assert!((1..=100).contains(&option.about.chars().count()), "{}", option.about);
            assert!(option.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
        }
        if let Some(name) = spec.telegram.first() {
            assert!(name.len() <= 32 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
        }
    }
    insta::assert_json_snapshot!("discord_commands", discord_commands());
    insta::assert_json_snapshot!("telegram_commands", telegram_commands());
    let usages: Vec<String> = COMMANDS.iter().map(Spec::usage).collect();
    insta::assert_snapshot!("usages", usages.join("\n"));
    let names = |value: &Json| value.as_array().map_or(0, Vec::len);
    assert!(names(&discord_commands()[0]["options"]) <= 25);
}
