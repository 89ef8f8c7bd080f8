//! Ports that tell an observer what goes through them: model calls, events of jobs, deliveries.
//!
//! Watching changes nothing of what is watched. Events are told when they are appended; the table's stream may deliver
//! what led to them twice, and then they are told twice.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use convoke_app::model::{
    ChatModel, DeltaSink, ModelAnswer, ModelError, ModelNameError, ModelProfile, ModelRequest, Models,
};
use convoke_app::platform::Ports;
use convoke_app::ports::{
    EventKind, EventPage, Events, Outbound, OutboundError, Outgoing, PortError, Posted, UrlRefused,
};
use convoke_domain::ids::{GroupId, JobKey};

/// Somebody who counts. Must not block.
pub trait Observer: Send + Sync {
    /// A model was called, or tried to be.
    fn called(&self, profile: &ModelProfile, done: &Result<ModelAnswer, ModelError>, took: Duration);

    /// These events of one job were appended, in this order.
    fn happened(&self, kinds: &[&EventKind]);

    /// A webhook was told, or tried to be.
    fn posted(&self, done: &Result<Posted, OutboundError>);
}

/// The same ports, watched.
pub fn observed(ports: Ports, observer: &Arc<dyn Observer>) -> Ports {
    let watched = || Arc::clone(observer);
    Ports {
        models: Arc::new(Watched { inner: ports.models, observer: watched() }),
        events: Arc::new(Watched { inner: ports.events, observer: watched() }),
        outbound: Arc::new(Watched { inner: ports.outbound, observer: watched() }),
        ..ports
    }
}

/// A port and who watches it.
struct Watched<P: ?Sized> {
    inner: Arc<P>,
    observer: Arc<dyn Observer>,
}

impl Models for Watched<dyn Models> {
    fn model(&self, name: &str) -> Result<Arc<dyn ChatModel>, ModelNameError> {
        let inner = self.inner.model(name)?;
        Ok(Arc::new(Watched { inner, observer: Arc::clone(&self.observer) }))
    }

    fn default_model(&self) -> &str {
        self.inner.default_model()
    }
}

#[async_trait]
impl ChatModel for Watched<dyn ChatModel> {
    fn profile(&self) -> &ModelProfile {
        self.inner.profile()
    }

    async fn complete(&self, request: &ModelRequest, deltas: Option<&DeltaSink>) -> Result<ModelAnswer, ModelError> {
        let began = Instant::now();
        let done = self.inner.complete(request, deltas).await;
        self.observer.called(self.inner.profile(), &done, began.elapsed());
        done
    }
}

#[async_trait]
impl Events for Watched<dyn Events> {
    async fn append(&self, key: &JobKey, changes: &[(GroupId, u64, u64, Vec<EventKind>)]) -> Result<(), PortError> {
        self.inner.append(key, changes).await?;
        let kinds: Vec<&EventKind> = changes.iter().flat_map(|(.., kinds)| kinds).collect();
        self.observer.happened(&kinds);
        Ok(())
    }

    async fn events(&self, key: &JobKey, after: u64, limit: u32) -> Result<EventPage, PortError> {
        self.inner.events(key, after, limit).await
    }
}

#[async_trait]
impl Outbound for Watched<dyn Outbound> {
    async fn post(&self, request: Outgoing) -> Result<Posted, OutboundError> {
        let done = self.inner.post(request).await;
        self.observer.posted(&done);
        done
    }

    fn check_url(&self, url: &str) -> Result<(), UrlRefused> {
        self.inner.check_url(url)
    }
}
