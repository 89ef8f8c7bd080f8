//! Media types by extension: what a browser or an archive needs to know, no more.

use convoke_domain::path::ArtifactPath;

/// The media type of a file; text where the name says nothing, because that is what agents write.
pub fn media_type(path: &ArtifactPath) -> &'static str {
    let extension = path.extension().map(str::to_ascii_lowercase).unwrap_or_default();
    match extension.as_str() {
        "json" | "map" | "webmanifest" => "application/json",
        "jsonl" | "ndjson" => "application/x-ndjson",
        "yaml" | "yml" => "application/yaml",
        "toml" => "application/toml",
        "xml" | "xsd" | "xsl" => "application/xml",
        "md" | "markdown" => "text/markdown; charset=utf-8",
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "js" | "mjs" | "cjs" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "gz" | "tgz" => "application/gzip",
        "wasm" => "application/wasm",
        "woff2" => "font/woff2",
        _ => "text/plain; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_go_by_extension() {
        let cases = [
            ("a/plan.json", "application/json"),
            ("README.MD", "text/markdown; charset=utf-8"),
            ("src/main.rs", "text/plain; charset=utf-8"),
            ("Dockerfile", "text/plain; charset=utf-8"),
            ("logo.svg", "image/svg+xml"),
        ];
        for (path, expected) in cases {
            assert_eq!(media_type(&ArtifactPath::new(path).expect(path)), expected);
        }
    }
}
