//! What every implementation of the ports has to keep. Each function is one case, on a table of its own.

mod agreement;
mod bells;
mod blobs;
mod chats;
mod deliveries;
mod events;
mod groups;
mod jobs;
mod keys;
mod reviews;
mod schedules;
mod steps;
mod webhooks;

use convoke_app::ports::{
    Deliveries, Events, Groups, Inbox, Jobs, Keys, Links, Reviews, Rooms, Schedules, Steps, Sweeps, Webhooks,
};

pub use agreement::{changes_agree, groups_round_trip};
pub use bells::{Receives, bells_reach_their_queues};
pub use blobs::{Opens, objects_are_kept, presigned_urls_are_followed};
pub use chats::{
    a_code_is_forgotten, a_code_links_once, a_link_moves_with_its_group, buttons_are_kept, counts_add_up,
    ends_wait_in_their_chat, links_are_kept_by_tenant, rooms_are_replaced_version_by_version, updates_are_claimed_once,
};
pub use deliveries::{
    deliveries_are_due_until_they_are_over, deliveries_begin_with_their_job, tries_are_listed_newest_first,
};
pub use events::{events_are_numbered_without_gaps, events_are_paged, many_events_are_appended_whole};
pub use groups::{
    a_conflict_answers_the_group, a_mark_is_applied_once, a_missing_group_is_missing, a_put_loser_gets_the_winners,
    concurrent_commits_add_up, groups_are_loaded_in_any_number, one_of_racing_claims_wins,
};
pub use jobs::{
    due_jobs_come_by_time, ended_jobs_are_never_due, ended_jobs_show_cost_and_reason, expired_keys_make_new_jobs,
    jobs_are_filtered, jobs_are_listed_newest_first, racing_submissions_make_one_job, submission_is_idempotent,
};
pub use keys::{keys_are_kept_by_tenant, tenants_are_listed, tenants_never_meet};
pub use reviews::{decisions_are_kept_by_their_marks, questions_are_put_once};
pub use schedules::{due_schedules_come_by_time, runs_are_kept_newest_first, schedules_are_stored_over_their_version};
pub use steps::{
    a_fetch_brings_what_exists, chunks_come_back, results_are_paged_in_order, results_are_put_once,
    turns_are_put_once_and_in_order,
};
pub use webhooks::{webhooks_are_kept_by_tenant, webhooks_are_replaced_version_by_version};

/// All ports of the table.
pub trait Table:
    Groups
    + Steps
    + Jobs
    + Sweeps
    + Keys
    + Schedules
    + Events
    + Webhooks
    + Deliveries
    + Links
    + Inbox
    + Rooms
    + Reviews
    + Clone
    + 'static
{
}

impl<
    T: Groups
        + Steps
        + Jobs
        + Sweeps
        + Keys
        + Schedules
        + Events
        + Webhooks
        + Deliveries
        + Links
        + Inbox
        + Rooms
        + Reviews
        + Clone
        + 'static,
> Table for T
{
}
