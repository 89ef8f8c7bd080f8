//! The contract of the ports of the table: one suite, on the fake and on the real adapter over two transports.

#[path = "table/faults.rs"]
mod faults;
#[path = "table/stream.rs"]
mod stream;

use convoke_tests::contracts;
use convoke_tests::embedded::{EmbeddedStack, EmbeddedTable};
use convoke_tests::fakes::FakeTable;

macro_rules! on_all {
    ($($case:ident)*) => {
        mod fake {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $case() {
                    super::contracts::$case(&super::FakeTable::default()).await;
                }
            )*
        }
        /// Through the connector that `convoke` runs on.
        mod stack {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $case() {
                    let embedded = super::EmbeddedStack::start().await;
                    super::contracts::$case(&embedded.table).await;
                }
            )*
        }
        /// Over HTTP.
        mod dynamo {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $case() {
                    let embedded = super::EmbeddedTable::start().await;
                    super::contracts::$case(&embedded.table).await;
                }
            )*
        }
    };
}

on_all! {
    a_code_is_forgotten
    a_code_links_once
    a_link_moves_with_its_group
    buttons_are_kept
    counts_add_up
    ends_wait_in_their_chat
    links_are_kept_by_tenant
    rooms_are_replaced_version_by_version
    updates_are_claimed_once
    a_conflict_answers_the_group
    a_fetch_brings_what_exists
    a_mark_is_applied_once
    a_missing_group_is_missing
    a_put_loser_gets_the_winners
    chunks_come_back
    concurrent_commits_add_up
    decisions_are_kept_by_their_marks
    deliveries_are_due_until_they_are_over
    deliveries_begin_with_their_job
    due_jobs_come_by_time
    due_schedules_come_by_time
    ended_jobs_are_never_due
    ended_jobs_show_cost_and_reason
    events_are_numbered_without_gaps
    events_are_paged
    expired_keys_make_new_jobs
    groups_are_loaded_in_any_number
    groups_round_trip
    jobs_are_filtered
    jobs_are_listed_newest_first
    keys_are_kept_by_tenant
    many_events_are_appended_whole
    one_of_racing_claims_wins
    questions_are_put_once
    racing_submissions_make_one_job
    results_are_paged_in_order
    results_are_put_once
    submission_is_idempotent
    runs_are_kept_newest_first
    schedules_are_stored_over_their_version
    tenants_are_listed
    tenants_never_meet
    tries_are_listed_newest_first
    turns_are_put_once_and_in_order
    webhooks_are_kept_by_tenant
    webhooks_are_replaced_version_by_version
}

/// The fake is `Change::apply` itself, so the comparison is the adapter's alone.
#[tokio::test(flavor = "multi_thread")]
async fn changes_agree() {
    let embedded = EmbeddedTable::start().await;
    contracts::changes_agree(&embedded.table).await;
}
