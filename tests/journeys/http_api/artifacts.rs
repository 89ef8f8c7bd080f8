//! Files: listed and handed out once the job has ended, and never what isn't in its manifest.

use serde_json::json;

use super::api::Api;

#[tokio::test]
async fn files_are_handed_out_once_the_job_has_ended() {
    let api = Api::new().await;
    let job = api.submit_one().await.job;
    let url = |rest: &str| format!("/v1/jobs/{job}{rest}");
    assert_eq!(api.get(&url("/artifacts")).await.json(), json!({"artifacts": [], "total": 0, "final": false}));
    for path in ["/artifacts/out/text.md", "/archive"] {
        api.get(&url(path)).await.problem(409, "job_not_ended");
    }
    api.work().await;
    let list = api.get(&url("/artifacts")).await.json();
    let paths: Vec<_> = list["artifacts"].as_array().expect("files").iter().map(|file| file["path"].clone()).collect();
    assert_eq!(paths, ["PROJECT_TREE.txt", "REPORT.md", "archive.zip", "out/text.md"].map(|path| json!(path)));
    assert_eq!((&list["total"], &list["final"]), (&json!(4), &json!(true)));

    let redirect = api.get(&url("/artifacts/out/text.md")).await;
    assert_eq!((redirect.status.as_u16(), redirect.header("cache-control")), (302, "no-store"));
    let shown = api.get(&url("/artifacts/out/text.md?redirect=false")).await;
    assert_eq!((shown.status.as_u16(), shown.header("cache-control")), (200, "no-store"));
    let shown = shown.json();
    assert_eq!(shown["url"], redirect.header("location"));
    assert_eq!(shown["sha256"], list["artifacts"][3]["sha256"]);
    let output = api.get(&url("/steps/write")).await.json()["output"].as_str().expect("a text").to_owned();
    assert_eq!(api.open(redirect.header("location")), Some(output + "\n"), "{shown}");
    assert_eq!(list["artifacts"][3]["href"], url("/artifacts/out/text.md"));
    assert_eq!(api.get(&url("/archive")).await.status, 302);
    assert_eq!(api.get(&url("/archive?redirect=false")).await.json()["path"], "archive.zip");
    api.get(&url("/artifacts/nope.txt")).await.problem(404, "artifact_not_found");
    api.get(&url("/artifacts/out")).await.problem(404, "artifact_not_found");
}

#[tokio::test]
async fn files_are_paged_by_path() {
    let api = Api::new().await;
    let job = api.submit_one().await.job;
    api.work().await;
    let first = api.get(&format!("/v1/jobs/{job}/artifacts?limit=3")).await.json();
    assert_eq!(first["artifacts"].as_array().map(Vec::len), Some(3));
    let cursor = first["next_cursor"].as_str().expect("there is more");
    let second = api.get(&format!("/v1/jobs/{job}/artifacts?limit=3&cursor={cursor}")).await.json();
    assert_eq!((&second["artifacts"][0]["path"], second.get("next_cursor")), (&json!("out/text.md"), None));
}

#[tokio::test]
async fn no_path_leads_out_of_the_jobs_tree() {
    let api = Api::new().await;
    let job = api.submit_one().await.job;
    api.work().await;
    for path in [
        "../text.md",
        "out/../text.md",
        "..%2ftext.md",
        "%2e%2e/text.md",
        "out/%2E%2E/%2E%2E/secret",
        "%252e%252e%252fsecret",
        "%25252e%25252e/secret",
        ".%2e/secret",
        "out/./text.md",
        "/etc/passwd",
        "%2Fetc%2Fpasswd",
        "out//text.md",
        "out%5C..%5Ctext.md",
        "out%00.md",
        "c:%5Cx",
        "~/x",
    ] {
        let request = api.request("GET", &format!("/v1/jobs/{job}/artifacts/{path}"), &[], None);
        api.send_to("artifacts", request).await.problem(400, "invalid_path");
    }
    let bad_utf8 = api.request("GET", &format!("/v1/jobs/{job}/artifacts/%FF"), &[], None);
    api.send_to("artifacts", bad_utf8).await.problem(400, "malformed_request");
}
