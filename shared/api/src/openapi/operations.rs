//! The table of operations: what each takes and answers.

mod links;

use utoipa::openapi::schema::Type;
use utoipa::openapi::{Object, RefOr, Schema};

use crate::schema::{job_id, job_status, webhook_id};

/// An operation.
pub(super) struct Op {
    pub method: Verb,
    pub path: &'static str,
    pub id: &'static str,
    pub summary: &'static str,
    /// The function that answers it.
    pub function: &'static str,
    /// Whether it takes no key.
    pub is_open: bool,
    pub params: Vec<Param>,
    pub body: Option<Body>,
    pub answers: Vec<Answer>,
    pub problems: Vec<(u16, &'static str)>,
}

/// Methods in use.
#[derive(Clone, Copy)]
pub(super) enum Verb {
    Get,
    Post,
    Delete,
}

impl Verb {
    /// As in a request.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

/// Where a parameter stands.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Path,
    Query,
    Header,
}

/// A parameter.
pub(super) struct Param {
    pub place: Place,
    pub name: &'static str,
    pub description: &'static str,
    pub schema: RefOr<Schema>,
}

/// A request's body.
pub(super) struct Body {
    pub schema: &'static str,
    pub is_required: bool,
}

/// A good answer.
pub(super) struct Answer {
    pub status: u16,
    pub description: &'static str,
    /// Media types and the names of their schemas; text where there is none.
    pub contents: &'static [(&'static str, Option<&'static str>)],
    pub headers: &'static [(&'static str, &'static str)],
}

const UNAUTHENTICATED: (u16, &str) = (401, "No valid key.");
const NO_JOB: (u16, &str) = (404, "The caller has no such job.");
const NO_WEBHOOK: (u16, &str) = (404, "The caller has no such webhook.");
const BAD_REQUEST: (u16, &str) = (400, "The request can't be read.");
const TOO_LARGE: (u16, &str) = (413, "The body is over 1 MiB.");
const NOT_JSON: (u16, &str) = (415, "The body isn't application/json.");
const UNAVAILABLE: (u16, &str) = (503, "A service behind is unavailable; try again after `Retry-After`.");

impl Op {
    fn new(method: Verb, path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self {
            method,
            path,
            id,
            summary,
            function: "status",
            is_open: false,
            params: Vec::new(),
            body: None,
            answers: Vec::new(),
            problems: vec![UNAUTHENTICATED],
        }
    }

    const fn function(mut self, function: &'static str) -> Self {
        self.function = function;
        self
    }

    fn open(mut self) -> Self {
        self.is_open = true;
        self.problems.clear();
        self
    }

    fn of_job(self) -> Self {
        self.param(Place::Path, "id", "The job.", job_id()).fails([NO_JOB, UNAVAILABLE])
    }

    fn param(
        mut self,
        place: Place,
        name: &'static str,
        description: &'static str,
        schema: impl Into<RefOr<Schema>>,
    ) -> Self {
        self.params.push(Param { place, name, description, schema: schema.into() });
        self
    }

    fn query(self, name: &'static str, description: &'static str, schema: impl Into<RefOr<Schema>>) -> Self {
        self.param(Place::Query, name, description, schema)
    }

    fn paged(self) -> Self {
        self.query("cursor", "`next_cursor` of the page before.", text())
            .query("limit", "Most rows of a page, 1 to 100; 50 where it is missing.", number(1, 100))
            .fails([BAD_REQUEST])
    }

    fn repeatable(self) -> Self {
        let what = "Makes a repeat safe for 24 hours: the same key and body get the first answer. 1 to 255 visible \
                    ASCII characters.";
        self.param(Place::Header, "Idempotency-Key", what, text())
    }

    const fn body(mut self, schema: &'static str, is_required: bool) -> Self {
        self.body = Some(Body { schema, is_required });
        self
    }

    fn answers(mut self, status: u16, description: &'static str, contents: Contents) -> Self {
        self.answers.push(Answer { status, description, contents, headers: &[] });
        self
    }

    fn header(mut self, headers: &'static [(&'static str, &'static str)]) -> Self {
        if let Some(answer) = self.answers.last_mut() {
            answer.headers = headers;
        }
        self
    }

    fn fails<const N: usize>(mut self, problems: [(u16, &'static str); N]) -> Self {
        self.problems.extend(problems);
        self
    }
}

type Contents = &'static [(&'static str, Option<&'static str>)];

fn text() -> Object {
    Object::builder().schema_type(Type::String).build()
}

fn flag() -> Object {
    Object::builder().schema_type(Type::Boolean).build()
}

fn number(minimum: i32, maximum: i32) -> Object {
    Object::builder().schema_type(Type::Integer).minimum(Some(minimum)).maximum(Some(maximum)).build()
}

fn whole() -> Object {
    Object::builder().schema_type(Type::Integer).minimum(Some(0)).build()
}

/// All operations.
pub(super) fn operations() -> Vec<Op> {
    let mut operations = vec![list_jobs(), submit_job()];
    operations.extend(job_operations());
    operations.extend(artifact_operations());
    operations.extend(control_operations());
    operations.extend(schedule_operations());
    operations.extend([webhook_operations(), links::link_operations(), open_operations()].into_iter().flatten());
    operations
}

fn list_jobs() -> Op {
    Op::new(Verb::Get, "/v1/jobs", "listJobs", "Lists the caller's jobs, newest first.")
        .query("status", "Only jobs in this state.", job_status())
        .query("flow", "Only jobs of the flow of this name.", text())
        .query("created_after", "Only jobs submitted then or later (RFC 3339).", text())
        .paged()
        .answers(200, "A page of jobs.", &[("application/json", Some("JobList"))])
        .fails([UNAVAILABLE])
}

fn submit_job() -> Op {
    Op::new(Verb::Post, "/v1/jobs", "submitJob", "Submits a job. Everything is checked before anything is stored.")
        .function("submit")
        .repeatable()
        .body("JobRequest", true)
        .answers(202, "The job is accepted.", &[("application/json", Some("Accepted"))])
        .header(&[
            ("Location", "The job's URL."),
            ("Idempotency-Replayed", "`true` where this is the answer to an earlier request of the same key."),
        ])
        .fails([
            BAD_REQUEST,
            TOO_LARGE,
            NOT_JSON,
            (422, "The flow, its input or something else isn't valid, or the idempotency key was used differently."),
            UNAVAILABLE,
        ])
}

fn job_operations() -> Vec<Op> {
    let get = |path, id, summary| Op::new(Verb::Get, path, id, summary).of_job();
    vec![
        get("/v1/jobs/{id}", "getJob", "Shows a job: its state, progress and cost.").answers(
            200,
            "The job.",
            &[("application/json", Some("JobView"))],
        ),
        get("/v1/jobs/{id}/steps", "listSteps", "Lists the steps of a job that have begun.").paged().answers(
            200,
            "A page of steps.",
            &[("application/json", Some("StepList"))],
        ),
        get("/v1/jobs/{id}/steps/{step}", "getStep", "Shows a step with its output and its journal of model calls.")
            .param(Place::Path, "step", "The step's name, e.g. `code[3]@2`.", text())
            .answers(200, "The step.", &[("application/json", Some("StepDetail"))]),
        events(),
        get("/v1/jobs/{id}/reviews", "listReviews", "Lists what people were asked, in that order: the latest 100.")
            .answers(200, "The reviews.", &[("application/json", Some("ReviewList"))]),
        get("/v1/jobs/{id}/reviews/{review}", "getReview", "Shows a review: the question, and what came of it.")
            .param(Place::Path, "review", "The review's name, e.g. `approve@2`.", text())
            .answers(200, "The review.", &[("application/json", Some("ReviewView"))]),
        get("/v1/jobs/{id}/result", "getResult", "Shows what came of a job that has ended.")
            .answers(200, "The result.", &[("application/json", Some("ResultView"))])
            .fails([(409, "The job has not ended yet.")]),
    ]
}

fn events() -> Op {
    let summary = "Tells what has happened to a job: as JSON, or as server-sent events where `Accept` asks for \
                   `text/event-stream`.";
    Op::new(Verb::Get, "/v1/jobs/{id}/events", "listEvents", summary)
        .of_job()
        .query("after", "Only events with a higher number; 0 where it is missing.", whole())
        .query("limit", "Most events of a page, 1 to 500; 100 where it is missing.", number(1, 500))
        .query("wait_s", "Where there is none yet, wait for so many seconds.", number(0, 20))
        .query("snapshot", "SSE: begin with the job as it stands, as an event `snapshot`.", flag())
        .param(Place::Header, "Last-Event-ID", "SSE: only events with a higher number.", text())
        .answers(200, "Events, oldest first.", &[("application/json", Some("EventList")), ("text/event-stream", None)])
        .answers(204, "SSE: the job's last event was already received; don't connect again.", &[])
        .fails([BAD_REQUEST])
}

fn artifact_operations() -> Vec<Op> {
    let get = |path, id, summary| Op::new(Verb::Get, path, id, summary).function("artifacts").of_job();
    let download = |op: Op| {
        op.query("redirect", "`false`: answer the presigned URL as JSON instead.", flag())
            .answers(200, "With `redirect=false`: the presigned URL.", &[("application/json", Some("DownloadView"))])
            .answers(302, "To a presigned URL that works for a while without a key.", &[])
            .header(&[("Location", "The presigned URL.")])
            .fails([(409, "The job has not ended yet.")])
    };
    vec![
        get(
            "/v1/jobs/{id}/artifacts",
            "listArtifacts",
            "Lists the files of a job; there are none before it has ended.",
        )
        .paged()
        .answers(200, "A page of files.", &[("application/json", Some("ArtifactList"))]),
        download(
            get("/v1/jobs/{id}/artifacts/{path}", "getArtifact", "Downloads a file of a job that has ended.")
                .param(Place::Path, "path", "The file's path; slashes need no encoding.", text())
                .fails([(400, "Not a path of an artifact: `..`, control characters and the like.")]),
        ),
        download(get("/v1/jobs/{id}/archive", "getArchive", "Downloads all files of a job that has ended, as a ZIP.")),
        Op::new(Verb::Post, "/v1/uploads", "createUpload", "Announces a file for a later submission's `input.files`.")
            .function("artifacts")
            .body("UploadRequest", true)
            .answers(201, "Where to `PUT` the content.", &[("application/json", Some("UploadView"))])
            .fails([BAD_REQUEST, TOO_LARGE, NOT_JSON, (422, "The name, size or media type isn't valid."), UNAVAILABLE]),
    ]
}

fn control_operations() -> Vec<Op> {
    let post = |path, id, summary| Op::new(Verb::Post, path, id, summary).function("control").of_job();
    vec![
        post(
            "/v1/jobs/{id}/reviews/{review}",
            "decideReview",
            "Decides a review. The first decision counts; a repeat of it changes nothing.",
        )
        .param(Place::Path, "review", "The review's name, e.g. `approve@2`.", text())
        .body("DecisionRequest", true)
        .answers(200, "The review as it is decided.", &[("application/json", Some("ReviewView"))])
        .fails([
            BAD_REQUEST,
            (409, "Another decision was first, the review's time is over, or the job has ended."),
            TOO_LARGE,
            NOT_JSON,
            (422, "The body is no decision."),
        ]),
        post(
            "/v1/jobs/{id}/cancel",
            "cancelJob",
            "Cancels a job; what was made so far is delivered. A repeat changes nothing.",
        )
        .answers(202, "No more steps are started.", &[("application/json", Some("Accepted"))])
        .fails([(409, "The job has ended already.")]),
        post(
            "/v1/jobs/{id}/retry",
            "retryJob",
            "Makes a new job out of one that failed or was cancelled; results that count are kept.",
        )
        .repeatable()
        .body("RetryRequest", false)
        .answers(202, "The new job is accepted.", &[("application/json", Some("Accepted"))])
        .header(&[
            ("Location", "The new job's URL."),
            ("Idempotency-Replayed", "`true` where this is the answer to an earlier request of the same key."),
        ])
        .fails([
            BAD_REQUEST,
            TOO_LARGE,
            NOT_JSON,
            (409, "The job has not ended, or has completed."),
            (422, "The budget isn't valid, or the idempotency key was used differently."),
        ]),
        post(
            "/v1/jobs/{id}/follow-up",
            "followUpJob",
            "Makes a new job that goes on from the files of one that has ended; its `changes` say what is different then.",
        )
        .repeatable()
        .body("FollowUpRequest", true)
        .answers(202, "The new job is accepted.", &[("application/json", Some("Accepted"))])
        .header(&[
            ("Location", "The new job's URL."),
            ("Idempotency-Replayed", "`true` where this is the answer to an earlier request of the same key."),
        ])
        .fails([
            BAD_REQUEST,
            TOO_LARGE,
            NOT_JSON,
            (409, "The job has not ended."),
            (422, "Something in it isn't valid, or the idempotency key was used differently."),
        ]),
    ]
}

fn schedule_operations() -> Vec<Op> {
    let at = |verb, path, id, summary| Op::new(verb, path, id, summary).function("control");
    let of = |verb, path, id, summary| {
        let op = at(verb, path, id, summary).param(Place::Path, "id", "The schedule.", text());
        op.fails([(404, "The caller has no such schedule."), UNAVAILABLE])
    };
    vec![
        at(Verb::Get, "/v1/schedules", "listSchedules", "Lists the caller's schedules, oldest first.")
            .answers(200, "All of them.", &[("application/json", Some("ScheduleList"))])
            .fails([UNAVAILABLE]),
        at(
            Verb::Post,
            "/v1/schedules",
            "createSchedule",
            "Submits a job, or one per input of a batch, again and again. All that ticks would submit is checked now.",
        )
        .body("ScheduleRequest", true)
        .answers(201, "The schedule.", &[("application/json", Some("ScheduleView"))])
        .header(&[("Location", "The schedule's URL.")])
        .fails([
            BAD_REQUEST,
            TOO_LARGE,
            NOT_JSON,
            (422, "The time, the job or an input isn't valid."),
            UNAVAILABLE,
        ]),
        of(Verb::Get, "/v1/schedules/{id}", "getSchedule", "Shows a schedule and its next ticks.").answers(
            200,
            "The schedule.",
            &[("application/json", Some("ScheduleView"))],
        ),
        of(
            Verb::Delete,
            "/v1/schedules/{id}",
            "deleteSchedule",
            "Forgets a schedule. Jobs that it started go on; what is left of a batch isn't submitted.",
        )
        .answers(204, "It is gone.", &[]),
        of(
            Verb::Post,
            "/v1/schedules/{id}/pause",
            "pauseSchedule",
            "Lets a schedule stand still. A repeat changes nothing.",
        )
        .answers(200, "The schedule.", &[("application/json", Some("ScheduleView"))]),
        of(Verb::Post, "/v1/schedules/{id}/resume", "resumeSchedule", "Lets it go on, from its next tick after now.")
            .answers(200, "The schedule.", &[("application/json", Some("ScheduleView"))]),
        of(
            Verb::Post,
            "/v1/schedules/{id}/run",
            "runSchedule",
            "Starts now what a tick would start; ticks stay as they are.",
        )
        .answers(202, "It is started.", &[("application/json", Some("RunView"))]),
        of(Verb::Get, "/v1/schedules/{id}/runs", "listRuns", "Lists what the ticks started, newest first.")
            .paged()
            .answers(200, "A page of runs.", &[("application/json", Some("RunList"))]),
    ]
}

fn webhook_operations() -> Vec<Op> {
    let op = |method, path, id, summary| Op::new(method, path, id, summary).function("control").fails([UNAVAILABLE]);
    let of = |method, path, id, summary| {
        op(method, path, id, summary).param(Place::Path, "webhook", "The webhook.", webhook_id()).fails([NO_WEBHOOK])
    };
    vec![
        op(Verb::Get, "/v1/webhooks", "listWebhooks", "Lists the caller's webhooks, oldest first.").answers(
            200,
            "All webhooks.",
            &[("application/json", Some("WebhookList"))],
        ),
        op(Verb::Post, "/v1/webhooks", "createWebhook", "Makes a webhook, a place that jobs can tell what happens.")
            .body("WebhookRequest", true)
            .answers(201, "The webhook, and its secret, this once.", &[("application/json", Some("WebhookWithSecret"))])
            .header(&[("Location", "The webhook's URL.")])
            .fails([
                BAD_REQUEST,
                TOO_LARGE,
                NOT_JSON,
                (409, "There are 20 webhooks."),
                (422, "The URL, a type of event or the description isn't valid."),
            ]),
        of(Verb::Get, "/v1/webhooks/{webhook}", "getWebhook", "Shows a webhook.").answers(
            200,
            "The webhook.",
            &[("application/json", Some("WebhookView"))],
        ),
        of(Verb::Delete, "/v1/webhooks/{webhook}", "deleteWebhook", "Deletes a webhook; nothing more is sent to it.")
            .answers(204, "It is gone.", &[]),
        of(
            Verb::Post,
            "/v1/webhooks/{webhook}/rotate",
            "rotateWebhook",
            "Gives a webhook a new secret; for a day the one before signs as well.",
        )
        .answers(200, "The webhook, and its secret, this once.", &[("application/json", Some("WebhookWithSecret"))]),
        of(
            Verb::Post,
            "/v1/webhooks/{webhook}/test",
            "testWebhook",
            "Sends an event `webhook.test` now and tells what came back; acknowledged, it enables a disabled webhook again.",
        )
        .answers(200, "What came of it.", &[("application/json", Some("DeliveryView"))]),
        of(
            Verb::Get,
            "/v1/webhooks/{webhook}/deliveries",
            "listDeliveries",
            "Lists the tries at a webhook of the last 30 days, newest first.",
        )
        .paged()
        .answers(200, "A page of tries.", &[("application/json", Some("DeliveryList"))]),
        of(
            Verb::Post,
            "/v1/webhooks/{webhook}/deliveries/{delivery}/redeliver",
            "redeliver",
            "Has the event of a try sent again, with the id that its message had; what was given up goes on.",
        )
        .param(Place::Path, "delivery", "The try.", text())
        .answers(202, "It will be sent.", &[("application/json", Some("RedeliveryView"))])
        .fails([(409, "It was a test, the webhook is disabled, or 50 events wait to be sent again.")]),
    ]
}

fn open_operations() -> Vec<Op> {
    vec![
        Op::new(Verb::Get, "/health", "getHealth", "Says that the service answers.").open().answers(
            200,
            "It does.",
            &[("application/json", Some("Health"))],
        ),
        Op::new(Verb::Get, "/openapi.json", "getOpenApi", "This document.").open().answers(
            200,
            "The document.",
            &[("application/json", None)],
        ),
    ]
}
