"""Discord: from the registration of the bot to a job's files, and back to its end."""

import re
from pathlib import Path

from ..model import Models
from ..say import Step, check, within
from .serving import Serving
from .simulated import PUBLIC_KEY, TOKEN, Discord, Person, text_of

JOB_S = 60
CODE = re.compile("[0-9A-Z]{10}")


def talk(cli: Path, folder: Path, models: Models):
    stand_in = Discord()
    try:
        settings = {"CONVOKE_DISCORD_URL": stand_in.url, "DISCORD_TOKEN": TOKEN, "DISCORD_PUBLIC_KEY": PUBLIC_KEY}
        serving = Serving(cli, folder, models, settings, "--discord")
        try:
            converse(stand_in, serving)
        finally:
            serving.stop()
        with Step("Discord: a bot that lives elsewhere"):
            lives_elsewhere(stand_in, cli, folder, models, settings)
    finally:
        stand_in.stop()
    check(stand_in.refused == [], "simcord refused no call of ours", stand_in.refused)


def converse(stand_in: Discord, serving: Serving):
    with Step("Discord: register, and listen"):
        registered = serving.convoke("bots", "register")
        check(registered.returncode == 0, "convoke bots register works", registered.stderr)
        names = stand_in.look(lambda backend: sorted(name for name, _ in backend.commands[None]))
        check(names == ["Follow up", "crew"], "Discord knows the commands", names)
        check("oauth2/authorize" in registered.stdout, "it says how to invite the bot")
        code = serving.line("/crew link").split()[-1]
        stand_in.listening()
    guild, channel, owner = stand_in.look(world)
    ann, bob = Person(stand_in, "Ann", (guild, channel)), Person(stand_in, "Bob", (guild, channel))
    ann.id = owner
    with Step("Discord: link"):
        link(serving, ann, bob, code)
    with Step("Discord: a job, its card, its files"):
        card = job(ann, bob)
    with Step("Discord: buttons and windows"):
        buttons(ann, bob, card)
    with Step("Discord: unlink"):
        gone = ann.sees(ann.command("unlink"))
        check("Disconnected" in text_of(gone), "the owner unlinks the server", text_of(gone))
        check(is_private(bob, bob.command("list")), "and nothing can be asked for any more")


def world(backend) -> tuple[int, int, int]:
    guild = backend.create_guild("Crew")
    return guild.id, backend.create_channel(guild.id, "general").id, guild.owner_id


def is_private(person: Person, record) -> bool:
    return person.sees(record)["ephemeral"]


def link(serving: Serving, ann: Person, bob: Person, code: str):
    check(is_private(bob, bob.command("run", prompt="a list of todos")), "who isn't linked is told so, alone")
    check(is_private(bob, bob.command("link", code=code)), "a member can't link the server")
    check(is_private(ann, ann.command("link", code="AAAAAAAAAA")), "a code that was never given out links nothing")
    seen = text_of(ann.sees(ann.command("link", code=code)))
    check("doesn't work" in seen, "nor can anybody by the code that the member has shown", seen)
    code = next(word for word in serving.convoke("link").stdout.split() if CODE.fullmatch(word))
    linked = text_of(ann.sees(ann.command("link", code=code)))
    check("Connected" in linked, "its owner links it by another one", linked)
    check(bob.completions("run", "flow", "soft") == ["software"], "flows are offered while they are typed")


def job(ann: Person, bob: Person) -> dict:
    bob.sees(bob.command("run", prompt="a list of @everyone's todos", budget="0.50"))
    card = within(JOB_S, "the job's card", lambda: cards(bob))[-1]
    thread = int(card["id"])
    ended = within(JOB_S, "the job's end, in the thread under its card", lambda: ends(bob, thread))
    check(any(message["attachments"] for message in ended), "its report comes with it", ended)
    last = within(JOB_S, "the card says so, too", lambda: [one for one in cards(bob) if "Done" in text_of(one)])
    check(len(cards(bob)) == 1, "there is one card, edited in place", len(cards(bob)))
    members = ann.discord.look(lambda backend: sorted(backend.channels[thread].thread_members))
    check(bob.id in members, "who asked is in the thread, so that they are told", members)
    pings = [message for message in bob.messages(bob.channel) + bob.messages(thread) if message["mention_everyone"]]
    check(pings == [], "nobody was called", pings)
    return last[-1]


def cards(person: Person) -> list[dict]:
    shown = person.messages(person.channel)
    return [message for message in shown if message["author"].get("bot") and message.get("interaction_metadata") is None
            and message["type"] == 0]


def ends(person: Person, thread: int) -> list[dict]:
    return [message for message in person.messages(thread) if message["author"].get("bot")]


def buttons(ann: Person, bob: Person, card: dict):
    for words in ["status", "list", "cost", "artifacts", "help", "schedule list"]:
        shown = bob.sees(bob.command(words))
        check(bool(text_of(shown).strip()), f"/crew {words} is answered")
    opened = bob.command("run")
    asked = bob.fill_in(opened, "another list of todos")
    check(bool(text_of(bob.sees(asked)).strip()), "a prompt that was left out is asked for in a window")
    within(JOB_S, "the second job's card", lambda: len(cards(bob)) == 2)
    labels = [button["label"] for row in card["components"] for button in row["components"]]
    check("Details" in labels, f"the card has buttons: {labels}")
    check(is_private(ann, ann.press(card, "Details")), "details are shown to whoever presses, alone")


def lives_elsewhere(stand_in: Discord, cli: Path, folder: Path, models: Models, settings: dict[str, str]):
    stand_in.endpoint = "https://elsewhere.example/discord/interactions"
    refused = Serving(cli, folder / "second", models, settings, "--discord")
    check(refused.process.wait(timeout=60) == 2, "serve doesn't take a bot over that lives elsewhere")
    check(stand_in.endpoint is not None, "and leaves it there")
    refused.stop()
    taken = Serving(cli, folder / "third", models, settings, "--discord", "--take-over")
    try:
        taken.line("/crew link")
        check(stand_in.endpoint is None, "--take-over brings it here")
    finally:
        taken.stop()
