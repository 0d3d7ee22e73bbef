"""Templates: the user's own replace or extend the built-in ones, and their mistakes are named."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from support import ROOT
from support.renderings import message_of, rendered
from support.summaries import CALM, FULL, hostile

from pipeline.errors import ConfigError
from pipeline.reports.render.message import render


def test_a_user_s_template_replaces_or_extends_the_built_in_one() -> None:
    ours = rendered(
        FULL,
        subject="{{ page.counts[0].number }}\n {{ page.counts[0].name }}",
        mail_html='{% extends "builtin/mail.html.j2" %}'
        "{% block footer %}Ask {{ summary.run.snapshot }}{% endblock %}",
        mail_txt="{{ page.headline | plain }}",
    )
    assert not ours.problems
    assert ours.message.subject == "4 removed"
    assert ours.message.text.startswith("heron-2 removed (aihubmix, 12 keys); also 2 price increases, ")
    assert "Ask 812" in ours.message.html
    assert "<h2" in ours.message.html
    assert ours.message.markdown == message_of(FULL).markdown


def test_the_template_in_the_readme_works() -> None:
    readme = (ROOT / "pipeline" / "reports" / "README.md").read_text("utf-8")
    [template] = re.findall(r"^```jinja\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    found = rendered(FULL, mail_html=template)
    assert not found.problems
    line = "<p>Call the engineer on duty: 555 0100.</p>"
    assert found.message.html.replace(line, "").replace("\n", "") == message_of(FULL).html.replace("\n", "")
    assert line not in rendered(CALM, mail_html=template).message.html


MISTAKES = [
    ("{{ page.headline | plain }}\n{% for %}", "mail.txt.j2:2: Expected"),
    ("one\ntwo {{ page.nothing }}", "mail.txt.j2:2: a page has no 'nothing'"),
    (
        "{% for each in page.sections %}\n{{ each.titel }}\n{% endfor %}",
        "mail.txt.j2:2: a section has no 'titel'",
    ),
    ("{{ page.headline | shiny }}", "mail.txt.j2:1: No filter named 'shiny'"),
    ("\n\n{{ 1 // 0 }}", "mail.txt.j2:3: ZeroDivisionError: "),
    ("{{ ().__class__.__bases__ }}", "mail.txt.j2:1: access to attribute '__class__'"),
    ('{% include "other.j2" %}', "mail.txt.j2:1: there is no template 'other.j2'"),
    ("\n{{ 'x' * page.counts | length }}\n{{ page.tone + 1 }}", "mail.txt.j2:3: TypeError: "),
]


@pytest.mark.parametrize(("text", "problem"), MISTAKES, ids=[problem for _, problem in MISTAKES])
def test_a_mistake_in_a_template_is_named_and_the_built_in_one_is_used(text: str, problem: str) -> None:
    found = rendered(FULL, mail_txt=text)
    assert [each[: len(problem)] for each in found.problems] == [problem]
    assert found.message == message_of(FULL)


def test_a_mistake_in_a_template_of_a_single_format_is_an_error() -> None:
    with pytest.raises(ConfigError) as caught:
        render(FULL, "md", language="en", templates={"mail.md.j2": "{{"})
    assert caught.value.where == "mail.md.j2:1"


def test_the_subject_of_a_template_is_one_printable_line() -> None:
    subject = rendered(FULL, subject="a\r\nBcc: b\u202e").message.subject
    assert subject == "a Bcc: b\\u202e"


def test_a_name_that_is_a_template_is_not_filled() -> None:
    assert "49" not in message_of(hostile("{{ 7 * 7 }}")).text
    assert "{{ 7 * 7 }}0" in message_of(hostile("{{ 7 * 7 }}")).text


def test_jinja_is_imported_only_for_rendering() -> None:
    code = "import pipeline.reports.render.message, sys; sys.exit('jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
