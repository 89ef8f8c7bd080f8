//! The calls of Discord's API that we make, by name. <https://discord.com/developers/docs/reference>

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use convoke_runtime::Secret;

use crate::rest::failure::RestError;
use crate::rest::{As, Call, File, Rest};

/// Somebody's or something's id, as Discord writes it.
#[derive(Debug, Deserialize)]
pub struct Made {
    /// The id.
    pub id: String,
}

impl Made {
    /// The id as a number; [`RestError::Unreadable`] where it is none.
    pub fn number(&self) -> Result<u64, RestError> {
        self.id.parse().map_err(|_| RestError::Unreadable(format!("an id that is no number: {:?}", self.id)))
    }
}

/// The application that a token is of.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Application {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The public key that its interactions are signed for.
    pub verify_key: String,
    /// Where its interactions go to over HTTP; over the gateway where there is none.
    #[serde(default)]
    pub interactions_endpoint_url: Option<String>,
}

/// An interaction that can be answered, by its token, for 15 minutes.
#[derive(Clone, Debug)]
pub struct Answerable {
    /// The interaction's id.
    pub id: u64,
    /// The application that it is with.
    pub application: u64,
    /// Its token.
    pub token: Secret,
}

impl Answerable {
    fn original(&self) -> String {
        format!("/webhooks/{}/{}/messages/@original", self.application, self.token.expose())
    }
}

impl Rest {
    /// The application that the token is of.
    pub async fn application(&self) -> Result<Application, RestError> {
        self.call(Call::new(Method::GET, "/applications/@me".to_owned(), As::Bot)).await
    }

    /// What a guild is called that has invited the bot.
    pub async fn guild_name(&self, guild: u64) -> Result<String, RestError> {
        #[derive(Deserialize)]
        struct Named {
            name: String,
        }
        let named: Named = self.call(Call::new(Method::GET, format!("/guilds/{guild}"), As::Bot)).await?;
        Ok(named.name)
    }

    /// Sets what commands there are, everywhere or in one guild: those that aren't named are gone. A repeat changes
    /// nothing.
    pub async fn put_commands(
        &self,
        application: &str,
        guild: Option<u64>,
        commands: &[Value],
    ) -> Result<(), RestError> {
        let within = guild.map(|guild| format!("/guilds/{guild}")).unwrap_or_default();
        let path = format!("/applications/{application}{within}/commands");
        self.tell(Call::new(Method::PUT, path, As::Bot).json(&commands)).await
    }

    /// Posts a message. With a `nonce` in its body and `enforce_nonce` a repeat within minutes answers the same message.
    pub async fn post_message(&self, channel: u64, body: &Value, files: &[File]) -> Result<Made, RestError> {
        let call = Call::new(Method::POST, format!("/channels/{channel}/messages"), As::Bot);
        self.call(call.json(body).with(files)).await
    }

    /// Edits a message. A repeat changes nothing.
    pub async fn edit_message(&self, channel: u64, message: u64, body: &Value) -> Result<(), RestError> {
        self.tell(Call::new(Method::PATCH, format!("/channels/{channel}/messages/{message}"), As::Bot).json(body)).await
    }

    /// Opens a thread under a message; its id is the message's. A repeat is refused with [`code::HAS_THREAD`].
    ///
    /// [`code::HAS_THREAD`]: crate::rest::failure::code::HAS_THREAD
    pub async fn open_thread(&self, channel: u64, message: u64, name: &str) -> Result<(), RestError> {
        let path = format!("/channels/{channel}/messages/{message}/threads");
        self.tell(Call::new(Method::POST, path, As::Bot).json(&json!({ "name": name }))).await
    }

    /// Has somebody be in a thread, so that they are told of what is new there. A repeat changes nothing.
    pub async fn add_to_thread(&self, thread: u64, user: u64) -> Result<(), RestError> {
        self.tell(Call::new(Method::PUT, format!("/channels/{thread}/thread-members/{user}"), As::Bot)).await
    }

    /// Has interactions come in over the gateway from now on, not over HTTP. A repeat changes nothing.
    pub async fn forget_endpoint(&self) -> Result<(), RestError> {
        let body = json!({ "interactions_endpoint_url": null });
        self.tell(Call::new(Method::PATCH, "/applications/@me".to_owned(), As::Bot).json(&body)).await
    }

    /// The channel of direct messages with somebody. A repeat answers the same one.
    pub async fn open_direct(&self, user: u64) -> Result<u64, RestError> {
        let body = json!({ "recipient_id": user.to_string() });
        let made: Made =
            self.call(Call::new(Method::POST, "/users/@me/channels".to_owned(), As::Bot).json(&body)).await?;
        made.number()
    }

    /// Answers an interaction; once. A repeat is refused with [`code::ALREADY_ACKNOWLEDGED`].
    ///
    /// [`code::ALREADY_ACKNOWLEDGED`]: crate::rest::failure::code::ALREADY_ACKNOWLEDGED
    pub async fn answer(&self, to: &Answerable, body: &Value, files: &[File]) -> Result<(), RestError> {
        let path = format!("/interactions/{}/{}/callback", to.id, to.token.expose());
        self.tell(Call::new(Method::POST, path, As::Anybody).json(body).with(files)).await
    }

    /// Puts the answer in the place of one that said that it takes a while. A repeat changes nothing.
    pub async fn complete(&self, to: &Answerable, body: &Value, files: &[File]) -> Result<(), RestError> {
        self.tell(Call::new(Method::PATCH, to.original(), As::Anybody).json(body).with(files)).await
    }

    /// Answers once more, at most five times where only a person has the bot.
    pub async fn follow(&self, to: &Answerable, body: &Value, files: &[File]) -> Result<(), RestError> {
        let path = format!("/webhooks/{}/{}", to.application, to.token.expose());
        self.tell(Call::new(Method::POST, path, As::Anybody).json(body).with(files)).await
    }
}
