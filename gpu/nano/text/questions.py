"""Questions about relens instead of instructions: "help", "what can you do?". Knows words, no network."""

from __future__ import annotations

import re

EXAMPLES = (
    'type how the picture should look: "make it night", "like Starry Night", "blur the background", "make '
    'the red things blue"; then "add some snow", "a bit less", "rain off" or "undo that"'
)
NO_CONTRAST = (
    'relens nano has no contrast by itself: "more colourful", "bleach bypass" and "film noir" have some'
)
CONTRASTY = ("Vivid", "Bleach bypass", "Film noir")
_LONGEST = 60  # characters
_QUESTION = re.compile(
    r"(?:(?:hey|hi|hello|ok(?:ay)?|please)[, ]*)*(?:"
    r"help(?: me)?|\?+|h|commands?|options|menu|examples?|presets|(?:the )?instructions"
    r"|(?:list|show)(?: me)?(?: all| the| your| some| what)*"
    r" (?:commands|options|edits|effects|filters|styles|looks|presets|examples|you can do)"
    r"|(?:so |and )?what (?:else )?(?:can|could|do|should|must|may) (?:you|i|we|it|one)"
    r"(?: do| say| type| ask(?: for| you)?| write| try| understand| know| enter| use)*"
    r"(?: here| now| with (?:it|this))?"
    r"|what (?:is there|is this|now|are (?:my|the|your) (?:options|commands|edits|effects|filters|styles))"
    r"|(?:what|which) (?:effects|edits|filters|styles|commands|looks|options)"
    r"(?: (?:are there|do you (?:have|know)|can i (?:use|have|ask for)|are possible))?"
    r"|how (?:does|do|can|should) (?:this|it|you|i|that)(?: work| use (?:it|this)| start| begin)"
    r"|how to(?: use (?:it|this))?|i need help|can you help(?: me)?"
    r")(?:[, ]*please)?[ ?!.]*"
)
_CONTRAST = re.compile(
    r"(?:(?:please|add|make it|give it|with|even|a (?:bit|little|lot)|some|much|way|slightly|more|less|higher"
    r"|high|low|lower|increase|raise|boost|reduce|decrease|turn up|turn down|the|of)[, ]+)*"
    r"contrast(?:y|ier)?(?:[, ]+(?:up|down|please))*[ .!]*"
)


def asks_for_help(prompt: str) -> bool:
    """Whether a prompt asks what can be asked for."""
    return len(prompt) <= _LONGEST and bool(_QUESTION.fullmatch(" ".join(prompt.lower().split())))


def is_contrast(prompt: str) -> bool:
    """Whether it is of contrast and nothing else, which no edit is."""
    return len(prompt) <= _LONGEST and bool(_CONTRAST.fullmatch(" ".join(prompt.lower().split())))
