"""The READMEs promise only what there is: every command and option in them exists, every file they show is there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from peers.cli.main import app
from peers.core.leadership.state import TRANSITIONS, LeadershipState
from peers.core.state_machine import draw

ROOT = Path(__file__).parents[2]
FOLDERS = (".", "setup", "db", "nameserver", "peers", "plots", "tests")
READMES = sorted(
    {path for folder in FOLDERS for path in (ROOT / folder).glob("*.md" if folder == "." else "**/*.md")}
)
TEXTS = {path: path.read_text() for path in READMES}


def commands() -> list[list[str]]:
    """Every line of the shell blocks that calls the program, as words."""
    blocks = [block for text in TEXTS.values() for block in re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)]
    lines = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    called = [["run", *words[2:]] for words in lines if words[:2] == ["bash", "run.sh"]]
    called += [words[1:] for words in lines if words[:1] == ["bazaar"]]
    return sorted({tuple(words): words for words in called}.values())


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_exists_with_its_options(words: list[str]) -> None:
    group = typer.main.get_command(app)
    with typer.Context(group) as context:
        command = group.get_command(context, words[0])  # type: ignore[attr-defined]
    assert command is not None, words[0]
    known = {option for parameter in command.params for option in parameter.opts}
    used = {word.partition("=")[0] for word in words[1:] if word.startswith("-")}
    assert used <= known, used - known


def test_the_diagram_of_states_is_what_the_command_draws() -> None:
    guide = TEXTS[ROOT / "peers" / "core" / "README.md"]
    (shown,) = re.findall(r"```mermaid\n(.*?)```", guide, flags=re.DOTALL)
    assert shown == draw(TRANSITIONS, LeadershipState.JOINING), "replace it by what `bazaar states` prints"


def test_there_are_commands() -> None:
    assert len(commands()) > 10


def linked() -> list[Path]:
    """Every picture and every document that a README links to, wherever it stands."""
    links = [(readme, link) for readme, text in TEXTS.items() for link in re.findall(r"\]\(([^)#:]+)\)", text)]
    return sorted({(readme.parent / link).resolve() for readme, link in links})


@pytest.mark.parametrize("path", linked(), ids=lambda path: path.name)
def test_everything_linked_is_there(path: Path) -> None:
    assert path.stat().st_size > 800


@pytest.mark.parametrize("readme", READMES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_section_linked_is_there(readme: Path) -> None:
    for path, section in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", TEXTS[readme]):
        where = (readme.parent / path).resolve() if path else readme
        titles = re.findall(r"^#+ (.+)$", TEXTS[where], flags=re.MULTILINE)
        assert section in [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]


def test_the_first_readme_can_be_read_in_one_go() -> None:
    assert len(TEXTS[ROOT / "README.md"].splitlines()) < 400, (
        "what grows goes to the README of the folder it concerns"
    )


@pytest.mark.parametrize(
    "path",
    sorted(set(re.findall(r"`((?:peers|db|plots|nameserver|tests)/[\w/]+\.py)`", "\n".join(TEXTS.values())))),
)
def test_every_file_named_is_there(path: str) -> None:
    assert (ROOT / path).is_file()
