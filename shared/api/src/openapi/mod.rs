//! The `OpenAPI` 3.1 document, built from the types and the table of operations; `openapi.json` beside the manifest is the
//! same, committed.

mod operations;

use utoipa::ToSchema;
use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, ParameterBuilder, ParameterIn, PathItem, PathsBuilder,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::Type;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Components, ComponentsBuilder, Content, HeaderBuilder, InfoBuilder, LicenseBuilder, Object, OpenApi,
    OpenApiBuilder, Ref, RefOr, Required, Response, ResponseBuilder, Schema,
};

use crate::artifact::{ArtifactList, DownloadView, Health, UploadView};
use crate::event::EventList;
use crate::job::{Accepted, JobList, JobView, ResultView};
use crate::link::{LinkCodeView, LinkList, LinkRequest};
use crate::problem::{PROBLEM_MEDIA_TYPE, Problem};
use crate::request::{FollowUpRequest, JobRequest, RetryRequest, UploadRequest};
use crate::review::{DecisionRequest, ReviewList, ReviewView};
use crate::schedule::{RunList, RunView, ScheduleList, ScheduleRequest, ScheduleView};
use crate::step::{StepDetail, StepList};
use crate::webhook::{
    DeliveryList, DeliveryView, RedeliveryView, WebhookList, WebhookRequest, WebhookView, WebhookWithSecret,
};

use operations::{Answer, Body, Op, Param, Place, Verb, operations};

/// Name of the security scheme.
const KEY: &str = "key";

/// The document as it is committed and served.
pub const DOCUMENT: &str = include_str!("../../openapi.json");

/// An operation's place: which function answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The method, e.g. `GET`.
    pub method: &'static str,
    /// The path, e.g. `/v1/jobs/{id}`; `{path}` stands for one or more segments, other names for one.
    pub path: &'static str,
    /// The function, e.g. `status`.
    pub function: &'static str,
    /// Whether it takes no key.
    pub is_open: bool,
}

/// All operations' places, in the document's order.
pub fn routes() -> Vec<Route> {
    let route =
        |op: Op| Route { method: op.method.as_str(), path: op.path, function: op.function, is_open: op.is_open };
    operations().into_iter().map(route).collect()
}

/// The document. Always the same for the same code.
pub fn document() -> OpenApi {
    let paths = operations().into_iter().fold(PathsBuilder::new(), |paths, op| {
        let method = match op.method {
            Verb::Get => HttpMethod::Get,
            Verb::Post => HttpMethod::Post,
            Verb::Delete => HttpMethod::Delete,
        };
        paths.path(op.path, PathItem::new(method, operation(op)))
    });
    let info = InfoBuilder::new()
        .title("Convoke")
        .version("1")
        .description(Some("Crews of AI agents as a service: submit a job, follow it, fetch what it made."))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
        .build();
    OpenApiBuilder::new()
        .info(info)
        .paths(paths.build())
        .components(Some(components()))
        .security(Some([SecurityRequirement::new(KEY, [] as [&str; 0])]))
        .build()
}

/// The document as it is served and committed: JSON, indented, with a newline at the end.
pub fn document_json() -> String {
    // The document is plain data, which always has a JSON form.
    document().to_pretty_json().unwrap_or_default() + "\n"
}

fn components() -> Components {
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("cvk_...")
        .description(Some("A key of a tenant: `Authorization: Bearer cvk_...`."));
    let mut schemas = Vec::new();
    for add in [
        with::<JobRequest>,
        with::<FollowUpRequest>,
        with::<RetryRequest>,
        with::<UploadRequest>,
        with::<Accepted>,
        with::<JobView>,
        with::<JobList>,
        with::<ResultView>,
        with::<ReviewView>,
        with::<ReviewList>,
        with::<DecisionRequest>,
        with::<StepList>,
        with::<StepDetail>,
        with::<EventList>,
        with::<ArtifactList>,
        with::<DownloadView>,
        with::<UploadView>,
        with::<ScheduleRequest>,
        with::<ScheduleView>,
        with::<ScheduleList>,
        with::<RunView>,
        with::<RunList>,
        with::<WebhookRequest>,
        with::<WebhookView>,
        with::<WebhookWithSecret>,
        with::<WebhookList>,
        with::<DeliveryView>,
        with::<DeliveryList>,
        with::<RedeliveryView>,
        with::<LinkRequest>,
        with::<LinkCodeView>,
        with::<LinkList>,
        with::<Health>,
        with::<Problem>,
    ] {
        add(&mut schemas);
    }
    ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .security_scheme(KEY, SecurityScheme::Http(scheme.build()))
        .build()
}

/// Adds a type and all that it is made of.
fn with<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}

fn operation(op: Op) -> Operation {
    let mut builder = OperationBuilder::new()
        .operation_id(Some(op.id))
        .summary(Some(op.summary))
        .tag(op.function)
        .request_body(op.body.map(|body| request_body(&body)));
    if op.is_open {
        builder = builder.securities(Some([SecurityRequirement::default()]));
    }
    for param in op.params {
        builder = builder.parameter(parameter(&param));
    }
    for answer in op.answers {
        builder = builder.response(answer.status.to_string(), response(&answer));
    }
    for (status, description) in op.problems {
        builder = builder.response(status.to_string(), problem(description));
    }
    builder.build()
}

fn request_body(body: &Body) -> utoipa::openapi::request_body::RequestBody {
    let required = if body.is_required { Required::True } else { Required::False };
    RequestBodyBuilder::new().content("application/json", content(body.schema)).required(Some(required)).build()
}

fn content(schema: &str) -> Content {
    Content::new(Some(Ref::from_schema_name(schema)))
}

fn parameter(param: &Param) -> utoipa::openapi::path::Parameter {
    let (place, required) = match param.place {
        Place::Path => (ParameterIn::Path, Required::True),
        Place::Query => (ParameterIn::Query, Required::False),
        Place::Header => (ParameterIn::Header, Required::False),
    };
    ParameterBuilder::new()
        .name(param.name)
        .parameter_in(place)
        .required(required)
        .description(Some(param.description))
        .schema(Some(param.schema.clone()))
        .build()
}

fn response(answer: &Answer) -> Response {
    let mut builder = ResponseBuilder::new().description(answer.description);
    for (media_type, schema) in answer.contents {
        let content = match schema {
            Some(schema) => content(schema),
            None => Content::new(Some(Object::builder().schema_type(Type::String).build())),
        };
        builder = builder.content(*media_type, content);
    }
    for (name, description) in answer.headers {
        let text = Object::builder().schema_type(Type::String).build();
        builder =
            builder.header(*name, HeaderBuilder::new().schema(Some(text)).description(Some(*description)).build());
    }
    builder.build()
}

fn problem(description: &str) -> Response {
    ResponseBuilder::new().description(description).content(PROBLEM_MEDIA_TYPE, content("Problem")).build()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn the_committed_document_is_current() {
        assert!(
            DOCUMENT == document_json(),
            "shared/api/openapi.json is stale: write it anew with `cargo run -q -p convoke-api --example openapi \
             > shared/api/openapi.json`"
        );
    }

    #[test]
    fn it_is_openapi_3_1_and_all_its_references_lead_somewhere() {
        let json: Value = serde_json::from_str(DOCUMENT).expect("json");
        assert_eq!(json["openapi"], "3.1.0");
        let mut refs = BTreeSet::new();
        collect_refs(&json, &mut refs);
        assert!(refs.len() > 20, "{refs:?}");
        for reference in refs {
            let pointer = reference.trim_start_matches('#');
            assert!(json.pointer(pointer).is_some(), "{reference} leads nowhere");
        }
    }

    fn collect_refs(value: &Value, refs: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                for (key, inner) in map {
                    match inner {
                        Value::String(text) if key == "$ref" => drop(refs.insert(text.clone())),
                        _ => collect_refs(inner, refs),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| collect_refs(item, refs)),
            _ => {}
        }
    }

    #[test]
    fn operations_are_named_once_and_say_how_they_fail() {
        let json: Value = serde_json::from_str(DOCUMENT).expect("json");
        let mut ids = BTreeSet::new();
        for (path, item) in json["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("an item") {
                let id = operation["operationId"].as_str().expect("an id");
                assert!(ids.insert(id.to_owned()), "{id} twice");
                let open = operation["security"] == serde_json::json!([{}]);
                let answers = operation["responses"].as_object().expect("responses");
                assert!(open || answers.contains_key("401"), "{method} {path} can be unauthenticated");
                assert!(!path.contains("{id}") || answers.contains_key("404"), "{method} {path} may not be found");
            }
        }
    }
}
