//! A handler whose traces have left before it answers: what a function leaves waiting is frozen with it.

use std::pin::Pin;
use std::task::{Context, Poll};

use lambda_http::Service;

/// A service that flushes before its answer. See [`flushed`].
#[derive(Clone, Debug)]
pub struct Flushed<S>(S);

/// Has a handler's spans sent before it answers, where traces are on; that takes 1.5 s at most, and changes no answer.
pub const fn flushed<S>(service: S) -> Flushed<S> {
    Flushed(service)
}

impl<S, R> Service<R> for Flushed<S>
where
    S: Service<R, Future: Send + 'static, Response: Send, Error: Send>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let answer = self.0.call(request);
        Box::pin(async move {
            let answer = answer.await;
            super::flush().await;
            answer
        })
    }
}
