"""Code in Markdown pages."""

import re

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
"""A fenced block: its language and its content."""


def snippets(text):
    """Return the lines of all fenced blocks, and all code in backticks."""
    lines = [line for _, block in BLOCK.findall(text) for line in block.splitlines()]
    return [*lines, *re.findall(r"`([^`\n]+)`", BLOCK.sub("", text))]
