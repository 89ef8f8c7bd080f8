//! Links: which guilds, groups and people in chats may use this installation.

use convoke_api::link::{LinkCodeView, LinkList};
use serde_json::json;

use super::args::{LinkArgs, LinksArgs, UnlinkArgs};
use super::failure::{Exit, Failure};
use super::follow::decode;
use super::jobs::print;
use super::progress::printable;
use super::session::{Needs, Session};
use crate::local::Duty;

const NEEDS: Needs<'static> = Needs { model: None, duty: Duty::Answer };

/// Makes a code.
pub async fn link(args: &LinkArgs, session: &Session<'_>) -> Result<Exit, Failure> {
    let api = session.connect(&args.target, NEEDS).await?;
    let who_may = if args.admins { "admins" } else { "everybody" };
    let answer = api.post("/v1/links", &json!({ "who_may": who_may })).await?;
    if args.json {
        return print(&answer);
    }
    let made: LinkCodeView = decode(answer)?;
    println!("Discord   {}", made.discord);
    println!("Telegram  {}", made.telegram);
    eprintln!("Type it where Convoke is to listen, as an admin there. It works once, until {}.", made.expires_at);
    if session.is_own().await {
        eprintln!("nobody serves; the bots answer while `convoke serve` runs");
    }
    Ok(Exit::Done)
}

/// Lists links.
pub async fn links(args: &LinksArgs, session: &Session<'_>) -> Result<Exit, Failure> {
    let api = session.connect(&args.target, NEEDS).await?;
    let answer = api.get("/v1/links").await?;
    if args.json {
        return print(&answer);
    }
    let list: LinkList = decode(answer)?;
    for link in list.links {
        let who_may = if link.who_may == convoke_api::link::WhoMay::Admins { "  admins only" } else { "" };
        let line = format!("{}  by {}{who_may}", link.title, link.linked_by);
        println!("{}  {}  {}", link.realm, link.created_at, printable(line.trim()));
    }
    Ok(Exit::Done)
}

/// Takes a link away.
pub async fn unlink(args: &UnlinkArgs, session: &Session<'_>) -> Result<Exit, Failure> {
    let api = session.connect(&args.target, NEEDS).await?;
    api.delete(&format!("/v1/links/{}", args.realm)).await?;
    println!("{}  unlinked; its jobs go on, and are told there no more", printable(&args.realm));
    Ok(Exit::Done)
}
