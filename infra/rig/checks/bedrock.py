"""Bedrock, as the emulator speaks it: its answers are those of the rig's own models, in Bedrock's form."""

import json
import subprocess
from pathlib import Path

from .. import model
from ..journey import ARTICLE, FAN
from ..say import Failed, check
from .denied import Role, is_denied
from .journeys import Rig

ID = "anthropic.claude-sonnet-4-20250514-v1:0"
ARN = f"arn:aws:bedrock:us-east-1::foundation-model/{ID}"
OTHER = "amazon.nova-lite-v1:0"
EXAMPLE_S = 60


def jobs(rig: Rig):
    """Jobs of a model of Bedrock, which the step function calls with its own role."""
    for flow, files in ((ARTICLE, 2), (FAN, len(model.PARTS))):
        job = rig.api.submit(flow, "tea from the bedrock", model=f"bedrock/{ID}")
        view = rig.api.ended(job)
        check(view["status"] == "completed", f"the flow {flow['name']} completes by Converse", view)
        made = [file["path"] for file in rig.api.get(f"/v1/jobs/{job}/artifacts")["artifacts"]]
        check(len([path for path in made if path.endswith(".md") and path != "REPORT.md"]) == files, "with its files", made)
    check(ID in rig.models.names, "it was that model that was asked", rig.models.names)
    other = rig.api.ended(rig.api.submit(ARTICLE, "tea", model=f"bedrock/{OTHER}"))
    check(other["stop_reason"] == "model_unavailable", "a model that BedrockResources doesn't name isn't called", other)


def roles(rig: Rig):
    """The step function's role, and a neighbour's."""
    ask = lambda role, name: getattr(role, "bedrock-runtime").converse(
        modelId=name, messages=[{"role": "user", "content": [{"text": "Answer with the word yes."}]}]
    )
    step, submit = Role(rig, "Step"), Role(rig, "Submit")
    check(not is_denied(lambda: ask(step, ID)), "Step may call the model that is configured")
    check(is_denied(lambda: ask(step, OTHER)), "but no other one")
    check(is_denied(lambda: ask(submit, ID)), "and Submit may call none")


def streams(rig: Rig, example: Path):
    """The provider through the SDK: whole, and as a stream."""
    command = [example, rig.stack.name, f"bedrock/{ID}", "Shorten the draft about tea."]
    environment = rig.stack.emulator.client_environment()
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=EXAMPLE_S)
    if run.returncode:
        raise Failed(f"the example ends with {run.returncode}: {run.stdout}{run.stderr}")
    told = json.loads(run.stdout)
    check(told["whole"]["text"] == model.FINAL, "Converse answers through the SDK", told)
    check(told["streamed"]["text"] == model.FINAL, "and so does ConverseStream", told)
    check("".join(told["pieces"]) == model.FINAL and len(told["pieces"]) > 1, "in pieces", told)
    check(told["whole"]["usage"] == told["streamed"]["usage"], "both say what they took", told)
