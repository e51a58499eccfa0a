"""The documentation mentions all there is, and nothing that there is not."""

import json
import re
import shlex
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import click
import pytest

from abtest.bootstrap import wired
from abtest.commands import abtest
from abtest.commands.experiments import experiments
from abtest.commands.options import Secret
from abtest.domain.experiments import Experiment, Phase, Status
from abtest.management import described
from abtest.settings import LIMITS, SETTINGS, SINGLE_SIGN_ON, Setting, Settings
from abtest.store.sqlite import migrations
from abtest.store.sqlite.store import SQLiteStore
from abtest.web.app import routes
from abtest.web.base_path import IN_APP
from tests.scenes import commands

ROOT = Path(__file__).parent.parent
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "clients/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
TEXT = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in PAGES}
COMMAND_LINE = TEXT["docs/command-line.md"]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TYPED = re.compile(r"^\$ (.+)$", re.MULTILINE)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)#\s]*)(#[^)\s]+)?\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
ASSIGNMENT = re.compile(r"[A-Z_]+=")


COMMANDS = dict(commands(abtest, "abtest"))


def options(command: click.Command) -> set[str]:
    """What begins with a dash on this command's line."""
    context = click.Context(command)
    found = [
        parameter
        for parameter in command.get_params(context)
        if isinstance(parameter, click.Option) and not isinstance(parameter, Secret)
    ]
    return {"-h"} | {name for option in found for name in (*option.opts, *option.secondary_opts)}


def lines() -> dict[tuple[str, ...], str]:
    """The words of every `abtest ...` that the pages show, each with a page where it stands."""
    found = {}
    for page, text in TEXT.items():
        blocks = "".join(block for language, block in FENCE.findall(text) if language == "console")
        for shown in TYPED.findall(blocks) + INLINE.findall(FENCE.sub("", text)):
            words = shlex.split(shown.replace("\\|", "|").partition("|")[0])
            while words and ASSIGNMENT.match(words[0]):
                words = words[1:]
            if words[:1] == ["abtest"]:
                found[tuple(words)] = page
    return found


def section(heading: str) -> str:
    """The text of docs/command-line.md under this heading, up to the next one."""
    return re.split(r"^#", COMMAND_LINE.split(f"# {heading}\n", maxsplit=1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def anchor(heading: str) -> str:
    """The anchor of a heading, as forges make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def parse(command: click.Command, words: Sequence[str]) -> None:
    """Parse as click would, down to the last command; nothing is run. Raises UsageError."""
    context = click.Context(command)
    _, rest, _ = command.make_parser(context).parse_args(list(words))
    if rest and not isinstance(command, click.Group):
        raise click.UsageError(f"{rest[0]} is too much")
    if rest and isinstance(command, click.Group):
        _, below, rest = command.resolve_command(context, rest)
        assert below is not None
        parse(below, rest)


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_has_a_section_with_all_its_options(path: str) -> None:
    assert re.search(rf"^#+ {path}$", COMMAND_LINE, re.MULTILINE), f"docs/command-line.md has no section {path}"
    told = section(path)
    for option in options(COMMANDS[path]) - {"-h", "--help", "--app"}:
        assert option in told, f"the section {path} does not mention {option}"


def test_every_command_that_means_an_app_is_told_where_apps_are() -> None:
    told = section("abtest apps")
    for path, command in COMMANDS.items():
        first_two = " ".join(path.split()[:2])
        assert "--app" not in options(command) or f"`{first_two}`" in told, path


@pytest.mark.parametrize("heading", [found for found in HEADING.findall(COMMAND_LINE) if found.startswith("abtest")])
def test_every_section_is_about_a_command_that_exists(heading: str) -> None:
    assert heading in COMMANDS


@pytest.mark.parametrize("page", TEXT)
def test_a_heading_stands_once_on_its_page(page: str) -> None:
    headings = HEADING.findall(FENCE.sub("", TEXT[page]))
    assert len(headings) == len(set(headings))


def test_the_shown_experiment_has_every_field() -> None:
    (sample,) = (
        json.loads(text) for language, text in FENCE.findall(section("abtest experiments show")) if language == "json"
    )
    shown = Experiment(
        id=1,
        key="greeting",
        description="",
        status=Status.RUNNING,
        created_at=0,
        created_after_device=0,
        values=("Hello",),
        phases=(Phase(number=1, weights=(Decimal(1),), created_at=0, enrolled=0),),
        metrics=(),
    )
    assert list(sample) == list(described(shown))


def test_the_schema_that_is_shown_is_the_newest() -> None:
    assert f"abtest.db has schema {migrations.newest()}\n" in section("abtest db migrate")


@pytest.mark.parametrize("name", experiments.commands)
def test_the_readme_names_what_can_be_done_with_experiments(name: str) -> None:
    (row,) = (line for line in TEXT["README.md"].splitlines() if line.startswith("| `abtest experiments` |"))
    assert name in row


@pytest.mark.parametrize("name", abtest.commands)
def test_the_readme_names_every_command(name: str) -> None:
    assert f"| `abtest {name}` |" in TEXT["README.md"]


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_the_readme_has_every_setting_with_its_default_and_meaning(setting: Setting) -> None:
    row = f"| `{setting.name}` | `{setting.variable}` | `{setting.default}` | {setting.help} |"
    assert row in TEXT["README.md"].splitlines()
    assert f"| `{setting.variable}` | `{setting.default}` |" in TEXT["docs/operations.md"]


@pytest.mark.parametrize("setting", (*LIMITS, *SINGLE_SIGN_ON), ids=lambda setting: setting.name)
def test_operations_has_every_limit_with_its_default_and_meaning(setting: Setting) -> None:
    row = f"| `{setting.variable}` | `{setting.default}` | {setting.help} |"
    assert row in TEXT["docs/operations.md"].splitlines()


def test_every_variable_that_is_mentioned_exists() -> None:
    known = {
        variable
        for command in COMMANDS.values()
        for parameter in command.params
        for variable in [parameter.envvar]
        if isinstance(variable, str)
    }
    for page, text in TEXT.items():
        assert set(re.findall(r"(?<!_)\bABTEST_[A-Z_]+", text)) <= known, page


def test_every_route_is_in_the_table_of_the_http_interface() -> None:
    services = wired(SQLiteStore(Path("abtest.db")), Settings())
    patterns = {
        pattern.removeprefix(IN_APP).replace("([^/]+)", "{key}").removesuffix("(.+)").removesuffix("/?")
        for pattern, _, _, _ in routes(services)
    }
    assert set(re.findall(r"^\| `(/[^`]*)` \|", TEXT["docs/api.md"], re.MULTILINE)) == patterns


@pytest.mark.parametrize("page", TEXT)
def test_every_relative_link_leads_somewhere(page: str) -> None:
    for target, fragment in LINK.findall(TEXT[page]):
        if target.startswith(("http://", "https://")):
            continue
        there = ((ROOT / page).parent / target).resolve() if target else ROOT / page
        assert there.exists(), f"{page} links to {target}"
        if fragment:
            headings = HEADING.findall(there.read_text(encoding="utf-8"))
            assert fragment[1:] in map(anchor, headings), f"{page} links to {target}{fragment}"


@pytest.mark.parametrize("words", sorted(lines()), ids=" ".join)
def test_every_command_line_that_is_shown_can_be_typed(words: tuple[str, ...]) -> None:
    try:
        parse(abtest, words[1:])
    except click.UsageError as error:
        pytest.fail(f"{lines()[words]}: {' '.join(words)}: {error.format_message()}")
