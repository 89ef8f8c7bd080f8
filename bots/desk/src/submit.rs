//! New jobs: asked for in words, tried again, once more.

use convoke_api::request::BudgetRequest;
use convoke_app::flow::BUILT_IN;
use convoke_app::submit::{Answered, PROMPT_BYTES_MAX};
use convoke_chat::answer;
use convoke_chat::button::Ask;
use convoke_chat::command::{Attached, JobName, Run, Verb};
use convoke_chat::page::Page;
use convoke_chat::reply::Reply;
use convoke_chat::words;
use convoke_domain::ids::JobKey;
use convoke_domain::money::MicroUsd;
use convoke_domain::status::JobStatus;
use serde_json::{Value, json};

use crate::Desk;
use crate::here::Here;
use crate::trouble::{Answer, Trouble};

impl Desk {
    pub(crate) async fn run(&self, here: &Here<'_>, run: Run) -> Answer {
        if run.prompt.is_none() && run.files.is_empty() {
            return Ok(Reply::Ask(answer::ask_run(Ask::Run { flow: run.flow, budget: run.budget })));
        }
        self.may_submit(here).await?;
        self.submit(here, run).await
    }

    /// A job whose prompt was asked for.
    pub(crate) async fn run_prompt(
        &self,
        here: &Here<'_>,
        (flow, budget): (Option<String>, Option<MicroUsd>),
        prompt: String,
    ) -> Answer {
        self.run(here, Run { flow, budget, prompt: Some(prompt), ..Run::default() }).await
    }

    async fn submit(&self, here: &Here<'_>, run: Run) -> Answer {
        let body = self.body(here, run).await?;
        let title = title(body["input"]["prompt"].as_str().unwrap_or_default()).to_owned();
        let repeat = here.repeat();
        let tenant = &here.link.tenant;
        let answered = self.platform.submit_from_chat(tenant, &body, repeat.as_ref(), here.requester()).await?;
        Ok(Reply::private(accepted(&answered, &title)))
    }

    /// The body of a submission. What came with the message is an input file each; without words of its own, the first
    /// that is a text says what is wanted.
    pub(crate) async fn body(&self, here: &Here<'_>, run: Run) -> Result<Value, Trouble> {
        let Run { flow, prompt, budget, inputs, files } = run;
        let mut brought = self.fetch(&files).await?;
        let prompt = match prompt {
            Some(prompt) => prompt,
            None => take_prompt(&mut brought).unwrap_or_else(|| words::FILES_SAY.to_owned()),
        };
        let mut body = json!({
            "flow": flow.as_deref().unwrap_or(BUILT_IN[0]),
            "input": inputs,
            "notify": here.notify(),
        });
        body["input"]["prompt"] = prompt.into();
        if let Some(usd) = budget {
            body["budget"] = json!({"usd": usd.to_string()});
        }
        let ids = self.keep(here, brought).await?;
        if !ids.is_empty() {
            body["input"]["files"] = json!(ids);
        }
        Ok(body)
    }

    async fn fetch<'files>(&self, files: &'files [Attached]) -> Result<Vec<Brought<'files>>, Trouble> {
        let mut brought = Vec::with_capacity(files.len());
        for file in files {
            let bytes = self.attachments.fetch(file).await;
            let bytes = bytes.map_err(|why| answer::cant([words::file_trouble(&file.name, &why)]))?;
            brought.push(Brought { file, bytes: bytes.to_vec() });
        }
        Ok(brought)
    }

    /// Keeps what came with a message, under ids that are the same for a repeat of the same update.
    async fn keep(&self, here: &Here<'_>, brought: Vec<Brought<'_>>) -> Result<Vec<String>, Trouble> {
        let mut ids = Vec::with_capacity(brought.len());
        for (index, Brought { file, bytes }) in brought.into_iter().enumerate() {
            let about = json!({
                "name": file_name(&file.name, index),
                "bytes": bytes.len(),
                "media_type": file.media_type.as_deref().map(plain_type),
            });
            let mark = format!("{}-{index}", here.mark());
            ids.push(self.platform.keep_upload(&here.link.tenant, &about, bytes.into(), &mark).await?);
        }
        Ok(ids)
    }

    pub(crate) async fn retry(&self, here: &Here<'_>, job: Option<&JobName>, budget: Option<MicroUsd>) -> Answer {
        let fits = |status| matches!(status, JobStatus::Failed | JobStatus::Cancelled);
        let key = self.find(here, (Verb::Retry, job), fits).await?;
        let budget = budget.map(|usd| BudgetRequest { usd: Some(usd.to_string()), tokens: None });
        self.retry_job(here, &key, budget).await
    }

    pub(crate) async fn retry_job(&self, here: &Here<'_>, key: &JobKey, budget: Option<BudgetRequest>) -> Answer {
        self.may_submit(here).await?;
        let body = budget.map_or_else(|| json!({}), |budget| json!({ "budget": budget }));
        let repeat = here.repeat();
        let asked = (here.requester(), here.caller.chat);
        let answered = self.platform.retry_from_chat(key, &body, repeat.as_ref(), asked).await?;
        self.accepted_like(key, &answered).await
    }

    /// The same with twice the money and the tokens, or as much as there may be.
    pub(crate) async fn retry_with_more(&self, here: &Here<'_>, key: &JobKey) -> Answer {
        let budget = self.platform.job_view(key).await?.budget;
        let (usd, most) = (budget.usd.parse().unwrap_or(MicroUsd::ZERO), self.platform.limits.budget_max);
        if usd >= most.usd {
            return Err(answer::cant([words::most_money(&most.usd.to_string())]).into());
        }
        let usd = (usd + usd).min(most.usd).to_string();
        let tokens = budget.tokens.saturating_mul(2).min(most.tokens);
        self.retry_job(here, key, Some(BudgetRequest { usd: Some(usd), tokens: Some(tokens) })).await
    }

    pub(crate) async fn run_again(&self, here: &Here<'_>, key: &JobKey) -> Answer {
        self.may_submit(here).await?;
        let (repeat, notify) = (here.repeat(), here.notify());
        let again = self.platform.run_again_from_chat(key, (None, &notify), repeat.as_ref(), here.requester());
        self.accepted_like(key, &again.await?).await
    }

    async fn accepted_like(&self, key: &JobKey, answered: &Answered) -> Answer {
        let title = self.platform.job_view(key).await?.title;
        Ok(Reply::private(accepted(answered, &title)))
    }

    pub(crate) async fn cancel(&self, here: &Here<'_>, job: Option<&JobName>) -> Answer {
        let key = self.find(here, (Verb::Cancel, job), |status| !status.is_terminal()).await?;
        self.stop(here, &key).await
    }

    pub(crate) async fn stop(&self, here: &Here<'_>, key: &JobKey) -> Answer {
        self.owns(here, key).await?;
        let accepted = self.platform.cancel(key).await?;
        Ok(Reply::private(answer::stopping(&accepted.id)))
    }
}

/// A file that came with a message.
struct Brought<'file> {
    file: &'file Attached,
    bytes: Vec<u8>,
}

/// Takes the first file that is a text and no longer than a prompt may be.
fn take_prompt(brought: &mut Vec<Brought<'_>>) -> Option<String> {
    let index = brought.iter().position(|Brought { file, bytes }| {
        bytes.len() <= PROMPT_BYTES_MAX
            && is_text(file)
            && std::str::from_utf8(bytes).is_ok_and(|text| !text.trim().is_empty())
    })?;
    String::from_utf8(brought.remove(index).bytes).ok()
}

fn is_text(file: &Attached) -> bool {
    let ending = file.name.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
    matches!(ending.as_str(), "txt" | "md" | "markdown")
        || (ending.is_empty() && file.media_type.as_deref().is_some_and(|kind| kind.starts_with("text/plain")))
}

/// A media type without its parameters.
fn plain_type(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim()
}

/// The name of a file without folders and without what no path may hold; each of a message's is its own.
fn file_name(name: &str, index: usize) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let is_fine = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ' | '(' | ')');
    let clean: String = last.chars().map(|c| if is_fine(c) { c } else { '_' }).take(60).collect();
    let clean = clean.trim().trim_matches('.').trim();
    let clean = if clean.is_empty() { "file" } else { clean };
    if index == 0 { clean.to_owned() } else { format!("{}-{clean}", index + 1) }
}

/// The first line that says anything.
pub(crate) fn title(prompt: &str) -> &str {
    prompt.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default()
}

pub(crate) fn accepted(answered: &Answered, title: &str) -> Page {
    answer::accepted(&answered.job.id, title, answered.is_replay)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, media_type: Option<&str>) -> Attached {
        Attached { name: name.to_owned(), media_type: media_type.map(str::to_owned), bytes: 1, source: String::new() }
    }

    #[test]
    fn names_of_files_become_paths() {
        for (name, index, expected) in [
            ("notes.md", 0, "notes.md"),
            ("../../etc/passwd", 0, "passwd"),
            ("C:\\x\\a b.txt", 1, "2-a b.txt"),
            ("..", 2, "3-file"),
            ("", 0, "file"),
            ("mäh?*\u{202e}.md", 0, "mäh___.md"),
        ] {
            assert_eq!(file_name(name, index), expected, "{name}");
        }
    }

    #[test]
    fn the_first_text_says_what_is_wanted() {
        let (image, notes, code) =
            (file("a.png", None), file("Wish.TXT", None), file("main.py", Some("text/x-python")));
        let brought = |file| Brought { file, bytes: b"Build it".to_vec() };
        let mut all = vec![brought(&image), brought(&code), brought(&notes)];
        assert_eq!(take_prompt(&mut all).as_deref(), Some("Build it"));
        assert_eq!(all.iter().map(|one| one.file.name.as_str()).collect::<Vec<_>>(), ["a.png", "main.py"]);
        assert_eq!(take_prompt(&mut all), None);
        let mut long = vec![Brought { file: &notes, bytes: vec![b'x'; PROMPT_BYTES_MAX + 1] }];
        assert_eq!(take_prompt(&mut long), None);
    }
}
