"""The bot's endpoint, as Discord calls it."""

import json
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ..journey import Answer, ask
from ..say import check, note
from .journeys import Rig

KEY = Ed25519PrivateKey.from_private_bytes(bytes([7]) * 32)
PUBLIC_KEY = KEY.public_key().public_bytes_raw().hex()
TOKEN = "token-that-only-ssm-has"
PONG, MESSAGE, EPHEMERAL = 1, 4, 64


def interact(rig: Rig, interaction: dict, age_s: int = 0, signature: str | None = None) -> Answer:
    """Sends an interaction, signed as Discord signs."""
    body, timestamp = json.dumps(interaction).encode(), str(int(time.time()) - age_s)
    signature = signature or KEY.sign(timestamp.encode() + body).hex()
    headers = {"X-Signature-Ed25519": signature, "X-Signature-Timestamp": timestamp, "Content-Type": "application/json"}
    return ask("POST", rig.url + "/discord/interactions", body, headers)


def ping() -> dict:
    return {"id": "1", "application_id": "77", "type": 1, "token": "t", "version": 1}


def crew_list() -> dict:
    user = {"id": "42", "username": "ann", "discriminator": "0", "global_name": "Ann", "avatar": None}
    data = {"id": "9", "name": "crew", "type": 1, "options": [{"name": "list", "type": 1, "options": []}]}
    return ping() | {
        "id": "2", "type": 2, "data": data, "guild_id": "5", "channel_id": "6", "channel": {"id": "6", "type": 0},
        "member": {"user": user, "permissions": "8", "roles": []}, "app_permissions": "274877991936", "context": 0,
        "authorizing_integration_owners": {"0": "5"},
    }


def endpoint(rig: Rig):
    began = time.monotonic()
    answer = interact(rig, ping())
    note(f"the first answer took {time.monotonic() - began:.1f} s, a cold start in it; Discord waits for 3 s")
    check((answer.status, answer.json()) == (200, {"type": PONG}), "Discord finds the endpoint there", answer.body)
    check(interact(rig, ping(), signature="00" * 64).status == 401, "a bad signature is refused")
    check(interact(rig, ping(), age_s=400).status == 401, "an old one is refused")
    asked = interact(rig, crew_list())
    check(asked.status == 200, "who isn't linked is answered", asked.body)
    told = asked.json()
    check((told["type"], told["data"]["flags"]) == (MESSAGE, EPHEMERAL), "and nobody else sees that", told)
    check(interact(rig, crew_list()).status == 409, "an interaction that is played again is refused")
