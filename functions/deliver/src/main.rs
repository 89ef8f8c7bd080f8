//! Hosts the function `deliver` on Lambda.

use convoke_runtime::ModelUse;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let platform = convoke_runtime::start(ModelUse::Names).await?;
    lambda_runtime::run(convoke_deliver::service(platform)).await
}
