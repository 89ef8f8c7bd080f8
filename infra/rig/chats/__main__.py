"""The talk: see `infra/rig/talk`."""

import argparse
import os
import shutil
import sys
from pathlib import Path

from .. import bootstraps
from ..model import Models
from ..say import Failed, Step, complain
from . import discord, telegram


def main() -> int:
    parser = argparse.ArgumentParser(prog="infra/rig/talk")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--modules", type=Path, required=True)
    parser.add_argument("--cli", type=Path)
    arguments = parser.parse_args()
    run = arguments.work / "talk"
    shutil.rmtree(run, ignore_errors=True)
    try:
        with Step("build"):
            cli = arguments.cli or bootstraps.build_cli(Path(os.environ["CARGO_TARGET_DIR"]))
        models = Models()
        try:
            discord.talk(cli, run / "discord", models)
            telegram.talk(cli, run / "telegram", models, arguments.modules)
        finally:
            models.stop()
    except Failed as failed:
        complain(f"FAILED: {failed}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
