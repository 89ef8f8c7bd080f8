//! Discord: what people do there in, what is called and answered out. Every body that is sent is judged by Discord's own
//! description of its API.

mod host;
mod told;
