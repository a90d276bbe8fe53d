"""What other formats call the facts of a clip: a row of a table, or the JSON beside a file in a shard -> fields of a manifest."""

from __future__ import annotations

import re
from collections.abc import Mapping

NAMES = {  # field -> columns that mean it, the first that a row has counts
    "id": ("id", "utt_id", "uttid", "key"),
    "text": ("text", "transcription", "transcript", "sentence", "normalized_text", "raw_text"),
    "speaker": ("speaker", "speaker_id", "client_id", "spk_id"),
    "domain": ("domain", "category"),
    "split": ("split",),
    "language": ("language", "lang", "locale"),
}
DOMAINS = {"speech": "speech", "music": "music", "general": "general", "audio": "general", "sound": "general"}
LABEL = "label:"  # how a column begins that is a label of the clip


def facts_of(row: Mapping[str, object]) -> dict[str, str]:
    """The fields of a manifest that a row has; what else it has is left out. Numbers are taken as words; nothing is proven."""
    found = {}
    for field, columns in NAMES.items():
        value = next((row[name] for name in columns if row.get(name) not in (None, "")), None)
        if isinstance(value, (str, int)) and not isinstance(value, bool):
            found[field] = str(value)
    found["domain"] = DOMAINS.get(found.get("domain", "").lower(), "")
    found["language"] = language_of(found.get("language", ""))
    found = {field: value for field, value in found.items() if value}
    return found | {name: str(value) for name, value in row.items() if name.startswith(LABEL) and value not in (None, "")}


def language_of(tag: str) -> str:
    """The ISO 639 code of a tag as `zh-CN`; "" where there is none, as in `german`."""
    code = re.match("[a-z]+", tag.lower())
    return code[0] if code and len(code[0]) in (2, 3) else ""
