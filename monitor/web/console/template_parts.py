"""What templates have beside Jinja's own: cells of tables, and words in the reader's language.

Both stand in every row of every list. As macros and through Jinja's extension for gettext they cost more than all the
rest of a page; a cell is put in place when the template is compiled, and a text is looked up once.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from markupsafe import Markup

from monitor.web.console import i18n


class Cells(Extension):
    """A cell of a table that stacks on narrow screens (macro `table`), under the heading `label`:

    {% td _("价格"), "number" %}{{ row.price }}{% endtd %}
    """

    tags = {"td"}  # noqa: RUF012  as the base class has it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        line = next(parser.stream).lineno
        label = parser.parse_expression()
        css = parser.parse_expression() if parser.stream.skip_if("comma") else nodes.Const("")
        body = parser.parse_statements(("name:endtd",), drop_needle=True)
        head: list[nodes.Node] = [output(line, '<td role="cell" data-label="', label, '"')]
        if isinstance(css, nodes.Const):
            head += [output(line, f' class="{css.value}"')] if css.value else []
        else:
            head.append(nodes.If(css, [output(line, ' class="', css, '"')], [], [], lineno=line))
        return [*head, output(line, ">"), *body, output(line, "</td>\n")]


def output(line: int, *parts: str | nodes.Expr) -> nodes.Output:
    """Markup as it is, and values, which are escaped."""
    made = [nodes.TemplateData(part, lineno=line) if isinstance(part, str) else part for part in parts]
    return nodes.Output(made, lineno=line)


def said(message: str, **values: Any) -> Markup:
    """`_` of templates: the message in the language of the reader, with values that are escaped."""
    if not values:
        return plain(message, i18n.language())
    return known(message, i18n.language()) % values


def said_of(singular: str, plural: str, num: int, **values: Any) -> Markup:
    """`ngettext` of templates: the message for `num` things, which is also the value `num`."""
    text = i18n.translations(i18n.language()).ngettext(singular, plural, num)
    return Markup(text) % ({"num": num} | values)  # noqa: S704  from the catalogue


@lru_cache(maxsize=10_000)
def plain(message: str, language: str) -> Markup:
    return known(message, language) % {}


@lru_cache(maxsize=10_000)
def known(message: str, language: str) -> Markup:
    return Markup(i18n.translations(language).gettext(message))  # noqa: S704  from the catalogue


def zh(text: object) -> object:
    """Data that stays Chinese on an English page (items, places, reasons): tells screen readers how to read it."""
    if i18n.language() == i18n.SOURCE_LANGUAGE:
        return text
    return Markup('<span lang="zh-CN">{}</span>').format(text)
