//! Hosts the function `notify` on Lambda.

use convoke_runtime::ModelUse;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let platform = convoke_runtime::start(ModelUse::Names).await?;
    lambda_runtime::run(convoke_notify::service(platform)).await
}
