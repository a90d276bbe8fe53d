"""What the licence of weights and of data asks of who fetches them: said in one line before the first byte.

Most licences ask nothing. Weights that may not be used for everything are downloaded once their licence was accepted by its name
(--accept-licence, or ACCEPTED in the environment); for gated ones the hub wants the token of an account that accepted. A file that is on
this machine already is asked about by nobody.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping

from bench.api import Checkpoint, UserError

ACCEPTED = "AUDIO_TOKENIZER_BENCH_ACCEPT_LICENCES"  # names, comma between them
RESTRICTED: Mapping[str, str] = {  # pattern of a licence's name -> what it forbids
    r"CC-BY-NC[\w.-]*": "no commercial use",
    r"Stability[\w.-]*": "no commercial use by companies of more than 1 million USD a year",
    r"GLM-4[\w.-]*": "no commercial use without registration",
    r"Llama-2[\w.-]*": "no use by services of more than 700 million users a month",
    r"OpenAI-non-commercial": "no commercial use",
}
GATED = "login needed"


def restrictions(licence: str) -> dict[str, str]:
    """The licences that a text names and that forbid some use -> what they forbid."""
    return {name: what for pattern, what in RESTRICTED.items() for name in re.findall(pattern, licence, re.IGNORECASE)}


def terms(licence: str, gated: bool = False) -> str:
    """What a user should know of a licence before a download, in a few words; "" where it asks nothing."""
    return ", ".join([*dict.fromkeys(restrictions(licence).values()), *([GATED] if gated else [])])


def accept(names: Iterable[str]) -> None:
    """Accepts licences for this process and those that it starts."""
    os.environ[ACCEPTED] = ",".join(dict.fromkeys([*filter(None, os.environ.get(ACCEPTED, "").split(",")), *names]))


def accepted() -> set[str]:
    """The names that were accepted, in small letters."""
    return {name.strip().casefold() for name in os.environ.get(ACCEPTED, "").split(",")}


def before_fetch(checkpoint: Checkpoint, licence: str, page: str, otherwise: str = "give --weights PATH") -> None:
    """Says what the licence asks on stderr; UserError, with the way to accept, where that was not done. `page`: where it can be read.

    `otherwise`: what else the user can do about what is gated.
    """
    said = terms(licence, checkpoint.gated)
    if not said:
        return
    line = f"{checkpoint.file}: {licence or 'licence'}: {said} ({page})"
    if lacking := [name for name in restrictions(licence) if name.casefold() not in accepted()]:
        names = ",".join(lacking)
        raise UserError(f"{line}: it is downloaded once you accept that, with --accept-licence {names} or {ACCEPTED}={names}")
    if checkpoint.gated and not _token():
        raise UserError(f"{line}: accept its licence at that page and set HF_TOKEN to a token of that account, or {otherwise}")
    print(line, file=sys.stderr, flush=True)


def _token() -> str | None:
    from huggingface_hub import get_token

    return get_token()
