//! What tests of the engine share: shapes of jobs, a model that meters, submissions.

pub mod meter;
pub mod shapes;

use std::collections::BTreeMap;

use convoke_app::ports::{Definition, Env, JobHead, Payload, Submission};
use convoke_app::script::Script;
use convoke_domain::bits::Bits;
use convoke_domain::group::{Balance, Group, Root, Scope};
use convoke_domain::ids::{GroupId, JobKey};
use convoke_domain::money::Cost;
use convoke_domain::status::JobStatus;
use serde_json::json;

use shapes::{Shape, Simple};

/// A submission of that shape, of the tenant `acme`.
pub fn submission(shape: Shape, budget: Cost, env: &dyn Env) -> Submission {
    let key = JobKey { tenant: "acme".parse().expect("valid"), job: env.ulid().parse().expect("valid") };
    let root = root(Simple::new(shape).graph().nodes.len(), budget, (env.now_ms(), None));
    Submission {
        key,
        head: JobHead { flow: "f".into(), title: "t".into(), model: "test/meter".into(), budget, parent: None },
        definition: Definition {
            v: 1,
            graph: None,
            flow: Payload::Inline(json!({})),
            input: Payload::Inline(json!({})),
            model: "test/meter".into(),
            capable: true,
            labels: BTreeMap::new(),
            notify: Vec::new(),
            targets: Vec::new(),
            parent: None,
            tick: None,
            requester: None,
            base: None,
            time_ms: None,
        },
        root,
        idempotency: None,
        deliveries: Vec::new(),
    }
}

/// A job's item at its submission, with a time of 30 days where none is given.
pub fn root(nodes: usize, budget: Cost, (now_ms, time_ms): (u64, Option<u64>)) -> Group {
    Group {
        id: GroupId::Root,
        ver: 1,
        last: "new".into(),
        at_ms: now_ms,
        ending: None,
        done: Bits::with_room(nodes),
        no: Bits::with_room(nodes),
        rounds: BTreeMap::new(),
        run: BTreeMap::new(),
        left: Balance::of(budget),
        spent: Cost::ZERO,
        scope: Scope::Root(Root {
            status: JobStatus::Queued,
            groups: BTreeMap::new(),
            created_ms: now_ms,
            deadline_ms: now_ms + time_ms.unwrap_or(30 * 24 * 3_600_000),
            rests_since_ms: None,
            due_ms: Some(now_ms + 60_000),
            swept_ver: 0,
            pause_ms: 0,
        }),
    }
}
