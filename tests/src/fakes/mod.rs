//! Fakes of the ports: they behave as the ports' documents say, in memory, by a clock that is wound by hand, and inject
//! what the services do at their worst. They are for tests alone.

mod blobs;
mod chat_host;
mod chats;
mod env;
mod faults;
mod hooks;
mod hosted;
mod list;
mod outbound;
mod ports;
mod queue;
mod reviews;
mod schedules;
mod table;

pub use blobs::FakeBlobs;
pub use chat_host::{Answer, Call, CallKind, FakeChats};
pub use env::FakeEnv;
pub use faults::{Dice, Fault, Faults, MessageFault, Rates};
pub use hosted::HostedBlobs;
pub use outbound::FakeOutbound;
pub use ports::ports;
pub use queue::{Delivery, FakeQueue, Lane};
pub use table::{Changed, FakeTable};
