//! Hosts the function `status` on Lambda.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let platform = convoke_runtime::start_looking()?;
    lambda_http::run(convoke_status::router(platform)).await
}
