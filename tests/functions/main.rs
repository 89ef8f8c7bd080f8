//! The queue, clock and stream functions by their own events, over the real table and fakes of the rest.

mod chats;
mod clock;
mod deliver;
mod notify;
mod rig;
mod step;
