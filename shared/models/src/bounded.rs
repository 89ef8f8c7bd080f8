//! The time-out and the cancellation of a call.

use std::future::Future;

use convoke_app::model::{ModelAnswer, ModelError, ModelRequest};

/// Runs a call until it ends, its time is up, or it is cancelled; what it was doing is dropped then.
pub(crate) async fn bounded(
    request: &ModelRequest,
    call: impl Future<Output = Result<ModelAnswer, ModelError>> + Send,
) -> Result<ModelAnswer, ModelError> {
    tokio::select! {
        biased;
        () = request.cancel.cancelled() => Err(ModelError::Cancelled),
        ended = tokio::time::timeout(request.timeout, call) => ended.unwrap_or_else(|_| {
            Err(ModelError::Failed { detail: format!("no whole answer within {:?}", request.timeout) })
        }),
    }
}
