"""The golden renderings: a report that has everything, in all forms and languages.

`python tests/renderings.py` writes them anew.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path

GOLDEN = Path(__file__).parent / "golden" / "renderings"
ENTRY_ID = "<812.ops@modelwatch>"


@cache
def renderings() -> dict[str, str]:
    """Give the text of each golden file, by its path under `golden/renderings`."""
    from briefs import FULL, NIGHT

    from pipeline.destinations import LANGUAGES
    from pipeline.renderings import atom, calendar, json_feed, letter

    found = {}
    for language in LANGUAGES:
        written = letter(
            FULL, destination="ops", message_id=ENTRY_ID, thread="<ops@modelwatch>", language=language
        )
        made = written.letter
        texts = {
            "subject.txt": f"{made.subject}\n",
            "mail.txt": made.text,
            "mail.md": made.markdown,
            "mail.html": made.html,
            "endings.ics": calendar(FULL.endings, at=NIGHT, language=language),
            "atom.xml": atom("ops", [made], language=language),
            "feed.json": json_feed("ops", [made], language=language),
        }
        if language == LANGUAGES[0]:
            texts |= {each.name: each.content.decode() for each in made.attachments}
        found |= {f"{language}/{name}": _lasting(text) for name, text in texts.items()}
    return found


def _lasting(text: str) -> str:
    """Leave out which version wrote it."""
    return text.replace(f"modelwatch {version('modelwatch')}", "modelwatch VERSION")


if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]
    for name, text in renderings().items():
        path = GOLDEN / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
