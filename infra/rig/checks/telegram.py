"""The bot's webhook, as Telegram calls it."""

import hashlib
import json
import time

from ..journey import Answer, ask
from ..say import check, note
from .journeys import Rig

TOKEN = "4242:AAH-a-token-that-only-ssm-has"
# What `convoke bots webhook set` has Telegram show.
SECRET = hashlib.sha256(f"convoke telegram webhook {TOKEN}".encode()).hexdigest()


def send(rig: Rig, update: object, secret: str | None = SECRET) -> Answer:
    """Sends an update, with the secret that Telegram was told."""
    headers = {"Content-Type": "application/json"} | ({"X-Telegram-Bot-Api-Secret-Token": secret} if secret else {})
    return ask("POST", rig.url + "/telegram/updates", json.dumps(update).encode(), headers)


def kicked(number: int) -> dict:
    """The bot was thrown out of a group; nothing is to be answered to that."""
    bot = {"id": 4242, "is_bot": True, "first_name": "Crew", "username": "crew_bot"}
    member = lambda status: {"user": bot, "status": status, "until_date": 0}
    change = {
        "chat": {"id": -100123, "type": "supergroup", "title": "Tea"},
        "from": {"id": 5, "is_bot": False, "first_name": "Ann"},
        "date": 1, "old_chat_member": member("left"), "new_chat_member": member("kicked"),
    }
    return {"update_id": number, "my_chat_member": change}


def webhook(rig: Rig):
    began = time.monotonic()
    check(send(rig, kicked(1), secret=None).status == 401, "nobody but Telegram is listened to")
    note(f"the first answer took {time.monotonic() - began:.1f} s, a cold start in it")
    check(send(rig, kicked(1), secret=SECRET[:-1] + "x").status == 401, "the whole secret counts")
    heard = send(rig, kicked(1))
    check(heard.status == 200, "an update is heard", heard.body)
    check(send(rig, kicked(1)).status == 200, "and comes again in vain")
    check(send(rig, {"update_id": 2, "kind_of_tomorrow": {}}).status == 200, "what nobody knows yet is forgotten")
