//! A new job that goes on from what an earlier one has made: its flow, its input with another prompt, its files.

use bytes::Bytes;
use convoke_api::flow::FlowIssue;
use convoke_domain::ids::JobKey;
use futures_util::future::try_join_all;
use serde_json::{Map, Value, json};

use super::files::{Kept, TEXT_BYTES_MAX, TEXTS_BYTES_MAX, name_again};
use super::{Answered, Circumstances, IdempotencyKey, Origin, body, invalid};
use crate::base::{BASE_BYTES_MAX, BASE_FILES_MAX, BASE_TEXTS_BYTES_MAX, Base, BaseFile, is_base};
use crate::failure::{Failure, Part, Refused};
use crate::flow::tools::FILE_BYTES_MAX;
use crate::platform::Platform;
use crate::ports::{BlobKey, FileRef, Idempotency, JobHead, Requester, Wish};
use crate::work::{JobFlow, WorkError, load_value};

/// Fields of a follow-up.
const FIELDS: [&str; 7] = ["prompt", "input", "model", "budget", "deadline_s", "notify", "labels"];
/// Objects that are copied side by side.
const COPIES: usize = 16;
/// What a file of an earlier job says of who made it.
const EARLIER: &str = "(earlier job)";

/// Whether a file is looked into as it is copied.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Content {
    Read,
    Unread,
}

/// The files that a job is to go on from.
pub(super) struct Earlier {
    pub key: JobKey,
    pub files: Vec<FileRef>,
}

impl Earlier {
    /// The files that a job itself goes on from.
    pub fn of(flow: &JobFlow) -> Option<Self> {
        let base = flow.definition.base.as_ref()?;
        let key = JobKey { tenant: flow.key.tenant.clone(), job: base.job.clone() };
        Some(Self { key, files: flow.base.iter().map(|base| base.file.clone()).collect() })
    }
}

/// What an earlier job was asked for, to be asked once more.
struct Again {
    body: Value,
    base: Option<Earlier>,
    kept: Kept,
}

impl Wish {
    /// The body of a follow-up that does what is wished for, telling those that `notify` names.
    pub fn follow_up(&self, notify: &Value) -> Value {
        let mut body = json!({"prompt": self.prompt, "notify": notify});
        if let Some(usd) = self.budget {
            body["budget"] = json!({"usd": usd.to_string()});
        }
        body
    }

    /// The wish of such a body.
    pub(crate) fn of_follow_up(body: &Value) -> Self {
        Self {
            prompt: body["prompt"].as_str().unwrap_or_default().to_owned(),
            budget: body["budget"]["usd"].as_str().and_then(|usd| usd.parse().ok()),
        }
    }
}

impl Platform {
    /// Submits a job that goes on from the files of one that has ended, with its flow, model and budget unless `body` says
    /// otherwise. Its manifest holds the earlier files, too, where nobody changed or removed them; what is different stands
    /// in the job's `changes`. Idempotent by `repeat` for 24 hours.
    ///
    /// [`Refused::JobNotEnded`] while the earlier job goes on; whatever is wrong with `body` is [`Refused::Invalid`], also
    /// where the earlier job has made no file to go on from, or more than [`BASE_FILES_MAX`].
    pub async fn follow_up(
        &self,
        earlier: &JobKey,
        body: &Value,
        repeat: Option<&IdempotencyKey>,
    ) -> Result<Answered, Failure> {
        let repeat = self.stored(repeat, &format!("follow-up {}", earlier.job), body);
        self.go_on_from(earlier, body, (repeat, Origin::Caller)).await
    }

    /// The same for somebody in a chat, who is noted as the job's requester.
    pub async fn follow_up_from_chat(
        &self,
        earlier: &JobKey,
        body: &Value,
        repeat: Option<&IdempotencyKey>,
        requester: Requester,
    ) -> Result<Answered, Failure> {
        let repeat = self.stored(repeat, &format!("follow-up {}", earlier.job), body);
        self.go_on_from(earlier, body, (repeat, Origin::Chat(requester))).await
    }

    /// Submits what an earlier job was asked for once more, as a new job that keeps nothing of it but the files that came
    /// with it. A wish is added to the earlier prompt, and says the cap where it names one. Whoever is told now is named by
    /// `notify`. Idempotent by `repeat`, a wish also together with [`Platform::carry_on_from_chat`].
    ///
    /// [`Refused::Invalid`] also where the earlier job had no prompt to which a wish could be added.
    pub async fn run_again_from_chat(
        &self,
        earlier: &JobKey,
        (wish, notify): (Option<&Wish>, &Value),
        repeat: Option<&IdempotencyKey>,
        requester: Requester,
    ) -> Result<Answered, Failure> {
        let repeat = match wish {
            Some(wish) => self.stored_wish(repeat, earlier, wish),
            None => self.stored(repeat, &format!("again {}", earlier.job), notify),
        };
        let again = self.again(earlier, (wish, notify)).await?;
        let asked_in = Circumstances { origin: Origin::Chat(requester), repeat, base: again.base, kept: again.kept };
        self.make(self.new_key(&earlier.tenant)?, &again.body, asked_in).await
    }

    /// Whether an earlier job can be run again with a wish, as far as can be told now: to be asked before it is stopped for
    /// that. Changes nothing.
    pub async fn check_again(&self, earlier: &JobKey, (wish, notify): (&Wish, &Value)) -> Result<(), Failure> {
        let again = self.again(earlier, (Some(wish), notify)).await?;
        let (_, unknown) = self.targets(&earlier.tenant, &again.body).await?;
        self.check(&again.body, unknown).map(drop)
    }

    /// Does what is wished for of a job that has ended: goes on from its files; where it has made none, runs it again.
    /// Idempotent by `repeat`, also together with [`Platform::run_again_from_chat`]: one wish makes one job, in whichever
    /// way.
    ///
    /// [`Refused::JobNotEnded`] while it goes on; otherwise as what it does.
    pub async fn carry_on_from_chat(
        &self,
        earlier: &JobKey,
        (wish, notify): (&Wish, &Value),
        repeat: Option<&IdempotencyKey>,
        requester: Requester,
    ) -> Result<Answered, Failure> {
        if self.made_by(earlier).await?.is_empty() {
            return self.run_again_from_chat(earlier, (Some(wish), notify), repeat, requester).await;
        }
        let repeat = self.stored_wish(repeat, earlier, wish);
        self.go_on_from(earlier, &wish.follow_up(notify), (repeat, Origin::Chat(requester))).await
    }

    fn stored_wish(&self, repeat: Option<&IdempotencyKey>, earlier: &JobKey, wish: &Wish) -> Option<Idempotency> {
        self.stored(repeat, &format!("wish {}", earlier.job), &wish.follow_up(&Value::Null))
    }

    /// The files of a job that has ended which another can go on from.
    async fn made_by(&self, earlier: &JobKey) -> Result<Vec<FileRef>, Failure> {
        let (_, root) = self.known_job(earlier).await?;
        let manifest = self.manifest(earlier, &root).await?;
        let status = root.root().map_or(convoke_domain::status::JobStatus::Queued, |job| job.status);
        let manifest = manifest.ok_or(Refused::JobNotEnded { status })?;
        Ok(manifest.files.into_iter().filter(is_base).collect())
    }

    async fn again(&self, earlier: &JobKey, (wish, notify): (Option<&Wish>, &Value)) -> Result<Again, Failure> {
        let (head, flow) = self.earlier(earlier).await?;
        let mut input = flow.input.as_object().cloned().unwrap_or_default();
        let kept = name_again(earlier, &mut input);
        if let Some(wish) = wish {
            let Some(Value::String(asked)) = input.get_mut("prompt") else {
                let hint = "submit a new job with another input";
                return Err(Refused::request("prompt", "this flow takes no prompt", hint).into());
            };
            *asked = format!("{}\n\n{}", asked.trim_end(), wish.prompt.trim());
        }
        let mut body = self.body_of(earlier, &head, &flow, input).await?;
        if let Some(usd) = wish.and_then(|wish| wish.budget) {
            body["budget"] = json!({"usd": usd.to_string()});
        }
        body["notify"] = notify.clone();
        Ok(Again { body, base: Earlier::of(&flow), kept })
    }

    async fn go_on_from(
        &self,
        earlier: &JobKey,
        asked: &Value,
        (repeat, origin): (Option<Idempotency>, Origin),
    ) -> Result<Answered, Failure> {
        let fields = read(asked).map_err(|issues| invalid(Part::Request, issues))?;
        let (head, flow) = self.earlier(earlier).await?;
        let files = self.made_by(earlier).await?;
        bounded(&files).map_err(|issue| invalid(Part::Request, vec![issue]))?;
        let mut input = plain_input(&flow);
        if let Some(more) = fields.get("input").and_then(Value::as_object) {
            input.extend(more.clone());
        }
        if let Some(prompt) = fields.get("prompt").filter(|prompt| !prompt.is_null()) {
            input.insert("prompt".to_owned(), prompt.clone());
        }
        let mut body = self.body_of(earlier, &head, &flow, input).await?;
        for name in ["model", "budget", "deadline_s", "notify", "labels"] {
            if let Some(value) = fields.get(name).filter(|value| !value.is_null()) {
                body[name] = value.clone();
            }
        }
        let base = Some(Earlier { key: earlier.clone(), files });
        self.make(self.new_key(&earlier.tenant)?, &body, Circumstances { base, ..Circumstances::plain(repeat, origin) })
            .await
    }

    async fn earlier(&self, key: &JobKey) -> Result<(JobHead, std::sync::Arc<JobFlow>), Failure> {
        let (head, _) = self.known_job(key).await?;
        let flow = self.job_flow(key).await?.ok_or_else(|| super::corrupt(key, "its definition is missing"))?;
        Ok((head, flow))
    }

    /// What an earlier job was submitted with, with another input.
    async fn body_of(
        &self,
        key: &JobKey,
        head: &JobHead,
        flow: &JobFlow,
        input: Map<String, Value>,
    ) -> Result<Value, Failure> {
        let definition = &flow.definition;
        let document: Value = load_value(&*self.ports.blobs, key, &definition.flow).await?;
        Ok(json!({
            "flow": document,
            "input": input,
            "model": definition.model,
            "budget": {"usd": head.budget.usd.to_string(), "tokens": head.budget.tokens},
            "labels": definition.labels,
        }))
    }

    /// Copies the files under the job, so that they are its own; a repeat copies the same again.
    pub(super) async fn copy_base(&self, key: &JobKey, earlier: &Earlier) -> Result<Base, Failure> {
        let mut files = Vec::with_capacity(earlier.files.len());
        let mut left = BASE_TEXTS_BYTES_MAX;
        for page in earlier.files.chunks(COPIES) {
            let copies = page.iter().map(|file| {
                let content =
                    if file.bytes <= left.min(FILE_BYTES_MAX as u64) { Content::Read } else { Content::Unread };
                left -= if content == Content::Read { file.bytes } else { 0 };
                self.copy_file(key, file, content)
            });
            files.extend(try_join_all(copies).await?);
        }
        let value = serde_json::to_value(&files).map_err(|error| super::corrupt(key, &error.to_string()))?;
        Ok(Base { job: earlier.key.job.clone(), files: self.definition_payload(key, "base.json", value).await? })
    }

    async fn copy_file(&self, key: &JobKey, file: &FileRef, content: Content) -> Result<BaseFile, Failure> {
        let to = BlobKey::of_job(key, "(input)", 0, &format!("base/{}", file.path));
        let missing = || WorkError::Corrupt { job: key.to_string(), detail: format!("object {} is missing", file.key) };
        let blobs = &self.ports.blobs;
        let text = if content == Content::Read {
            let bytes = blobs.get(&file.key).await?.ok_or_else(missing)?;
            blobs.put(&to, Bytes::clone(&bytes), &file.media_type).await?;
            String::from_utf8(bytes.into()).ok()
        } else {
            if !blobs.copy(&file.key, &to).await? {
                return Err(missing().into());
            }
            None
        };
        Ok(BaseFile { file: FileRef { key: to, step: EARLIER.to_owned(), ..file.clone() }, text })
    }

    /// Describes the files in the job's input, before those that came with it, so that templates can show them: `{name, media_type, bytes, earlier: true}`,
    /// with their `text` where it is short.
    pub(super) async fn describe_base(&self, key: &JobKey, base: &Base, input: &mut Value) -> Result<(), Failure> {
        let files: Vec<BaseFile> = load_value(&*self.ports.blobs, key, &base.files).await?;
        let mut left = TEXTS_BYTES_MAX;
        let described = files.into_iter().map(|BaseFile { file, text }| {
            let text = text.filter(|text| text.len() as u64 <= TEXT_BYTES_MAX.min(left));
            left -= text.as_ref().map_or(0, |text| text.len() as u64);
            let mut described =
                json!({"name": file.path, "media_type": file.media_type, "bytes": file.bytes, "earlier": true});
            if let Some(text) = text {
                described["text"] = text.into();
            }
            described
        });
        let described: Vec<Value> = described.collect();
        if let Some(input) = input.as_object_mut() {
            let files = input.entry("files").or_insert_with(|| json!([]));
            if let Some(files) = files.as_array_mut() {
                files.splice(0..0, described);
            }
        }
        Ok(())
    }
}

/// The fields, all there is to say against them but what a submission finds itself.
fn read(asked: &Value) -> Result<&Map<String, Value>, Vec<FlowIssue>> {
    let Some(fields) = asked.as_object() else {
        return Err(vec![FlowIssue::new("", format!("has to be an object, not {}", body::kind(asked)), "")]);
    };
    let unknown = fields.keys().filter(|name| !FIELDS.contains(&name.as_str()));
    let hint = format!("known are {}", FIELDS.join(", "));
    let mut issues: Vec<FlowIssue> = unknown.map(|name| FlowIssue::new(name, "unknown field", hint.clone())).collect();
    let is_there = |name: &str| fields.get(name).is_some_and(|value| !value.is_null());
    if !is_there("prompt") && !is_there("input") {
        issues.push(FlowIssue::new("prompt", "is missing", "what is wanted next, in words"));
    }
    if issues.is_empty() { Ok(fields) } else { Err(issues) }
}

fn bounded(files: &[FileRef]) -> Result<(), FlowIssue> {
    let bytes: u64 = files.iter().map(|file| file.bytes).sum();
    if files.is_empty() {
        return Err(FlowIssue::new("", "the job has made no file to go on from", "submit a new job instead"));
    }
    if files.len() > BASE_FILES_MAX || bytes > BASE_BYTES_MAX {
        let message = format!("the job has made {} files of {bytes} bytes", files.len());
        return Err(FlowIssue::new("", message, format!("at most {BASE_FILES_MAX} files of {BASE_BYTES_MAX} bytes")));
    }
    Ok(())
}

/// A job's input as it was submitted, without the files that came with it: they are the earlier job's.
fn plain_input(flow: &JobFlow) -> Map<String, Value> {
    let mut input = flow.input.as_object().cloned().unwrap_or_default();
    input.remove("files");
    input
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_follow_up_says_what_is_wanted() {
        let paths = |asked: Value| -> Vec<String> {
            read(&asked).expect_err("refused").into_iter().map(|issue| issue.path).collect()
        };
        assert_eq!(paths(json!({})), ["prompt"]);
        assert_eq!(paths(json!({"prompt": null, "flow": "x"})), ["flow", "prompt"]);
        assert_eq!(paths(json!([])), [""]);
        assert!(read(&json!({"prompt": "add tests", "budget": {"usd": "1"}})).is_ok());
        assert!(read(&json!({"input": {"company": "ACME"}})).is_ok());
    }
}
