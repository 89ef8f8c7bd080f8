//! Whatever anybody wrote, what is sent keeps to the platforms' limits, breaks no markup and calls nobody.

use convoke_chat::button::{Action, Ask, Press};
use convoke_chat::command::{COMMANDS, Verb};
use convoke_chat::page::{Block, Button, Look, Page, Span, Tone};
use convoke_chat::reply::{Choice, Question};
use convoke_chat::text::units;
use convoke_chat::{discord, telegram};
use proptest::prelude::*;

const TOKEN: &str = "Ab3_-fGh1JkLmNoPqRsT12";

/// What models write when they are told to misbehave, and what people paste.
fn nasty() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("@everyone ".to_owned()),
        Just("@here".to_owned()),
        Just("<@42> <@&7> <#9> </b></blockquote>".to_owned()),
        Just("\u{202E}drawkcab\u{2066}\u{200F}".to_owned()),
        Just("```\n***__~~||# > - [x](http://x) <b>&amp;\"'".to_owned()),
        Just("👩‍👩‍👧‍👦😀𝕏".to_owned()),
        Just("\\".repeat(50)),
        Just("`".repeat(30)),
        Just("\n".repeat(20)),
        Just("&<>\"".repeat(100)),
        Just("x".repeat(900)),
        Just("\0\u{7}\u{1b}[31m".to_owned()),
        "\\PC{0,40}",
    ];
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

fn span() -> impl Strategy<Value = Span> {
    prop_oneof![
        4 => nasty().prop_map(Span::Text),
        2 => nasty().prop_map(Span::Bold),
        2 => nasty().prop_map(Span::Code),
        1 => (any::<u64>(), any::<u64>()).prop_map(|(at_ms, now_ms)| Span::Relative { at_ms, now_ms }),
        1 => any::<u64>().prop_map(Span::Moment),
        1 => Just(Span::Command(Verb::ScheduleCreate)),
        1 => Just(Span::Usage(Verb::Run)),
        1 => (nasty(), nasty()).prop_map(|(label, rest)| Span::Link { label, url: format!("https://x/{rest}") }),
    ]
}

fn block() -> impl Strategy<Value = Block> {
    let spans = || prop::collection::vec(span(), 0..6);
    prop_oneof![
        spans().prop_map(Block::Line),
        spans().prop_map(|spans| Block::Item("✅", spans)),
        nasty().prop_map(Block::Quote),
        Just(Block::Gap),
    ]
}

fn page() -> impl Strategy<Value = Page> {
    let button = nasty().prop_map(|label| Button {
        label: format!("b{label}"),
        press: Press { action: Action::Stop, token: TOKEN.parse().expect("a token") },
        look: Look::Plain,
    });
    let rows = prop::collection::vec(prop::collection::vec(button, 1..7), 0..7);
    (nasty(), prop::collection::vec(block(), 0..25), rows).prop_map(|(title, blocks, buttons)| Page {
        tone: Tone::Plain,
        title,
        blocks,
        buttons,
    })
}

/// Whether the HTML's tags are closed in order, and nothing else stands where a tag or an entity would.
fn is_balanced(html: &str) -> bool {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        let Some(end) = rest[at..].find('>') else { return false };
        let tag = &rest[at + 1..at + end];
        let name = tag.trim_start_matches('/').split(' ').next().unwrap_or_default();
        if !["b", "i", "code", "blockquote", "a"].contains(&name) {
            return false;
        }
        if tag.starts_with('/') {
            if open.pop() != Some(name) {
                return false;
            }
        } else {
            open.push(name);
        }
        rest = &rest[at + end + 1..];
    }
    let entities = ["&amp;", "&lt;", "&gt;", "&quot;"];
    let is_entity = |at: usize| entities.iter().any(|entity| html[at..].starts_with(entity));
    open.is_empty() && html.match_indices('&').all(|(at, _)| is_entity(at))
}

/// Marks of Discord that nothing stands before to take their meaning, outside of code.
fn bare_marks(markdown: &str) -> usize {
    let (mut bare, mut escaped, mut in_code) = (0, false, false);
    for c in markdown.chars() {
        match c {
            _ if escaped => escaped = false,
            '`' => in_code = !in_code,
            _ if in_code => {}
            '\\' => escaped = true,
            '_' | '~' | '|' => bare += 1,
            _ => {}
        }
    }
    bare + usize::from(in_code) + usize::from(escaped)
}

fn calls(text: &str) -> bool {
    let text = text.to_lowercase();
    ["@everyone", "@here", "<@4", "<@&", "\u{202e}"].into_iter().any(|call| text.contains(call))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn discord_takes_every_message(page in page()) {
        let message = discord::message(&page);
        let embed = &message.embeds[0];
        prop_assert!((1..=discord::TITLE_UNITS_MAX).contains(&units(&embed.title)));
        prop_assert!(units(&embed.description) <= discord::DESCRIPTION_UNITS_MAX);
        prop_assert!(units(&embed.title) + units(&embed.description) <= 6_000);
        prop_assert!(message.components.len() <= 5);
        for row in &message.components {
            prop_assert!((1..=5).contains(&row.components.len()));
            for key in &row.components {
                prop_assert!((1..=80).contains(&units(&key.label)) && key.custom_id.len() <= 100);
            }
        }
        let json = serde_json::to_value(&message).expect("json");
        prop_assert_eq!(&json["allowed_mentions"], &serde_json::json!({"parse": []}));
        prop_assert!(!calls(&json.to_string()), "{}", json);
        let plain = discord::plain(&page).content;
        prop_assert!(units(&plain) <= discord::CONTENT_UNITS_MAX && !calls(&plain));
    }

    #[test]
    fn telegram_takes_every_message(page in page()) {
        let message = telegram::message(&page);
        prop_assert!((1..=telegram::TEXT_UNITS_MAX).contains(&units(&message.text)));
        prop_assert!(is_balanced(&message.text), "{}", message.text);
        prop_assert!(!calls(&message.text));
        let plain = telegram::plain(&page).text;
        prop_assert!((1..=telegram::TEXT_UNITS_MAX).contains(&units(&plain)) && !calls(&plain));
        prop_assert!(units(&telegram::alert(&page)) <= telegram::ALERT_UNITS_MAX);
    }

    #[test]
    fn words_of_others_are_never_marks(text in nasty()) {
        let page = Page::new(Tone::Plain, text.clone()).text(text.clone()).quote(text);
        let embed = &discord::message(&page).embeds[0];
        prop_assert_eq!(bare_marks(&embed.title), 0, "{}", embed.title);
        for line in embed.description.lines() {
            let line = line.strip_prefix("> ").unwrap_or(line);
            prop_assert_eq!(bare_marks(line), 0, "{}", line);
            prop_assert!(!line.starts_with(['#', '-', '+', '>']), "{}", line);
        }
    }

    #[test]
    fn questions_and_choices_fit(title in nasty(), value in nasty()) {
        let question = Question {
            ask: Ask::Run { flow: Some("software".into()), budget: None },
            title: format!("t{title}"),
            label: format!("l{title}"),
            placeholder: title.clone(),
        };
        let modal = discord::modal(&question);
        let field = &modal.components[0].components[0];
        prop_assert!((1..=45).contains(&units(&modal.title)) && (1..=45).contains(&units(&field.label)));
        prop_assert!(units(&field.placeholder) <= 100 && modal.custom_id.len() <= 100);
        let message = telegram::question(&question);
        prop_assert!(is_balanced(&message.text) && !calls(&message.text));
        let shown = message.text.replace("<i>", "").replace("</i>", "");
        prop_assert_eq!(Ask::asked_in(&shown), Some(question.ask));
        let choices: Vec<Choice> = (0..40).map(|_| Choice { name: title.clone(), value: value.clone() }).collect();
        let offers = discord::offers(&choices);
        prop_assert!(offers.len() <= discord::CHOICES_MAX);
        prop_assert!(offers.iter().all(|offer| (1..=100).contains(&units(&offer.name)) && units(&offer.value) <= 100));
    }

    #[test]
    fn a_quote_gets_the_room_that_is_left(text in "[a-z ]{9000,10000}") {
        let page = Page::new(Tone::Plain, "Title").quote(text).text("the last line");
        let (embed, html) = (discord::message(&page).embeds[0].description.clone(), telegram::message(&page).text);
        prop_assert!(embed.ends_with("the last line") && html.ends_with("the last line"));
        prop_assert!(units(&embed) > 4_000 && units(&html) > 4_000, "{} {}", units(&embed), units(&html));
    }
}

#[test]
fn all_commands_fit_on_one_page() {
    let page = COMMANDS.iter().fold(Page::new(Tone::Plain, "Help"), |page, spec| {
        page.line([Span::Usage(spec.verb), Span::text(format!(" — {}", spec.about))])
    });
    assert!(telegram::message(&page).text.contains("/start"));
}
