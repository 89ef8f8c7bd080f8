"""The run: see `infra/rig/run`."""

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from . import bootstraps, model
from .checks import bedrock, denied, discord, endings, journeys, telegram, webhooks
from .emulator import Emulator
from .hooks import Hooks
from .model import Models
from .say import Failed, Step, complain, note
from .stack import Stack

ROOT = Path(__file__).resolve().parents[2]
NAME = "convoke"
DISCORD_PARAMETER = "/convoke/discord"
TELEGRAM_PARAMETER = "/convoke/telegram"


def parameters(models: Models, hooks: Hooks) -> dict[str, str]:
    """What a user would answer to `sam deploy --guided`."""
    return {
        "Architecture": bootstraps.architecture(),
        "Model": model.NAME,
        "CompatibleBaseUrl": models.url,
        "CompatibleApiKeyParameter": journeys.KEY_PARAMETER,
        "CompatibleContextTokens": "32000",
        "CompatibleCapable": "true",
        "DiscordTokenParameter": DISCORD_PARAMETER,
        "DiscordPublicKey": discord.PUBLIC_KEY,
        "TelegramTokenParameter": TELEGRAM_PARAMETER,
        "BedrockResources": bedrock.ARN,
        "OutboundAllow": hooks.place,
    }


def lint(stack: Stack):
    template = str(ROOT / "template.yaml")
    stack.tool("cfn-lint", template)
    note("cfn-lint has nothing to say")
    stack.tool("sam", "validate", "--lint", "--template", template)
    note("sam validate --lint has nothing to say")


def deploy(stack: Stack, chosen: dict[str, str], zips: dict[str, Path]) -> Path:
    stack.client("ssm").put_parameter(Name=journeys.KEY_PARAMETER, Value=model.KEY, Type="SecureString")
    stack.client("ssm").put_parameter(Name=DISCORD_PARAMETER, Value=discord.TOKEN, Type="SecureString")
    stack.client("ssm").put_parameter(Name=TELEGRAM_PARAMETER, Value=telegram.TOKEN, Type="SecureString")
    packaged = stack.package(ROOT / "template.yaml", zips)
    began = time.monotonic()
    stack.deploy(packaged, chosen)
    note(f"deployed in {time.monotonic() - began:.1f} s: {len(stack.resources())} resources")
    return packaged


def work(stack: Stack, models: Models, hooks: Hooks, programs: Path, zips: dict[str, Path]):
    chosen = parameters(models, hooks)
    with Step("lint"):
        lint(stack)
    with Step("deploy"):
        packaged = deploy(stack, chosen, zips)
    rig = journeys.Rig(stack, models, programs / "convoke")
    with Step("TLS"):
        denied.tls_only(rig)
    with Step("a key, a job and its files, by the command line alone"):
        journeys.by_command_line(rig)
    with Step("what its owner sees of it, with credentials of AWS alone"):
        journeys.by_its_owner(rig)
    with Step("a job by HTTP, its events, its files"):
        journeys.by_http(rig)
    with Step("a schedule"):
        journeys.scheduled(rig)
    with Step("Discord calls"):
        discord.endpoint(rig)
    with Step("Telegram calls"):
        telegram.webhook(rig)
    with Step("webhooks"):
        webhooks.told(rig, hooks)
    with Step("Bedrock"):
        bedrock.jobs(rig)
        bedrock.roles(rig)
        bedrock.streams(rig, programs / "examples" / "converse")
    with Step("roles: what each may do, and what it may not"):
        denied.roles(rig)
    with Step("a bell that gets lost, and the clock on its schedule"):
        journeys.lost_bell(rig)
    with Step("the stream again"):
        endings.stream_again(rig)
    with Step("a message that nobody can read"):
        endings.poison(rig)
    with Step("update"):
        endings.update(rig, packaged, chosen)
    with Step("delete"):
        endings.delete(rig, packaged, chosen)


def run_of(arguments: argparse.Namespace) -> Path:
    """The folder of this run; what the last one left in it is gone."""
    return arguments.work / "run"


def run(arguments: argparse.Namespace):
    shutil.rmtree(run_of(arguments), ignore_errors=True)
    target, tools = Path(os.environ["CARGO_TARGET_DIR"]), arguments.work / "tools" / "bin"
    with Step("build"):
        folder = arguments.bootstraps or bootstraps.build(target, tools, ROOT / "template.yaml", arguments.work / "built")
        programs = arguments.programs or bootstraps.build_programs(target)
    with Step("pack"):
        zips = bootstraps.packed(folder, run_of(arguments) / "zips")
    models, hooks = Models(), Hooks()
    try:
        with Step("start the emulator"):
            emulator = Emulator(arguments.work / "emulator" / "bin" / "ministack", run_of(arguments), models.origin, auth=True)
        try:
            stack = Stack(emulator, tools, run_of(arguments), NAME)
            try:
                work(stack, models, hooks, programs, zips)
            finally:
                stack.write_logs()
        finally:
            emulator.stop()
    finally:
        models.stop()
        hooks.stop()


def main() -> int:
    parser = argparse.ArgumentParser(prog="infra/rig/run")
    parser.add_argument("--work", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--bootstraps", type=Path, help="a folder that `sam build` made already")
    parser.add_argument("--programs", type=Path, help="folder of `convoke` and `examples/converse` that are built already")
    arguments = parser.parse_args()
    began = time.monotonic()
    try:
        run(arguments)
    except Failed as failed:
        complain(f"the rig failed: {failed}\nlogs are in {run_of(arguments)}")
        return 1
    except subprocess.SubprocessError as failed:
        complain(f"the rig failed: {failed}")
        return 1
    print(f"\nthe rig passed in {time.monotonic() - began:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
