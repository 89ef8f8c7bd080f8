"""Telegram: from the bot's token to a job's files, and what a bot that lives elsewhere is."""

from pathlib import Path

from ..model import Models
from ..say import Step, check, within
from .botapi import NAME, TOKEN, BotApi, Person
from .serving import Serving

JOB_S = 60


def talk(cli: Path, folder: Path, models: Models, modules: Path):
    api = BotApi(modules)
    try:
        settings = {"CONVOKE_TELEGRAM_URL": api.url, "TELEGRAM_TOKEN": TOKEN}
        serving = Serving(cli, folder, models, settings, "--telegram")
        try:
            converse(api, serving)
        finally:
            serving.stop()
        with Step("Telegram: a bot that lives elsewhere"):
            lives_elsewhere(api, cli, folder, models, settings)
    finally:
        api.stop()


def converse(api: BotApi, serving: Serving):
    ann = Person(api, 5, "Ann")
    with Step("Telegram: link"):
        link = serving.line(f"https://t.me/{NAME}?start=").split()[-1]
        check(len(api.commands) > 5, "the commands are offered", api.commands)
        check("link" in ann.says("/jobs")["text"], "who isn't linked is told how to be")
        linked = ann.says("/start " + link.split("=")[-1])
        check("/run" in ann.says("/help")["text"], f"whoever opens the link is: {linked['text'].splitlines()[0]!r}")
    with Step("Telegram: a job, its card, its files"):
        card = job(api, ann)
    with Step("Telegram: buttons, questions, replies"):
        for words in ["/status", "/jobs", "/cost", "/artifacts"]:
            check(bool(ann.says(words)["text"].strip()), f"{words} is answered")
        said = len(ann.hears())
        ann.presses(card, "Details")
        details = within(20, "the details", lambda: ann.hears()[said:])
        check("Model" in details[0]["text"], "a press is answered", details[0]["text"])
        asked = ann.says("/run")
        check(asked["reply_markup"].get("force_reply") is True, "a prompt that was left out is asked for")
        ann.replies(asked, "another list of @everyone's todos")
        within(JOB_S, "the second job's end", lambda: len(api.files) == 2)
        check(True, "and what is replied to it is done")
    with Step("Telegram: a group with an admin"):
        group(api, ann)


def job(api: BotApi, ann: Person) -> dict:
    ann.says("/run --budget 0.50 a list of <b>todos</b>")
    within(JOB_S, "the job's card", lambda: cards(ann))
    within(JOB_S, "the job's files", lambda: api.files)
    check(api.files[0][0] == "archive.zip", "its files come with its end", api.files[0][0])
    last = within(JOB_S, "the card says so, too", lambda: [one for one in cards(ann) if "Done" in one["text"]])
    check(len(cards(ann)) == 1, "there is one card, edited in place", len(cards(ann)))
    check("&lt;b&gt;todos" in last[0]["text"], "what people write stays text", last[0]["text"])
    return last[0]


def cards(person: Person) -> list[dict]:
    """The messages that have a card's buttons."""
    labels = lambda one: [key["text"] for row in one.get("reply_markup", {}).get("inline_keyboard", []) for key in row]
    return [one for one in person.hears() if "Details" in labels(one)]


def group(api: BotApi, ann: Person):
    bob, boss = Person(api, 6, "Bob", -100), Person(api, 5, "Ann", -100)
    api.admins.add(5)
    check("dmin" in bob.says(f"/link@{NAME} AAAAAAAAAA")["text"], "a member can't link the group")
    check("link" in boss.says(f"/run@{NAME} todos")["text"], "nor can anything be asked for before it is")


def lives_elsewhere(api: BotApi, cli: Path, folder: Path, models: Models, settings: dict[str, str]):
    api.webhook = "https://elsewhere.example/telegram/updates"
    refused = Serving(cli, folder / "second", models, settings, "--telegram")
    check(refused.process.wait(timeout=60) == 2, "serve doesn't take a bot over that lives elsewhere")
    check(api.webhook != "", "and leaves it there")
    refused.stop()
    taken = Serving(cli, folder / "third", models, settings, "--telegram", "--take-over")
    try:
        taken.line("https://t.me/")
        check(api.webhook == "", "--take-over brings it here")
        said = taken.convoke("bots", "webhook", "set", "--url", "https://other.example")
        check(api.webhook == "https://other.example/telegram/updates", "bots webhook set sends it away", said.stderr)
        shown = taken.convoke("bots", "webhook", "show")
        check("https://other.example" in shown.stdout, "bots webhook show says where to", shown.stdout)
        taken.convoke("bots", "webhook", "delete")
        check(api.webhook == "", "bots webhook delete ends it")
    finally:
        taken.stop()
