//! What is behind the functions: the embedded stack, served to processes apart.

use std::path::Path;

use convoke::resources;
use convoke::stack::{Sockets, Stack, StackOptions};
use convoke_app::platform::Limits;
use convoke_models::registry::{Registry, Settings};
use convoke_runtime::config::Stores;
use serde_json::Value;
use tempfile::TempDir;

use super::chats::Chats;
use super::events;

pub struct World {
    stores: Stores,
    key: String,
    stack: Stack,
    chats: Chats,
    _folder: TempDir,
}

impl World {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut options = StackOptions::new(folder.path());
        options.sockets = Sockets::All;
        let stack = Stack::start(options).await.expect("a stack");
        let clients = stack.socket_clients().expect("sockets");
        let stores = resources::ensure(&clients).await.expect("table, queues and bucket");
        let connected = convoke_runtime::Clients { dynamodb: clients.dynamodb, sqs: clients.sqs, s3: clients.s3 };
        let registry = Registry::new(Settings::default()).expect("no models");
        let behind = (Limits::default(), convoke_tools::compiler());
        let platform = convoke_runtime::platform(connected, &stores, std::sync::Arc::new(registry), behind);
        let tenant = "acme".parse().expect("a tenant");
        let key = platform.create_key(&tenant, "bench").await.expect("a key").key.expose().to_owned();
        Self { stores, key, stack, chats: Chats::start().await, _folder: folder }
    }

    /// The environment that the template gives a function, with the endpoints of the stack.
    pub fn environment(&self) -> Vec<(String, String)> {
        let (table, queues) = self.stack.socket_urls().expect("sockets");
        let objects = self.stack.blobs_url();
        let keys = std::fs::read_to_string(self.stack.data_dir().join(Path::new("keys"))).expect("the stack's keys");
        let (access, secret) = keys.trim().split_once(' ').expect("a pair");
        [
            ("AWS_ENDPOINT_URL_DYNAMODB", table.as_str()),
            ("AWS_ENDPOINT_URL_SQS", &queues),
            ("AWS_ENDPOINT_URL_S3", &objects),
            ("AWS_REGION", "us-east-1"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", access),
            ("AWS_SECRET_ACCESS_KEY", secret),
            ("AWS_LAMBDA_FUNCTION_NAME", "f"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("TABLE", &self.stores.table),
            ("QUEUE_URL", &self.stores.queue_url),
            ("SOLO_QUEUE_URL", &self.stores.solo_queue_url),
            ("DELIVERY_QUEUE_URL", &self.stores.delivery_queue_url),
            ("BUCKET", &self.stores.bucket),
            ("CONVOKE_MODEL", "bedrock/amazon.nova-lite-v1:0"),
        ]
        .into_iter()
        .chain(self.chats.settings())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
    }

    /// An event that makes a function call AWS.
    pub fn event(&self, function: &str) -> Value {
        match function {
            "discord" => self.chats.interaction(),
            "telegram" => self.chats.update(),
            other => events::of(other, &self.key),
        }
    }
}
