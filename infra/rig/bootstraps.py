"""The functions' binaries: built, checked for what they need of the system, zipped."""

import os
import re
import subprocess
import zipfile
from pathlib import Path

from .say import check, note

FUNCTIONS = ["submit", "step", "status", "artifacts", "control", "notify", "deliver", "clock", "discord", "telegram"]
# What Amazon Linux 2023 has.
GLIBC_MAX = (2, 34)
BUILD_S = 3600
# An upload to Lambda may have 50 MB; this is about how fast a function starts.
ZIP_MB_MAX = 4.5


def profile(name: str) -> str:
    """The profile that a function is built with (Cargo.toml says why there are two); its folder is called the same."""
    return "lambda-step" if name == "step" else "lambda"


def build(target: Path) -> Path:
    """Release bootstraps for this machine's processor; answers the folder of their profiles' folders."""
    for wanted in ("lambda", "lambda-step"):
        packages = [f"--package=convoke-{name}" for name in FUNCTIONS if profile(name) == wanted]
        subprocess.run(["cargo", "build", f"--profile={wanted}", "--locked", *packages], check=True, timeout=BUILD_S)
    return target


def build_cli(target: Path) -> Path:
    """The command line, as tests build it; answers the binary."""
    return build_programs(target) / "convoke"


def build_programs(target: Path) -> Path:
    """The command line, and the example that asks a model, as tests build them; answers their folder."""
    wanted = ["--workspace", "--bin=convoke", "--example=converse"]
    subprocess.run(["cargo", "build", "--locked", *wanted], check=True, timeout=BUILD_S)
    return target / "debug"


def glibc_of(binary: Path) -> tuple[int, ...]:
    """The newest glibc that a binary asks for."""
    symbols = subprocess.run(["objdump", "-T", binary], check=True, capture_output=True, text=True).stdout
    asked = {tuple(int(part) for part in found.split(".")) for found in re.findall(r"GLIBC_([0-9.]+)", symbols)}
    return max(asked)


def packed(folder: Path, into: Path) -> dict[str, Path]:
    """The zips, by function; each holds one file, `bootstrap`."""
    into.mkdir(parents=True, exist_ok=True)
    zips = {}
    for name in FUNCTIONS:
        binary = folder / profile(name) / f"convoke-{name}"
        zips[name] = into / f"{name}.zip"
        entry = zipfile.ZipInfo("bootstrap", date_time=(1980, 1, 1, 0, 0, 0))
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = 0o755 << 16
        with zipfile.ZipFile(zips[name], "w", compresslevel=9) as archive:
            archive.writestr(entry, binary.read_bytes())
        sizes = os.path.getsize(binary) / 1e6, os.path.getsize(zips[name]) / 1e6
        newest = glibc_of(binary)
        note(f"{name:<10} {sizes[0]:6.2f} MB, zipped {sizes[1]:5.2f} MB, glibc {'.'.join(map(str, newest))}")
        check(newest <= GLIBC_MAX, f"Amazon Linux 2023 has the glibc that {name} needs", newest)
    return zips
