"""The console's texts: `python -m tests.console.messages` (make messages) brings the catalogues up to date.

New texts get an entry in both; the Chinese one is filled in, for the id is the Chinese text. What is not used any
more goes. Places are given by file, without line numbers, so that a change of code is no change of the catalogue.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po

from alerts.texts import KINDS
from monitor.documents.model import TITLES
from monitor.flag_facts import MARKS
from monitor.reasoning import CALENDARS, ENDS
from monitor.rights import ACTIONS, shipped_roles
from monitor.web import flag_words, page
from monitor.web.console.i18n import DOMAIN, LANGUAGES, LOCALE, SOURCE_LANGUAGE
from monitor.web.flag_words import STATES, VERDICTS

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / "monitor" / "web" / "console"
OPEN_PAGE = ROOT / "monitor" / "web" / "page.py"
TEMPLATES = ROOT / "monitor" / "web" / "templates" / "console"
KEYWORDS = {"_": None, "ngettext": (1, 2)}
TAGS = "monitor.web.console.template_parts.Cells"
KEPT_HEADERS = ("Project-Id-Version", "Plural-Forms", "MIME-Version", "Content-")


def python_files() -> list[Path]:
    """Every module with texts."""
    return [*sorted(PYTHON.rglob("*.py")), OPEN_PAGE]


def sources() -> Iterator[tuple[Path, str]]:
    """Every file with texts, and what extracts from it."""
    for path in python_files():
        yield path, "python"
    for path in sorted(TEMPLATES.rglob("*.html")):
        yield path, "jinja2.ext:babel_extract"


def words_of_tables() -> Iterator[tuple[str, str]]:
    """(file, word) of tables outside of the console whose words its pages show by `word`."""
    tables: list[tuple[str, Iterable[str]]] = [
        ("monitor/rights.py", ACTIONS.values()),
        ("monitor/roles.toml", [role.title for role in shipped_roles().values()]),
        ("monitor/documents/model.py", TITLES.values()),
        ("monitor/reasoning.py", [*ENDS.values(), *CALENDARS.values()]),
        ("monitor/flag_facts.py", MARKS.values()),
        ("alerts/texts.py", KINDS.values()),
        ("monitor/web/page.py", page.SOURCE_WORDS.values()),
        ("monitor/web/flag_words.py", ["未定级", "系统"]),
        ("monitor/web/flag_words.py", [*STATES.values(), *VERDICTS.values(), *flag_words.ACTIONS.values()]),
    ]
    for place, words in tables:
        yield from ((place, word) for word in words if word)


def extracted() -> Catalog:
    """All texts of the console as they are in its files now."""
    found = new_catalogue(SOURCE_LANGUAGE)
    for path, method in sources():
        options = {"extensions": TAGS, "trimmed": "true", "silent": "false"}
        with path.open("rb") as file:
            for _line, message, comments, context in extract(method, file, KEYWORDS, ["i18n:"], options):
                place = (path.relative_to(ROOT).as_posix(), 1)
                found.add(message, locations=[place], auto_comments=comments, context=context)
    for table, word in words_of_tables():
        found.add(word, locations=[(table, 1)])
    return found


def new_catalogue(language: str) -> Catalog:
    return Catalog(locale=language, domain=DOMAIN, project="price-risk-monitor", fuzzy=False)


def catalogue_path(language: str) -> Path:
    return LOCALE / language / "LC_MESSAGES" / f"{DOMAIN}.po"


def read(language: str) -> Catalog:
    path = catalogue_path(language)
    if not path.exists():
        return new_catalogue(language)
    with path.open("rb") as file:
        return read_po(file, locale=language, domain=DOMAIN)


def updated(language: str) -> Catalog:
    """The catalogue with the texts of the files; those without translation are empty, in Chinese never."""
    catalogue = read(language)
    catalogue.update(extracted(), no_fuzzy_matching=True)
    if language == SOURCE_LANGUAGE:
        for message in catalogue:
            if message.id and not is_complete(message.string):
                message.string = (message.id[0],) if message.pluralizable else message.id
    return catalogue


def written(language: str, catalogue: Catalog) -> str:
    """The file, without the dates and names that would differ each time."""
    out = BytesIO()
    write_po(out, catalogue, width=116, sort_by_file=True, include_lineno=False, ignore_obsolete=True)
    entries = out.getvalue().decode()
    header, _blank, rest = entries.partition("\n\n")
    kept = [line for line in header.splitlines() if line.startswith('"') and line[1:].startswith(KEPT_HEADERS)]
    kept.append(f'"Language: {language}\\n"')
    return "\n".join([f"# Texts of the console: {LANGUAGES[language]}", 'msgid ""', 'msgstr ""', *kept, "", rest])


def untranslated(catalogue: Catalog) -> list[str]:
    """Ids without a complete translation."""
    return [str(message.id) for message in catalogue if message.id and not is_complete(message.string)]


def is_complete(string: str | tuple[str, ...] | list[str] | None) -> bool:
    return bool(string) and (isinstance(string, str) or all(string or ()))


def placeholders(text: str) -> set[str]:
    """The names of the values in a message: '共 %(n)s 条' -> {'n'}."""
    return set(re.findall(r"%\((\w+)\)", text))


def main() -> None:
    for language in LANGUAGES:
        catalogue = updated(language)
        catalogue_path(language).write_text(written(language, catalogue), "utf-8")
        missing = untranslated(catalogue)
        print(f"{language}: {len(catalogue)} texts, {len(missing)} to translate")
        for one in missing:
            print(f"  {one}")


if __name__ == "__main__":
    main()
