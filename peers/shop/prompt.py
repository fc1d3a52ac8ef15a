"""The prompt: lines from a terminal, with history and completion."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory

from peers.files import PRIVATE
from peers.shop.commands import COMMANDS, EVERYWHERE

_OF_ITEMS = ("search", "buy", "sell")


class WordCompleter(Completer):
    """Completes commands, after those that take one the items of the town, and in a search that it is everywhere."""

    def __init__(self, items: Callable[[], list[str]]) -> None:
        self._items = items

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Gives what the word under way may become."""
        del complete_event
        before = document.text_before_cursor.lstrip()
        *words, begun = before.split(" ")
        choices: Iterable[str] = ()
        if not words:
            choices = COMMANDS
        elif len(words) == 1 and words[0] in _OF_ITEMS:
            choices = self._items()
        if words[:1] == ["search"] and len(words) <= 2 and EVERYWHERE not in words:
            choices = [*choices, EVERYWHERE]
        for choice in choices:
            if choice.startswith(begun):
                about = COMMANDS[choice].does if not words else ""
                yield Completion(choice, start_position=-len(begun), display_meta=about)


def make_reader(history: Path, items: Callable[[], list[str]]) -> Callable[[str], str]:
    """Returns what reads a line at a prompt: KeyboardInterrupt for Ctrl-C, EOFError for Ctrl-D. `history` is kept
    from visit to visit, for its owner only."""
    os.close(os.open(history, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, PRIVATE))
    session: PromptSession[str] = PromptSession(
        history=FileHistory(str(history)),
        completer=WordCompleter(items),
        auto_suggest=AutoSuggestFromHistory(),
        complete_while_typing=False,
    )
    return session.prompt
