"""Passwords taken out of text that is printed or stored."""

import re
import sys

_WORD = re.compile(r"\S*://\S*")
_NAMED = re.compile(
    r"(?i)((?:password|passwd|pwd|token|secret|api_?key)['\"]?\s*[=:]\s*)[^&\s,)}]+"
)
SHORTEST = 4  # a shorter password is in any text


def shown(url: str) -> str:
    """A URL as it may be printed, even if it cannot be understood."""
    hidden = re.sub(r"(://[^:/@]*):.*@", r"\1@", url)
    return re.sub(r"([?&]\w*password=)[^&]*", r"\1***", hidden)


def masked(text: str) -> str:
    """Text without passwords: those of URLs in it, of this process, and what is called so."""
    text = _WORD.sub(lambda found: shown(found[0]), text)
    for password in _known_passwords():
        text = text.replace(password, "***")
    return _NAMED.sub(r"\1***", text)


def _known_passwords() -> list[str]:
    """Those that storages were opened with; nothing is imported for that."""
    servers = sys.modules.get("evolve.store.servers")
    known = getattr(servers, "_PASSWORDS", {})
    return sorted((p for p in known.values() if len(p) >= SHORTEST), key=len, reverse=True)
