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
from peers.text import is_text

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


class _KeptHistory(FileHistory):
    """What was typed, kept in a file as far as that can be: a prompt is of use without it too. `trouble` says why
    something of it could not be read or written, empty as long as all could."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self.trouble = ""
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, PRIVATE))
        except OSError as error:
            self._note(error)

    def load_history_strings(self) -> Iterable[str]:
        """Gives what was typed before, the newest first."""
        try:
            return list(super().load_history_strings())
        except OSError as error:
            self._note(error)
            return []

    def store_string(self, string: str) -> None:
        """Writes down what was typed; what is no text is typed in vain, and not kept."""
        if not is_text(string):
            return
        try:
            super().store_string(string)
        except OSError as error:
            self._note(error)

    def _note(self, error: OSError) -> None:
        self.trouble = self.trouble or error.strerror or str(error)


def make_reader(history: Path, items: Callable[[], list[str]], warn: Callable[[str], None]) -> Callable[[str], str]:
    """Returns what reads a line at a prompt: KeyboardInterrupt for Ctrl-C, EOFError for Ctrl-D. `history` is kept
    from visit to visit, for its owner only; where it cannot be, `warn` is told, once."""
    kept = _KeptHistory(history)
    session: PromptSession[str] = PromptSession(
        history=kept,
        completer=WordCompleter(items),
        auto_suggest=AutoSuggestFromHistory(),
        complete_while_typing=False,
    )
    warned: list[str] = []

    def read(prompt: str) -> str:
        line = session.prompt(prompt)
        if kept.trouble and not warned:
            warned.append(f"what you type is not kept for the next visit: {history} cannot be used ({kept.trouble})")
            warn(warned[0])
        return line

    return read
