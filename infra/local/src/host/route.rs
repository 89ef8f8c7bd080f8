//! Routes as an API Gateway HTTP API knows them: `GET /v1/jobs/{id}/artifacts/{path+}`.

use std::collections::BTreeMap;

use http::Method;
use percent_encoding::percent_decode_str;

/// A route that can't be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0} is no route: METHOD /path/{{name}}/{{rest+}}, with {{rest+}} only at the end")]
pub struct RouteError(String);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Fixed(String),
    /// One segment.
    Named(String),
    /// One segment or more, up to the end.
    Greedy(String),
}

/// A route and the function behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub(super) key: String,
    pub(super) function: String,
    /// `None`: any.
    method: Option<Method>,
    segments: Vec<Segment>,
}

impl Route {
    /// Reads a route key (`POST /v1/jobs`, `ANY /telegram`, `$default`) as in the template.
    ///
    /// # Errors
    /// [`RouteError`], final.
    pub fn new(key: &str, function: &str) -> Result<Self, RouteError> {
        let bad = || RouteError(key.to_owned());
        let (method, path) = match key {
            "$default" => ("ANY", "/{proxy+}"),
            _ => key.split_once(' ').ok_or_else(bad)?,
        };
        let method = match method {
            "ANY" => None,
            method if method.bytes().all(|byte| byte.is_ascii_uppercase()) => Some(method.parse().map_err(|_| bad())?),
            _ => return Err(bad()),
        };
        let segments = split(path).ok_or_else(bad)?.map(segment).collect::<Option<Vec<_>>>().ok_or_else(bad)?;
        let greedy = segments.iter().rev().skip(1).any(|segment| matches!(segment, Segment::Greedy(_)));
        if greedy {
            return Err(bad());
        }
        Ok(Self { key: key.to_owned(), function: function.to_owned(), method, segments })
    }

    /// The path's parameters, decoded, if the route matches.
    fn matches(&self, method: &Method, path: &str) -> Option<BTreeMap<String, String>> {
        if self.method.as_ref().is_some_and(|own| own != method) {
            return None;
        }
        if self.key == "$default" {
            return Some(BTreeMap::new());
        }
        let mut parameters = BTreeMap::new();
        let mut rest = path.strip_prefix('/');
        for segment in &self.segments {
            let text = rest?;
            let (first, after) = text.split_once('/').map_or((text, None), |(first, after)| (first, Some(after)));
            match segment {
                Segment::Fixed(fixed) if fixed == first => rest = after,
                Segment::Fixed(_) => return None,
                Segment::Named(name) => {
                    if first.is_empty() {
                        return None;
                    }
                    parameters.insert(name.clone(), decode(first));
                    rest = after;
                }
                Segment::Greedy(name) => {
                    if text.is_empty() {
                        return None;
                    }
                    parameters.insert(name.clone(), decode(text));
                    rest = None;
                }
            }
        }
        rest.is_none().then_some(parameters)
    }

    /// What is more specific comes first: fixed before named before greedy, segment by segment; a method before any.
    fn rank(&self) -> (bool, Vec<u8>, bool) {
        let segments = self.segments.iter().map(|segment| match segment {
            Segment::Fixed(_) => 0,
            Segment::Named(_) => 1,
            Segment::Greedy(_) => 2,
        });
        (self.key == "$default", segments.collect(), self.method.is_none())
    }
}

/// The routes of an API, most specific first.
#[derive(Clone, Debug, Default)]
pub(super) struct Routes(Vec<Route>);

impl Routes {
    pub(super) fn new(mut routes: Vec<Route>) -> Self {
        routes.sort_by_key(Route::rank);
        Self(routes)
    }

    pub(super) fn find(&self, method: &Method, path: &str) -> Option<(&Route, BTreeMap<String, String>)> {
        self.0.iter().find_map(|route| Some((route, route.matches(method, path)?)))
    }
}

fn split(path: &str) -> Option<impl Iterator<Item = &str>> {
    path.strip_prefix('/').map(|path| path.split('/'))
}

fn segment(text: &str) -> Option<Segment> {
    let Some(name) = text.strip_prefix('{') else {
        return (!text.contains(['{', '}'])).then(|| Segment::Fixed(text.to_owned()));
    };
    let name = name.strip_suffix('}')?;
    let (name, greedy) = name.strip_suffix('+').map_or((name, false), |name| (name, true));
    let fits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    fits.then(|| if greedy { Segment::Greedy(name.to_owned()) } else { Segment::Named(name.to_owned()) })
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes() -> Routes {
        let keys = [
            "$default",
            "ANY /v1/{proxy+}",
            "GET /v1/jobs/{id}",
            "GET /v1/jobs/latest",
            "GET /v1/jobs/{id}/artifacts/{path+}",
            "POST /v1/jobs",
            "GET /",
        ];
        Routes::new(keys.iter().map(|key| Route::new(key, key).expect("a route")).collect())
    }

    fn check(request: &str, route: &str, parameters: &[(&str, &str)]) {
        let (method, path) = request.split_once(' ').expect("a method and a path");
        let routes = routes();
        let (found, found_parameters) = routes.find(&method.parse().expect("a method"), path).expect("a match");
        let expected = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        assert_eq!((found.key.as_str(), found_parameters), (route, expected), "{request}");
    }

    #[test]
    fn the_most_specific_route_wins() {
        check("POST /v1/jobs", "POST /v1/jobs", &[]);
        check("GET /v1/jobs/latest", "GET /v1/jobs/latest", &[]);
        check("GET /v1/jobs/01J", "GET /v1/jobs/{id}", &[("id", "01J")]);
        check("GET /v1/jobs/01J/", "ANY /v1/{proxy+}", &[("proxy", "jobs/01J/")]);
        check("DELETE /v1/jobs", "ANY /v1/{proxy+}", &[("proxy", "jobs")]);
        check("GET /", "GET /", &[]);
        check("GET /elsewhere", "$default", &[]);
    }

    #[test]
    fn parameters_are_decoded_and_greedy_ones_keep_their_slashes() {
        let parameters = [("id", "a b"), ("path", "src/a b/../c%.rs")];
        check(
            "GET /v1/jobs/a%20b/artifacts/src/a%20b/..%2Fc%25.rs",
            "GET /v1/jobs/{id}/artifacts/{path+}",
            &parameters,
        );
    }

    #[test]
    fn what_is_no_route_is_refused() {
        for key in ["/v1", "GET v1", "get /v1", "GET /{a+}/b", "GET /{}", "GET /{a", "GET /a{b}"] {
            assert_eq!(Route::new(key, "f"), Err(RouteError(key.to_owned())), "{key}");
        }
    }
}
