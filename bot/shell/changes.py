"""What a change of settings changes, in words for the log."""

from __future__ import annotations

import msgspec

from bot.model.config import Config


def differences(before: Config, after: Config) -> dict[str, str]:
    """The knobs that differ, by their path in the configuration, as ``old → new``."""
    left, right = _flat(msgspec.to_builtins(before), ""), _flat(msgspec.to_builtins(after), "")
    names = dict.fromkeys((*left, *right))
    return {
        name: f"{left.get(name, '')} → {right.get(name, '')}"
        for name in names
        if left.get(name) != right.get(name)
    }


def _flat(tree: object, path: str) -> dict[str, str]:
    if not isinstance(tree, dict):
        return {path: "" if tree is None else str(tree)}
    found: dict[str, str] = {}
    for name, branch in tree.items():
        found.update(_flat(branch, f"{path}.{name}" if path else str(name)))
    return found
