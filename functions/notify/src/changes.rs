//! A batch of records, sorted by job.

use aws_lambda_events::event::dynamodb::EventRecord;
use convoke_app::ports::PortError;
use convoke_domain::group::Group;
use convoke_domain::ids::JobKey;
use convoke_runtime::group_from_stream_image;

/// One change of a mutable item.
pub(super) struct Changed {
    /// Before it; `None` where the item is new.
    pub old: Option<Group>,
    /// After it.
    pub new: Group,
}

/// What changed in a job, oldest first.
pub(super) struct JobChanges {
    /// Which job.
    pub key: JobKey,
    /// The stream's number of the first change.
    pub sequence_number: Option<String>,
    /// At least one.
    pub changed: Vec<Changed>,
}

/// The first record that can't be read.
pub(super) struct Unreadable {
    /// The stream's number of it.
    pub sequence_number: Option<String>,
    /// Why.
    pub error: PortError,
}

/// What a batch shows.
#[derive(Default)]
pub(super) struct Batch {
    /// The changes before the first record that can't be read, by job, in the order in which jobs first appear.
    pub jobs: Vec<JobChanges>,
    /// That record.
    pub unreadable: Option<Unreadable>,
}

impl Batch {
    /// Reads the records; those of other items, and removals, show nothing.
    pub fn of(records: Vec<EventRecord>) -> Self {
        let mut batch = Self::default();
        for record in records {
            let sequence_number = record.change.sequence_number.clone();
            match change(record) {
                Ok(Some((key, changed))) => batch.add(key, sequence_number, changed),
                Ok(None) => {}
                Err(error) => {
                    batch.unreadable = Some(Unreadable { sequence_number, error });
                    break;
                }
            }
        }
        batch
    }

    fn add(&mut self, key: JobKey, sequence_number: Option<String>, changed: Changed) {
        match self.jobs.iter_mut().find(|job| job.key == key) {
            Some(job) => job.changed.push(changed),
            None => self.jobs.push(JobChanges { key, sequence_number, changed: vec![changed] }),
        }
    }
}

fn change(record: EventRecord) -> Result<Option<(JobKey, Changed)>, PortError> {
    if !matches!(record.event_name.as_str(), "INSERT" | "MODIFY") {
        return Ok(None);
    }
    let Some((key, new)) = group_from_stream_image(record.change.new_image)? else { return Ok(None) };
    let old = group_from_stream_image(record.change.old_image)?.map(|(_, old)| old);
    Ok(Some((key, Changed { old, new })))
}
