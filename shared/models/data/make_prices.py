#!/usr/bin/env python3
"""Makes prices.json out of the model table that the Python package litellm carries.

    pip download --no-deps litellm==1.109.1 -d /tmp/litellm
    python3 make_prices.py /tmp/litellm/litellm-1.109.1-*.whl > prices.json

Standard library only. Prices are whole micro-dollars per million tokens, rounded up.
"""

import json
import sys
import zipfile
from decimal import ROUND_CEILING, Decimal

TABLE = "litellm/model_prices_and_context_window_backup.json"

# Their provider -> ours, and the prefix that their names have. Where two give one name, the later line wins.
PROVIDERS = {
    "openai": ("openai", "openai/"),
    "azure": ("azure", "azure/"),
    "bedrock": ("bedrock", "bedrock/"),
    "bedrock_converse": ("bedrock", "bedrock/"),
    "openrouter": ("openrouter", "openrouter/"),
    "gemini": ("gemini", "gemini/"),
    "vertex_ai-language-models": ("vertex", "vertex_ai/"),
}


def micro_usd_per_mtok(per_token):
    """Dollars per token as whole micro-dollars per million tokens."""
    return int((Decimal(str(per_token)) * 10**12).to_integral_value(ROUND_CEILING))


def dearer_above(entry):
    """The smallest prompt length from which their price rises, in tokens, or None."""
    prefix, suffix = "input_cost_per_token_above_", "k_tokens"
    bounds = [
        int(key[len(prefix) : -len(suffix)]) * 1000
        for key, value in entry.items()
        if key.startswith(prefix)
        and key.endswith(suffix)
        and value
        and value > entry["input_cost_per_token"]
    ]
    return min(bounds, default=None)


def holds_schema(entry):
    """Whether the provider's own JSON-schema mode is known to work."""
    if entry["litellm_provider"].startswith("bedrock"):
        return bool(
            entry.get("supports_native_structured_output")
            or entry.get("supports_bedrock_native_structured_output")
        )
    return bool(entry.get("supports_response_schema"))


def count(entry, *keys):
    """The first of these fields that is a whole number above zero."""
    for key in keys:
        value = entry.get(key)
        if isinstance(value, (int, float)) and value > 0:
            return int(value)
    return None


def row(name, entry):
    """One line of our table, or None where nothing usable is known."""
    if entry.get("mode") != "chat":
        return None
    if entry.get("input_cost_per_token") is None or entry.get("output_cost_per_token") is None:
        return None
    price_in = micro_usd_per_mtok(entry["input_cost_per_token"])
    price_out = micro_usd_per_mtok(entry["output_cost_per_token"])
    # A zero here mostly means that nobody knows; only OpenRouter's free variants say so by name.
    if price_in == 0 and price_out == 0 and not name.endswith(":free"):
        return None
    context = count(entry, "max_input_tokens", "max_tokens")
    bound = dearer_above(entry)
    # One price per model: prompts stay below the length from which they would be dearer.
    if bound is not None and context is not None:
        context = min(context, bound)
    longest = count(entry, "max_output_tokens", "max_tokens")
    if longest is not None and context is not None:
        longest = min(longest, context)
    fields = {
        "input_usd_per_mtok": price_in,
        "output_usd_per_mtok": price_out,
        "context_tokens": context,
        "output_tokens_max": longest,
        "tools": bool(entry.get("supports_function_calling")),
        "schema": holds_schema(entry),
    }
    if entry.get("supports_sampling_params") is False:
        fields["sampling"] = False
    return {key: value for key, value in fields.items() if value is not None}


def main(wheel):
    with zipfile.ZipFile(wheel) as archive:
        table = json.loads(archive.read(TABLE))
    rows = {}
    for theirs, (ours, prefix) in PROVIDERS.items():
        for name, entry in table.items():
            if not isinstance(entry, dict) or entry.get("litellm_provider") != theirs:
                continue
            made = row(name, entry)
            if made:
                rows[f"{ours}/{name.removeprefix(prefix)}"] = made
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(rows[name])}" for name in sorted(rows))
    version = wheel.rsplit("/", 1)[-1].split("-")[1]
    print(f'{{"source": "litellm {version}", "models": {{\n{lines}\n}}}}')


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
