"""Answers of an evaluator on originals, cached on disk: they are the same for every tokenizer.

One JSON file a clip, under the cache folder (see bench/weights/download.py), found by the clip's sha256 and the judge's whole name: model,
sha256 of its weights, and whatever else its answer depends on. Any answer that JSON can say: a transcript as well as a vector.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path

from bench.api import UserError
from bench.weights.download import cache_folder


class Answers:
    """The answers of one judge; any number of processes may read and keep them at once."""

    def __init__(self, judge: str):
        self.folder = cache_folder() / "judged" / hashlib.sha256(judge.encode()).hexdigest()[:16]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._failed(error) from error

    def get(self, clip_sha256: str) -> object | None:
        """What was said of the audio with that sha256; None: not asked yet, or the file is damaged and is asked for again."""
        try:
            return json.loads(self._path(clip_sha256).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError:
            return None
        except OSError as error:
            raise self._failed(error) from error

    def keep(self, clip_sha256: str, answer: object) -> None:
        """Writes an answer, whole or not at all."""
        try:
            handle, name = tempfile.mkstemp(suffix=".part", dir=self.folder)
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    json.dump(answer, file)
                os.replace(name, self._path(clip_sha256))
            finally:
                Path(name).unlink(missing_ok=True)
        except OSError as error:
            raise self._failed(error) from error

    def _path(self, clip_sha256: str) -> Path:
        return self.folder / f"{clip_sha256}.json"

    def _failed(self, error: OSError) -> UserError:
        return UserError(f"{self.folder}: {error.strerror or error}: set AUDIO_TOKENIZER_BENCH_CACHE to another folder")
