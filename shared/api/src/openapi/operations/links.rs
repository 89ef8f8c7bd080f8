//! Operations on links.

use super::{BAD_REQUEST, NOT_JSON, Op, Place, TOO_LARGE, UNAVAILABLE, Verb, text};

/// Of `/v1/links`.
pub(super) fn link_operations() -> Vec<Op> {
    let op = |method, path, id, summary| Op::new(method, path, id, summary).function("control").fails([UNAVAILABLE]);
    vec![
        op(Verb::Get, "/v1/links", "listLinks", "Lists the guilds, groups and people in chats that are the caller's.")
            .answers(200, "All links.", &[("application/json", Some("LinkList"))]),
        op(
            Verb::Post,
            "/v1/links",
            "createLinkCode",
            "Makes a one-time code; whatever an admin types it into within 15 minutes is linked to the caller, who pays.",
        )
        .body("LinkRequest", false)
        .answers(201, "The code, this once.", &[("application/json", Some("LinkCodeView"))])
        .fails([BAD_REQUEST, TOO_LARGE, NOT_JSON, (422, "The request is understood and wrong; `issues` says where.")]),
        op(Verb::Delete, "/v1/links/{realm}", "deleteLink", "Takes a link away. Jobs go on, and are told there no more.")
            .param(Place::Path, "realm", "The guild, group or person.", text())
            .fails([(404, "The caller has no such link.")])
            .answers(204, "It is gone.", &[]),
    ]
}
