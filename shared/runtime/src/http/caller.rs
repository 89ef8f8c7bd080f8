//! Who asks, about what: the one authentication extractor, and what handlers take from a request besides.

use axum::extract::{FromRef, FromRequestParts, Path, Query};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use convoke_app::auth::Caller;
use convoke_app::failure::Refused;
use convoke_app::platform::Platform;
use convoke_app::submit::IdempotencyKey;
use convoke_domain::ids::{JobKey, TenantId};
use serde::de::DeserializeOwned;

use super::HttpError;

/// Whoever shows a valid key. The one place where HTTP requests are authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticated(pub Caller);

impl<S> FromRequestParts<S> for Authenticated
where
    Platform: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpError> {
        let platform = Platform::from_ref(state);
        let bearer = bearer(&parts.headers).ok_or(Refused::Unauthenticated)?;
        let caller = platform.authenticate(bearer).await?;
        tracing::Span::current().record("tenant", caller.tenant.as_str());
        Ok(Self(caller))
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// The caller's job that the URL names, and what follows in the URL (a path, a step). Whether the job exists is the use
/// case's to find out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfJob {
    /// The job, of the caller's tenant.
    pub key: JobKey,
    /// The other parameter of the route, decoded; empty where there is none.
    pub rest: String,
    /// Name of the key that was shown.
    pub key_name: String,
}

impl<S> FromRequestParts<S> for OfJob
where
    Platform: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpError> {
        let Authenticated(caller) = Authenticated::from_request_parts(parts, state).await?;
        let (mut id, mut rest) = (String::new(), String::new());
        for (name, value) in path_parameters(parts, state).await? {
            if name == "id" { id = value } else { rest = value }
        }
        let key = Platform::from_ref(state).job_key(&caller.tenant, &id)?;
        tracing::Span::current().record("job", key.job.as_str());
        Ok(Self { key, rest, key_name: caller.key_name })
    }
}

/// Something of the caller's tenant that the URL names. Whether it exists is the use case's to find out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfTenant {
    /// Whose.
    pub tenant: TenantId,
    /// Its id, as asked.
    pub id: String,
}

impl<S> FromRequestParts<S> for OfTenant
where
    Platform: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpError> {
        let Authenticated(caller) = Authenticated::from_request_parts(parts, state).await?;
        let id = path_parameters(parts, state).await?.into_iter().map(|(_, value)| value).next().unwrap_or_default();
        Ok(Self { tenant: caller.tenant, id })
    }
}

/// The webhook that the URL names, and the try at it; whether they exist is the use case's to find out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfWebhook {
    /// The caller's tenant.
    pub tenant: TenantId,
    /// The webhook, decoded.
    pub webhook: String,
    /// The try; empty where the URL names none.
    pub delivery: String,
}

impl<S> FromRequestParts<S> for OfWebhook
where
    Platform: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpError> {
        let Authenticated(caller) = Authenticated::from_request_parts(parts, state).await?;
        let (mut webhook, mut delivery) = (String::new(), String::new());
        for (name, value) in path_parameters(parts, state).await? {
            if name == "webhook" { webhook = value } else { delivery = value }
        }
        Ok(Self { tenant: caller.tenant, webhook, delivery })
    }
}

/// The names and values of the route's parameters, decoded.
async fn path_parameters<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<Vec<(String, String)>, Refused> {
    let found = Path::<Vec<(String, String)>>::from_request_parts(parts, state).await;
    found.map(|Path(params)| params).map_err(|error| Refused::Malformed { detail: error.to_string() })
}

/// Query parameters; those that `T` doesn't know are ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, HttpError> {
        let query =
            Query::<T>::try_from_uri(&parts.uri).map_err(|error| Refused::Malformed { detail: error.body_text() })?;
        Ok(Self(query.0))
    }
}

/// The `Idempotency-Key`, where one is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeat(pub Option<IdempotencyKey>);

impl<S: Send + Sync> FromRequestParts<S> for Repeat {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, HttpError> {
        let Some(value) = parts.headers.get("idempotency-key") else { return Ok(Self(None)) };
        let key = value.to_str().unwrap_or_default().parse();
        let key = key.map_err(|error: convoke_app::submit::IdempotencyKeyError| Refused::Malformed {
            detail: error.to_string(),
        })?;
        Ok(Self(Some(key)))
    }
}
