"""bench completion: what a shell needs to complete commands, flags and names with TAB."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from bench.commands import arguments

if TYPE_CHECKING:
    from bench.commands.arguments import Verbs

EXAMPLES = """examples:
  eval "$(bench completion bash)"                     in ~/.bashrc; zsh alike
  bench completion fish > ~/.config/fish/completions/bench.fish"""
SHELLS = ("bash", "zsh", "fish", "powershell")


def add(verbs: Verbs) -> None:
    """Its words."""
    verb = arguments.verb(verbs, "completion", completion, "print shell completion code", EXAMPLES)
    verb.add_argument("shell", choices=SHELLS)


def completion(options: argparse.Namespace) -> int:
    """bench completion"""
    from argcomplete.shell_integration import shellcode

    print(shellcode(["bench"], shell=options.shell))
    return 0


def complete(parser: argparse.ArgumentParser) -> None:
    """Answers a shell that asks for completions, and ends the process."""
    import argcomplete

    for verb in _verbs(parser):
        for action in verb._actions:
            if names := NAMES.get(action.dest):
                action.completer = names  # type: ignore[attr-defined]
    argcomplete.autocomplete(parser)


def _verbs(parser: argparse.ArgumentParser) -> Sequence[argparse.ArgumentParser]:
    (subparsers,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return list(subparsers.choices.values())


def _tokenizers(prefix: str, **_: object) -> list[str]:
    from bench.catalog import names

    head, comma, _word = prefix.rpartition(",")
    found = [*names.families(), *names.labels(), *names.hub_ids()]
    return [head + comma + name for name in found]


def _suites(prefix: str, **_: object) -> list[str]:
    from bench.catalog import names

    return [*names.suites(), "all"]


def _data(prefix: str, **_: object) -> list[str]:
    from bench.data import manifests

    return manifests.all_names()


NAMES: dict[str, Callable[..., list[str]]] = {"tokenizer": _tokenizers, "suite": _suites, "data": _data}
