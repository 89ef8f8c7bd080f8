//! Tells when jobs end, without asking the table.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use convoke_app::ports::{Applied, Groups, PortError};
use convoke_domain::change::Change;
use convoke_domain::group::Group;
use convoke_domain::ids::{GroupId, JobKey};
use convoke_domain::status::JobStatus;
use tokio::sync::Notify;

/// The port of groups, watched.
pub struct Ends {
    inner: Arc<dyn Groups>,
    ended: Mutex<HashSet<JobKey>>,
    changed: Notify,
}

impl Ends {
    pub fn new(inner: Arc<dyn Groups>) -> Self {
        Self { inner, ended: Mutex::default(), changed: Notify::new() }
    }

    /// Waits until the job has ended.
    pub async fn wait(&self, key: &JobKey) {
        loop {
            let changed = self.changed.notified();
            if self.ended.lock().unwrap_or_else(PoisonError::into_inner).remove(key) {
                return;
            }
            changed.await;
        }
    }
}

#[async_trait]
impl Groups for Ends {
    async fn apply(&self, key: &JobKey, change: &Change) -> Result<Applied, PortError> {
        let applied = self.inner.apply(key, change).await?;
        if let Applied::Done(group) = &applied
            && let Some(status) = group.root().map(|root| root.status).filter(|status| status.is_terminal())
        {
            assert_eq!(status, JobStatus::Completed, "{:?}", group.ending);
            self.ended.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
            self.changed.notify_waiters();
        }
        Ok(applied)
    }

    async fn put_group(&self, key: &JobKey, group: &Group) -> Result<Group, PortError> {
        self.inner.put_group(key, group).await
    }

    async fn load_groups(&self, key: &JobKey, ids: &[GroupId]) -> Result<BTreeMap<GroupId, Group>, PortError> {
        self.inner.load_groups(key, ids).await
    }
}
