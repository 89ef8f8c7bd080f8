//! A gateway in the place of Discord's: it greets a bot and hands it what people do.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async};

use super::server::APPLICATION;

/// What messages are about, as <https://discord.com/developers/docs/topics/opcodes-and-status-codes> numbers it.
const DISPATCH: u8 = 0;
const HEARTBEAT: u8 = 1;
const IDENTIFY: u8 = 2;
const HELLO: u8 = 10;
const HEARTBEAT_ACK: u8 = 11;
/// Pause between a bot's signs of life.
const HEARTBEAT_MS: u64 = 20_000;

/// The gateway, for one bot at a time. It is gone when this is dropped.
pub struct Gateway {
    /// Where it listens, for [`super::DiscordServer::with_gateway`].
    pub url: String,
    events: UnboundedSender<Value>,
    server: JoinHandle<()>,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Gateway {
    /// Starts one.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let url = format!("ws://{}", listener.local_addr().expect("a bound address"));
        let (events, mut waiting) = unbounded_channel();
        let own = url.clone();
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let socket = accept_async(stream).await.expect("a websocket");
                serve(socket, &own, &mut waiting).await;
            }
        });
        Self { url, events, server }
    }

    /// Hands an interaction to the bot; it is kept until there is one.
    pub fn hand(&self, interaction: Value) {
        self.events.send(interaction).expect("it runs");
    }
}

/// Until the bot goes.
async fn serve(mut socket: WebSocketStream<TcpStream>, url: &str, waiting: &mut UnboundedReceiver<Value>) {
    send(&mut socket, &json!({"op": HELLO, "d": {"heartbeat_interval": HEARTBEAT_MS}})).await;
    let (mut sequence, mut is_known) = (0_u64, false);
    loop {
        let (kind, data) = tokio::select! {
            said = socket.next() => match said {
                Some(Ok(Message::Text(text))) => match op(&text) {
                    IDENTIFY => {
                        is_known = true;
                        ("READY", ready(url))
                    }
                    HEARTBEAT => {
                        send(&mut socket, &json!({"op": HEARTBEAT_ACK})).await;
                        continue;
                    }
                    _ => continue,
                },
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => continue,
            },
            Some(event) = waiting.recv(), if is_known => ("INTERACTION_CREATE", event),
        };
        sequence += 1;
        send(&mut socket, &json!({"op": DISPATCH, "s": sequence, "t": kind, "d": data})).await;
    }
}

/// A bot that has gone meanwhile is noticed when it is heard.
async fn send(socket: &mut WebSocketStream<TcpStream>, message: &Value) {
    drop(socket.send(Message::Text(message.to_string())).await);
}

fn op(text: &str) -> u8 {
    let message: Value = serde_json::from_str(text).expect("JSON");
    message["op"].as_u64().and_then(|op| op.try_into().ok()).expect("a number")
}

fn ready(url: &str) -> Value {
    json!({
        "v": 10, "guilds": [], "session_id": "one", "resume_gateway_url": url, "shard": [0, 1],
        "application": {"id": APPLICATION, "flags": 0},
        "user": {"id": APPLICATION, "username": "convoke", "discriminator": "0", "avatar": null, "bot": true}
    })
}
