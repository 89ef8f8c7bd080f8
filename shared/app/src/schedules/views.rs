//! Schedules and runs as callers see them.

use convoke_api::job::Links;
use convoke_api::schedule::{BatchView, RunJobView, RunView, ScheduleView};
use convoke_api::time::Time;

use crate::ports::{RunJob, RunRecord, ScheduleRecord, Timing};

/// Ticks that are told ahead.
const NEXT_RUNS: usize = 5;

pub(super) fn schedule(record: &ScheduleRecord, now_ms: u64) -> ScheduleView {
    let (cron, time_zone, every_s) = match &record.timing {
        _ if record.after.is_some() => (None, None, None),
        Timing::Cron { expression, zone } => (Some(expression.clone()), Some(zone.clone()), None),
        Timing::Every { seconds } => (None, None, Some(*seconds)),
    };
    ScheduleView {
        id: record.id.clone(),
        name: record.name.clone(),
        cron,
        time_zone,
        every_s,
        jitter_s: record.jitter_s,
        overlap: record.overlap,
        paused: record.paused,
        job: record.job.clone(),
        batch: record.batch.as_ref().map(|batch| BatchView { count: batch.count, at_once: batch.at_once }),
        after: record.after.as_ref().map(|after| after.job.clone()),
        made_by: record.after.as_ref().map(|after| after.requester.person.to_string()),
        created_at: Time(record.created_ms),
        next_runs: if record.after.is_some() { Vec::new() } else { next_runs(record, now_ms) },
        last_run: record.last_ms.map(Time),
        skipped: record.skipped,
        refusal: record.refusal.clone(),
        href: format!("/v1/schedules/{}", record.id),
    }
}

fn next_runs(record: &ScheduleRecord, now_ms: u64) -> Vec<Time> {
    let after = |tick_ms: &u64| record.timing.next(record.created_ms, (*tick_ms).max(now_ms));
    std::iter::successors(record.next_ms, after).take(NEXT_RUNS).map(Time).collect()
}

pub(super) fn run(record: &RunRecord) -> RunView {
    RunView {
        tick: Time(record.tick_ms),
        started_at: Time(record.started_ms),
        ended_at: record.ended_ms.map(Time),
        total: record.total,
        waiting: record.total.saturating_sub(record.next),
        running: record.running.iter().map(job).collect(),
        completed: record.tally.completed,
        failed: record.tally.failed,
        cancelled: record.tally.cancelled,
        refused: record.tally.refused,
        refusal: record.refusal.clone(),
        cost: record.tally.spent.into(),
    }
}

fn job(running: &RunJob) -> RunJobView {
    RunJobView { id: running.job.clone(), href: Links::of(&running.job).this, index: running.index }
}
