//! A stack in a folder of its own, with a clock that is stepped.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType, StreamSpecification, StreamViewType,
};
use convoke::stack::clock::SteppedClock;
use convoke::stack::{Clients, Sockets, Stack, StackOptions};
use tempfile::TempDir;

/// Where the stepped clock starts: 2026-01-01.
pub const START_MS: u64 = 1_767_225_600_000;

/// The test table's name.
pub const TABLE: &str = "things";

/// How the clients reach the services.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    InProcess,
    OverHttp,
}

pub struct Rig {
    pub stack: Stack,
    pub clients: Clients,
    pub clock: SteppedClock,
    pub folder: TempDir,
}

impl Rig {
    pub async fn start(way: Way) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = SteppedClock::new(START_MS);
        let mut options = StackOptions::new(folder.path());
        options.sockets = Sockets::All;
        options.clock = Arc::new(clock.clone());
        let stack = Stack::start(options).await.unwrap();
        let clients = match way {
            Way::InProcess => stack.clients(),
            Way::OverHttp => stack.socket_clients().unwrap(),
        };
        Self { stack, clients, clock, folder }
    }

    pub async fn with_table(self) -> Self {
        create_table(&self.clients.dynamodb).await;
        self
    }

    pub async fn queue(&self, name: &str, attributes: &[(&str, &str)]) -> String {
        let mut create = self.clients.sqs.create_queue().queue_name(name);
        for (name, value) in attributes {
            create = create.attributes((*name).into(), *value);
        }
        create.send().await.unwrap().queue_url.unwrap()
    }

    pub fn step_s(&self, seconds: u64) {
        self.clock.step(Duration::from_secs(seconds));
    }
}

pub async fn create_table(client: &aws_sdk_dynamodb::Client) {
    let attribute = |name: &str| {
        AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build().unwrap()
    };
    let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
    let index = GlobalSecondaryIndex::builder()
        .index_name("by_owner")
        .key_schema(key("owner", KeyType::Hash))
        .key_schema(key("sk", KeyType::Range))
        .projection(Projection::builder().projection_type(ProjectionType::All).build())
        .build()
        .unwrap();
    let stream = StreamSpecification::builder()
        .stream_enabled(true)
        .stream_view_type(StreamViewType::NewAndOldImages)
        .build()
        .unwrap();
    client
        .create_table()
        .table_name(TABLE)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute("pk"))
        .attribute_definitions(attribute("sk"))
        .attribute_definitions(attribute("owner"))
        .key_schema(key("pk", KeyType::Hash))
        .key_schema(key("sk", KeyType::Range))
        .global_secondary_indexes(index)
        .stream_specification(stream)
        .send()
        .await
        .unwrap();
}

/// Makes each named test twice: against the connectors in the process, and over HTTP.
macro_rules! both_ways {
    ($($test:ident),+ $(,)?) => {
        mod in_process {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(crate::rig::Rig::start(crate::rig::Way::InProcess).await).await;
            })+
        }

        mod over_http {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(crate::rig::Rig::start(crate::rig::Way::OverHttp).await).await;
            })+
        }
    };
}
pub(crate) use both_ways;
