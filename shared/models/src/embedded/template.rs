//! The conversation as the model was trained to read it: the GGUF file's own chat template, rendered.

use convoke_app::model::Message;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{Environment, ErrorKind, context};

use super::tokenizer::Tokenizer;

/// Steps that a template may take: some 10 for each message are usual.
const FUEL: u64 = 1_000_000;
/// What instruct models read most often, for a file that has no template.
const CHAT_ML: &str = "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' + message.content + \
                       '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/// A model's chat template.
pub struct ChatTemplate {
    environment: Environment<'static>,
    begin: String,
    end: String,
}

/// One turn, as templates know it.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    role: &'static str,
    content: String,
}

impl ChatTemplate {
    /// Compiles a template; `ChatML` where there is none.
    pub fn compile(source: Option<&str>, tokenizer: &Tokenizer) -> Result<Self, minijinja::Error> {
        Self::with_names(source, tokenizer.begin_name(), tokenizer.end_name())
    }

    fn with_names(source: Option<&str>, begin: &str, end: &str) -> Result<Self, minijinja::Error> {
        let mut environment = Environment::new();
        environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
        environment.set_fuel(Some(FUEL));
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |message: String| -> Result<String, minijinja::Error> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
        });
        environment.add_template_owned("chat", source.unwrap_or(CHAT_ML).to_owned())?;
        Ok(Self { environment, begin: begin.to_owned(), end: end.to_owned() })
    }

    /// The prompt up to where the assistant begins. A template that refuses a system turn (Gemma's) gets it as the
    /// beginning of the first question.
    pub fn render(&self, turns: &[Turn]) -> Result<String, minijinja::Error> {
        self.render_as_they_are(turns).or_else(|error| match without_system(turns) {
            Some(turns) => self.render_as_they_are(&turns),
            None => Err(error),
        })
    }

    fn render_as_they_are(&self, turns: &[Turn]) -> Result<String, minijinja::Error> {
        let turn = |turn: &Turn| context! { role => turn.role, content => turn.content.as_str() };
        let messages: Vec<Value> = turns.iter().map(turn).collect();
        self.environment.get_template("chat")?.render(context! {
            messages => messages,
            add_generation_prompt => true,
            enable_thinking => false,
            bos_token => self.begin.as_str(),
            eos_token => self.end.as_str(),
        })
    }
}

/// The messages as turns that alternate between user and assistant, with `preface` as the end of the system's turn.
/// Tool calls and answers become text: small models have no turns for them.
pub fn turns(messages: &[Message], preface: Option<&str>, defused: impl Fn(&str) -> String) -> Vec<Turn> {
    let mut turns: Vec<Turn> = Vec::new();
    for message in messages {
        let (role, content) = spoken(message);
        join(&mut turns, Turn { role, content: defused(&content) });
    }
    if let Some(preface) = preface {
        match turns.first_mut() {
            Some(first) if first.role == "system" => {
                first.content.push_str("\n\n");
                first.content.push_str(preface);
            }
            _ => turns.insert(0, Turn { role: "system", content: preface.to_owned() }),
        }
    }
    turns
}

fn spoken(message: &Message) -> (&'static str, String) {
    match message {
        Message::System { text } => ("system", text.clone()),
        Message::User { text } => ("user", text.clone()),
        Message::Assistant { text, tool_calls } => {
            let calls = tool_calls
                .iter()
                .map(|call| serde_json::json!({ "tool": call.name, "arguments": call.arguments }).to_string());
            let said: Vec<String> =
                Some(text.clone()).filter(|text| !text.is_empty()).into_iter().chain(calls).collect();
            ("assistant", said.join("\n"))
        }
        Message::Tool { name, content, is_error, .. } => {
            let verb = if *is_error { "failed" } else { "answered" };
            ("user", format!("The tool {name} {verb}:\n{content}"))
        }
    }
}

/// Adds a turn; one of the same role as the last continues it.
fn join(turns: &mut Vec<Turn>, turn: Turn) {
    match turns.last_mut() {
        Some(last) if last.role == turn.role => {
            last.content.push_str("\n\n");
            last.content.push_str(&turn.content);
        }
        _ => turns.push(turn),
    }
}

fn without_system(turns: &[Turn]) -> Option<Vec<Turn>> {
    let (system, rest) = turns.split_first().filter(|(first, _)| first.role == "system")?;
    let mut joined = vec![Turn { role: "user", content: system.content.clone() }];
    for turn in rest {
        join(&mut joined, turn.clone());
    }
    Some(joined)
}

#[cfg(test)]
mod tests {
    use convoke_app::model::ToolCall;
    use serde_json::json;

    use super::*;

    fn messages() -> Vec<Message> {
        vec![
            Message::System { text: "Be brief.".into() },
            Message::User { text: "Hi".into() },
            Message::Assistant {
                text: String::new(),
                tool_calls: vec![ToolCall { id: "1".into(), name: "now".into(), arguments: json!({"zone": "UTC"}) }],
            },
            Message::Tool { call_id: "1".into(), name: "now".into(), content: "12:00".into(), is_error: false },
            Message::User { text: "Thanks".into() },
        ]
    }

    fn rendered(source: Option<&str>, turns: &[Turn]) -> String {
        let template = ChatTemplate::with_names(source, "<s>", "</s>").expect("it compiles");
        template.render(turns).expect("it renders")
    }

    #[test]
    fn a_conversation_alternates() {
        let turns = turns(&messages(), Some("Tools: now"), str::to_owned);
        let prompt = rendered(None, &turns);
        assert_eq!(
            prompt,
            "<|im_start|>system\nBe brief.\n\nTools: now<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n\
             <|im_start|>assistant\n{\"tool\":\"now\",\"arguments\":{\"zone\":\"UTC\"}}<|im_end|>\n\
             <|im_start|>user\nThe tool now answered:\n12:00\n\nThanks<|im_end|>\n<|im_start|>assistant\n"
        );
    }

    #[test]
    fn a_template_without_system_turns_gets_it_in_the_question() {
        let source = "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}\
                      {% for m in messages %}[{{ m['role'] }}] {{ m['content'].strip() }}{% endfor %}";
        let turns = turns(&messages()[..2], None, str::to_owned);
        assert_eq!(rendered(Some(source), &turns), "<s>[user] Be brief.\n\nHi");
    }

    #[test]
    fn what_is_written_is_defused() {
        let turns = turns(&messages()[1..2], None, |text| text.replace('H', "J"));
        assert_eq!(turns, [Turn { role: "user", content: "Ji".into() }]);
    }

    #[test]
    fn a_template_that_never_ends_fails() {
        let source = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
        let template = ChatTemplate::with_names(Some(source), "", "").expect("it compiles");
        let error = template.render(&[]).expect_err("it takes too long");
        assert_eq!(error.kind(), ErrorKind::OutOfFuel);
    }
}
