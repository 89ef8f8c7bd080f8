//! Prints the `OpenAPI` document, to be committed as `shared/api/openapi.json`.

fn main() {
    print!("{}", convoke_api::openapi::document_json());
}
