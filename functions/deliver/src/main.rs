//! Hosts the function `deliver` on Lambda.

use convoke_runtime::{secrets, start_looking_with, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let tokens = [&secrets::OF_DISCORD[..], &secrets::OF_TELEGRAM].concat();
    let (mut platform, settings) = start_looking_with(&tokens).await?;
    platform.ports.chat_hosts.discord = convoke_discord::chat_host(&settings)?;
    platform.ports.chat_hosts.telegram = convoke_telegram::chat_host(&settings)?;
    lambda_runtime::run(telemetry::flushed(convoke_deliver::service(platform))).await
}
