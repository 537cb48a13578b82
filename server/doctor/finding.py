"""What the doctor says of one thing it tried, and how all of it is printed."""

from __future__ import annotations

from typing import Any

import msgspec


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """One thing that was tried. `remedy` says what to do, or what replaces it, where it is not ok."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""
    needed: bool = True
    facts: dict[str, Any] = {}  # msgspec copies it; for programs, in the JSON report only


def report(findings: list[Finding], as_json: bool) -> str:
    """A line a finding, or one JSON document."""
    if as_json:
        return msgspec.json.format(msgspec.json.encode({"findings": findings})).decode()
    width = max(len(finding.name) for finding in findings)
    lines = []
    for finding in findings:
        mark = "ok     " if finding.ok else "MISSING" if finding.needed else "absent "
        remedy = f" -> {finding.remedy}" if finding.remedy and not finding.ok else ""
        lines.append(f"{mark} {finding.name:<{width}}  {finding.detail}{remedy}")
    return "\n".join(lines)
