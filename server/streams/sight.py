"""How much of a stream who asks may see, and its facts cut down to that. Knows no HTTP and no keys."""

from __future__ import annotations

from typing import Literal

from msgspec.structs import replace

from server.streams.types import StreamFacts

Sight = Literal["stranger", "viewer", "publisher", "operator"]
"""`stranger`: who would need a key to watch. `publisher`: who holds the stream's key, whoever publishes."""


def seen(facts: StreamFacts, sight: Sight) -> StreamFacts:
    """Strangers see name and state; viewers all but where it goes to and comes from; publishers where it goes
    to, too; operators the address that it comes from as well."""
    if sight == "operator":
        return facts
    if sight == "stranger":
        return StreamFacts(name=facts.name, state=facts.state, needs_key=True)
    hidden = replace(facts.publisher, address="") if facts.publisher is not None else None
    facts = replace(facts, publisher=hidden)
    return facts if sight == "publisher" else replace(facts, targets=())
