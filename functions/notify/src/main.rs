//! Hosts the function `notify` on Lambda.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let platform = convoke_runtime::start().await?;
    lambda_runtime::run(convoke_notify::service(platform)).await
}
