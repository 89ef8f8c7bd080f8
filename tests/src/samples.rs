//! Jobs, groups and changes for tests: some by hand, some drawn.

use std::collections::BTreeMap;

use convoke_app::ports::{
    DecidedBy, DecisionRecord, Definition, Idempotency, JobHead, Payload, Progress, SigningSecret, StepRecord,
    Submission, TurnRecord, Wanted, Webhook,
};
use convoke_domain::bits::Bits;
use convoke_domain::change::{Change, Field, Set, When};
use convoke_domain::group::{Balance, Ending, Fan, Group, Loan, Order, Root, Scope};
use convoke_domain::ids::{GroupId, JobId, JobKey, SlotId, StepId, WebhookId};
use convoke_domain::money::{Cost, MicroUsd};
use convoke_domain::review::{Decision, Ruling};
use convoke_domain::slot::{Asked, At, Claim, Ruled, Slot, Wait};
use convoke_domain::status::{JobStatus, StopReason};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::json;

/// When the samples were submitted: 2026-11-21.
pub const NOW_MS: u64 = 1_795_219_200_000;

/// Job number `n` of a tenant; later numbers are later ids. All begin in [`NOW_MS`]'s millisecond.
pub fn job(tenant: &str, n: u32) -> JobKey {
    JobKey { tenant: tenant.parse().expect("a tenant"), job: job_id(n) }
}

fn job_id(n: u32) -> JobId {
    // The first ten characters are NOW_MS.
    format!("01M7XPE600000000000000{n:04}").parse().expect("a ULID")
}

/// Id number `n` of a webhook.
pub fn webhook_id(n: u32) -> WebhookId {
    format!("wh_{}", job_id(n)).parse().expect("an id")
}

/// A webhook as it is made.
pub fn webhook(n: u32) -> Webhook {
    Webhook {
        v: 1,
        id: webhook_id(n),
        url: format!("https://example.com/{n}?token=\u{e9}"),
        events: Wanted(["job.ended".to_owned()].into()),
        description: "Ours \u{2014} \"CI\"".into(),
        secret: SigningSecret::new(format!("whsec_{n}")),
        earlier: Vec::new(),
        created_ms: NOW_MS,
        disabled: None,
        ver: 1,
        mark: "new".into(),
    }
}

/// A person's decision on a review.
pub fn decision(step: &StepId, mark: &str, decision: Decision) -> DecisionRecord {
    DecisionRecord {
        v: 1,
        step: step.clone(),
        mark: mark.to_owned(),
        decision: Some(decision),
        by: Some(DecidedBy { who: "dcu_42".into(), name: "Ann \u{2014} \"A\"".into() }),
        comment: "as it is\n".into(),
        at_ms: NOW_MS,
    }
}

/// A cost.
pub const fn cost(usd: u64, tokens: u64) -> Cost {
    Cost { usd: MicroUsd(usd), tokens }
}

/// A job's own item as it is submitted, due in a minute.
pub fn root() -> Group {
    Group {
        id: GroupId::Root,
        ver: 1,
        last: "submit".into(),
        at_ms: NOW_MS,
        ending: None,
        done: Bits::with_room(64),
        no: Bits::with_room(64),
        rounds: BTreeMap::new(),
        run: BTreeMap::new(),
        left: Balance { usd: 1_000_000, tokens: 500_000 },
        spent: Cost::ZERO,
        scope: Scope::Root(Root {
            status: JobStatus::Queued,
            groups: BTreeMap::new(),
            created_ms: NOW_MS,
            deadline_ms: NOW_MS + 3_600_000,
            rests_since_ms: None,
            due_ms: Some(NOW_MS + 60_000),
            swept_ver: 0,
            pause_ms: 60_000,
        }),
    }
}

/// A part of a map of 20 items.
pub fn fan(id: GroupId) -> Group {
    let order = Order::Lanes { first: 8, count: 8, stride: 16 };
    let fan = Fan { drawn: cost(100, 100), items: 20, chunk: 10, order, failed: 0 };
    Group { id, left: Balance { usd: 100, tokens: 100 }, scope: Scope::Fan(fan), ..root() }
}

/// A submission of a job.
pub fn submission(key: &JobKey) -> Submission {
    Submission {
        key: key.clone(),
        head: JobHead {
            flow: "fan".into(),
            title: "Build a REST API \u{2014} \"todos\"".into(),
            model: "openai/gpt-4.1".into(),
            budget: cost(1_000_000, 500_000),
            parent: None,
        },
        definition: definition(),
        root: root(),
        idempotency: None,
        deliveries: Vec::new(),
    }
}

/// A caller's key, good until a day after [`NOW_MS`].
pub fn idempotency(key_hash: &str, body_hash: &str) -> Idempotency {
    let expires_s = NOW_MS / 1_000 + 86_400;
    Idempotency { key_hash: key_hash.into(), body_hash: body_hash.into(), expires_s }
}

/// What a job is to do; its JSON is of the kind that a table's own types would change.
pub fn definition() -> Definition {
    Definition {
        v: 1,
        graph: None,
        flow: Payload::Inline(json!({"name": "fan", "nodes": [{"z": 1, "a": [1.0, 1, -0.5, 1e300, u64::MAX]}]})),
        input: Payload::Inline(json!({"idea": "", "none": null, "deep": {"b": {}, "a": []}})),
        model: "openai/gpt-4.1".into(),
        capable: true,
        labels: BTreeMap::from([("team".into(), "x".into())]),
        notify: vec![json!({"webhook": "w1"})],
        targets: Vec::new(),
        parent: Some(job_id(77)),
        tick: None,
        requester: None,
        base: None,
        time_ms: Some(90_000),
    }
}

/// A result of a step.
pub fn result(step: &StepId, nonce: &str) -> StepRecord {
    StepRecord {
        v: 1,
        step: step.clone(),
        attempt: 1,
        nonce: nonce.into(),
        output: Payload::Inline(json!({"text": nonce, "ratio": 0.1})),
        files: Vec::new(),
        progress: Progress { until: Some(true), needs: Some(vec![vec![], vec![0]]), ..Progress::default() },
        answer: None,
        answer_is_output: false,
        turn: 1,
        turn_cost: cost(3, 4),
        cost: cost(5, 6),
        model: Some("openai/gpt-4.1".into()),
        usage: convoke_app::model::Usage::default(),
        started_ms: NOW_MS,
        ended_ms: NOW_MS + 5,
    }
}

/// A turn of a step.
pub fn turn(step: &StepId, turn: u32, text: &str) -> TurnRecord {
    TurnRecord {
        v: 1,
        step: step.clone(),
        turn,
        attempt: 1,
        answer: Payload::Inline(json!({"text": text})),
        replies: Payload::Inline(json!([])),
        cost: cost(7, 8),
        at_ms: NOW_MS,
    }
}

/// A step: task, item, round.
pub fn step(task: &str, item: Option<u32>, round: Option<u32>) -> StepId {
    StepId { task: task.into(), item, round }
}

/// A slot that a worker holds.
pub fn held(nonce: &str) -> Slot {
    let hold = cost(1_500, 900);
    let claim = Claim { nonce: nonce.into(), lease_until_ms: NOW_MS + 150_000, hold, turn: 1 };
    Slot { attempt: 1, claim: Some(claim), ..Slot::new(At::start(0)) }
}

/// A claim of `slot`, which is free, by the worker `nonce`.
pub fn claim(group: GroupId, slot: SlotId, nonce: &str) -> Change {
    Change::new(group, nonce.to_owned(), NOW_MS)
        .when(When::Live)
        .when(When::Slot(slot, None))
        .when(When::Covers(Balance { usd: 1_500, tokens: 900 }))
        .set(Set::Slot(slot, Some(held(nonce))))
        .money(Cost::ZERO, cost(1_500, 900), Cost::ZERO)
}

/// A time, or any other number that rises.
fn any_number() -> impl Strategy<Value = u64> {
    prop_oneof![0..5_u64, Just(NOW_MS), 0..=u64::MAX >> 2]
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z0-9]{1,13}", "\\PC{0,20}"]
}

fn any_cost() -> impl Strategy<Value = Cost> {
    (0..1_u64 << 40, 0..1_u64 << 40).prop_map(|(usd, tokens)| cost(usd, tokens))
}

fn any_balance() -> impl Strategy<Value = Balance> {
    let amount = || prop_oneof![-3..4_i64, -(1_i64 << 40)..1 << 40];
    (amount(), amount()).prop_map(|(usd, tokens)| Balance { usd, tokens })
}

fn any_slot_id() -> impl Strategy<Value = SlotId> {
    prop_oneof![0..6_u16, Just(511), Just(9_999)].prop_map(SlotId)
}

fn any_slot() -> impl Strategy<Value = Slot> {
    let at = (0..10_000_u32, 1..9_u32, 0..16_u8).prop_map(|(item, round, task)| At { item, round, task });
    let claim = ("[a-z0-9]{13}", any_number(), any_cost(), 1..40_u32)
        .prop_map(|(nonce, lease_until_ms, hold, turn)| Claim { nonce, lease_until_ms, hold, turn });
    (at, 0..9_u32, any_number(), any_wait(), option::of(claim)).prop_map(
        |(at, attempt, not_before_ms, (wait, ruled), claim)| Slot { at, attempt, not_before_ms, wait, ruled, claim },
    )
}

/// What a slot waits for; what is decided isn't waited for any more.
fn any_wait() -> impl Strategy<Value = (Wait, Option<Ruled>)> {
    let ruled = (select(Ruling::ALL.to_vec()), "[a-z0-9]{13}").prop_map(|(ruling, mark)| Ruled { ruling, mark });
    let wait = select(vec![Wait::Nothing, Wait::Funds, Wait::Groups]);
    prop_oneof![
        (wait, option::weighted(0.3, ruled)),
        (any_number(), any::<bool>())
            .prop_map(|(since_ms, reminded)| (Wait::Person(Asked { since_ms, reminded }), None)),
    ]
}

fn any_bits() -> impl Strategy<Value = Bits> {
    vec(prop_oneof![Just(0), 0..1_u64 << 63], 0..4).prop_map(Bits::from_words)
}

fn any_group_id() -> impl Strategy<Value = GroupId> {
    (0..512_u16, 0..64_u16).prop_map(|(node, part)| GroupId::Fan { node, part })
}

fn any_loan() -> impl Strategy<Value = Loan> {
    (any_cost(), any::<bool>()).prop_map(|(lent, starved)| Loan { lent, starved })
}

fn any_reason() -> impl Strategy<Value = StopReason> {
    use StopReason as R;
    select(vec![
        R::Completed,
        R::BudgetExhausted,
        R::Deadline,
        R::NoConsensus,
        R::GuardrailFailed,
        R::Rejected,
        R::Cancelled,
        R::ModelUnavailable,
        R::ToolFailed,
        R::LoopDetected,
        R::InvalidDefinition,
        R::Internal,
    ])
}

fn any_status() -> impl Strategy<Value = JobStatus> {
    use JobStatus as S;
    select(vec![S::Queued, S::Working, S::AwaitingReview, S::Completed, S::Failed, S::Cancelled])
}

fn any_ending() -> impl Strategy<Value = Ending> {
    (any_reason(), option::of(any_text()), any_text()).prop_map(|(reason, step, cause)| Ending { reason, step, cause })
}

fn any_root() -> impl Strategy<Value = Root> {
    let clock = (any_number(), option::of(any_number()));
    let numbers = (any_number(), clock, option::of(any_number()), any_number(), any_number());
    (any_status(), btree_map(any_group_id(), any_loan(), 0..4), numbers).prop_map(
        |(status, groups, (created_ms, (deadline_ms, rests_since_ms), due_ms, swept_ver, pause_ms))| Root {
            status,
            groups,
            created_ms,
            deadline_ms,
            rests_since_ms,
            due_ms,
            swept_ver,
            pause_ms,
        },
    )
}

fn any_fan() -> impl Strategy<Value = Fan> {
    let lanes = (0..512_u32, 1..9_u32, 1..513_u32);
    let order = prop_oneof![
        lanes.prop_map(|(first, count, stride)| Order::Lanes { first, count, stride }),
        (vec(vec(any::<u8>(), 0..3), 0..5), 1..9_u32)
            .prop_map(|(needs, concurrency)| Order::After { needs, concurrency }),
    ];
    (any_cost(), 0..10_001_u32, 1..999_u32, order, 0..9_u32).prop_map(|(drawn, items, chunk, order, failed)| Fan {
        drawn,
        items,
        chunk,
        order,
        failed,
    })
}

/// Any group, the job's own or a map's.
pub fn any_group() -> impl Strategy<Value = Group> {
    let place = prop_oneof![
        any_root().prop_map(|root| (GroupId::Root, Scope::Root(root))),
        (any_group_id(), any_fan()).prop_map(|(id, fan)| (id, Scope::Fan(fan))),
    ];
    let stamp = (any_number(), any_text(), any_number());
    let threads = (any_bits(), any_bits(), btree_map(any_slot_id(), 1..99_u32, 0..3));
    let run = btree_map(any_slot_id(), any_slot(), 0..5);
    (place, stamp, option::of(any_ending()), threads, run, any_balance(), any_cost()).prop_map(
        |((id, scope), (ver, last, at_ms), ending, (done, no, rounds), run, left, spent)| Group {
            id,
            ver,
            last,
            at_ms,
            ending,
            done,
            no,
            rounds,
            run,
            left,
            spent,
            scope,
        },
    )
}

/// Any change. Whether a condition holds depends on the group: [`fit`] makes most of them true.
pub fn any_change() -> impl Strategy<Value = Drawn> {
    let when = vec((any_when(), prop::bool::weighted(0.9)), 0..4);
    let set = vec(any_set(), 0..6);
    (any_text(), any_number(), when, set, any::<Index>()).prop_map(|(mark, now_ms, when, set, pick)| Drawn {
        mark,
        now_ms,
        when,
        set,
        pick,
    })
}

/// A change as it was drawn, to be fitted to a group.
#[derive(Clone, Debug)]
pub struct Drawn {
    mark: String,
    now_ms: u64,
    when: Vec<(When, bool)>,
    set: Vec<Set>,
    pick: Index,
}

impl Drawn {
    /// The change on `group`: most conditions state what is so, one may state what isn't, and no bit is added twice.
    pub fn fit(&self, group: &Group) -> Change {
        let mut change = Change::new(group.id, self.mark.clone(), self.now_ms);
        for (when, is_fitted) in &self.when {
            change = change.when(if *is_fitted { fitted(when, group, self.pick) } else { when.clone() });
        }
        let adds = |set: &&Set| match set {
            Set::Bit(Field::Done, index) => !group.done.has(*index),
            Set::Bit(Field::No, index) => !group.no.has(*index),
            _ => true,
        };
        self.set.iter().filter(adds).cloned().fold(change, Change::set)
    }
}

/// The same kind of condition, stating what is so.
fn fitted(when: &When, group: &Group, pick: Index) -> When {
    match when {
        When::Live => When::Live,
        When::Ver(_) => When::Ver(group.ver),
        When::Slot(..) if !group.run.is_empty() => {
            let (id, slot) = group.run.iter().nth(pick.index(group.run.len())).expect("within");
            When::Slot(*id, Some(slot.clone()))
        }
        When::Slot(id, _) => When::Slot(*id, None),
        When::Word(Field::Done, place, _) => When::Word(Field::Done, *place, group.done.word(*place)),
        When::Word(Field::No, place, _) => When::Word(Field::No, *place, group.no.word(*place)),
        When::Covers(_) => When::Covers(group.left),
        When::Open(id, loan) => match group.root().and_then(|root| root.groups.iter().next()) {
            Some((id, loan)) => When::Open(*id, *loan),
            None => When::Open(*id, *loan),
        },
        When::Drawn(cost) => When::Drawn(group.fan().map_or(*cost, |fan| fan.drawn)),
        When::Rests(since_ms) => When::Rests(group.root().map_or(*since_ms, |root| root.rests_since_ms)),
        When::Due(due_ms) => When::Due(group.root().map_or(*due_ms, |root| root.due_ms)),
    }
}

fn any_field() -> impl Strategy<Value = Field> {
    select(vec![Field::Done, Field::No])
}

fn any_when() -> impl Strategy<Value = When> {
    prop_oneof![
        Just(When::Live),
        any_number().prop_map(When::Ver),
        (any_slot_id(), option::of(any_slot())).prop_map(|(id, slot)| When::Slot(id, slot)),
        (any_field(), 0..5_usize, prop_oneof![Just(0), any_number()])
            .prop_map(|(field, place, value)| When::Word(field, place, value)),
        any_balance().prop_map(When::Covers),
        (any_group_id(), any_loan()).prop_map(|(id, loan)| When::Open(id, loan)),
        any_cost().prop_map(When::Drawn),
        option::of(any_number()).prop_map(When::Due),
        option::of(any_number()).prop_map(When::Rests),
    ]
}

fn any_set() -> impl Strategy<Value = Set> {
    let due = (option::of(any_number()), any_number(), any_number());
    prop_oneof![
        (any_slot_id(), option::of(any_slot())).prop_map(|(id, slot)| Set::Slot(id, slot)),
        (any_field(), 0..300_usize).prop_map(|(field, index)| Set::Bit(field, index)),
        (any_slot_id(), 1..99_u32).prop_map(|(id, round)| Set::Round(id, round)),
        any_balance().prop_map(Set::Left),
        any_cost().prop_map(Set::Spent),
        any_ending().prop_map(Set::Ending),
        any_status().prop_map(Set::Status),
        (any_group_id(), option::of(any_loan())).prop_map(|(id, loan)| Set::Group(id, loan)),
        any_cost().prop_map(Set::Drawn),
        (any_number(), option::of(any_number()))
            .prop_map(|(deadline_ms, rests_since_ms)| Set::Clock { deadline_ms, rests_since_ms }),
        Just(Set::Failed),
        due.prop_map(|(due_ms, swept_ver, pause_ms)| Set::Due { due_ms, swept_ver, pause_ms }),
    ]
}
