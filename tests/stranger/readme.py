"""The section of README.md that a stranger follows, as a list of stages: what to type, and what is printed then.

| in the page | means |
| --- | --- |
| `<!-- stage: NAME -->` | the next `console` block is a stage: each line `$ …` is typed, the lines beneath it are what it prints |
| `<!-- stage that goes on: NAME -->` | its last command does not end; what follows is typed into another terminal |

In what is printed `<…>` stands for some characters of one line, and `...` alone on a line for any lines, none among them.
"""

import re
from dataclasses import dataclass


@dataclass
class Stage:
    name: str
    goes_on: bool
    # (command, the lines that it prints)
    commands: list


def stages(page):
    """Every block that has such a comment. One of these comments without a block is a mistake."""
    found = []
    pattern = r"^<!-- stage( that goes on)?: ([^\n]+) -->\n```console\n(.*?)^```$"
    for goes_on, name, block in re.findall(pattern, page, re.MULTILINE | re.DOTALL):
        commands = []
        for line in block.splitlines():
            if line.startswith("$ "):
                commands.append((line.removeprefix("$ "), []))
            else:
                commands[-1][1].append(line)
        found.append(Stage(name, bool(goes_on), commands))
    assert len(found) == page.count("<!-- stage"), "a stage whose block does not follow"
    return found


def matches(shown, printed):
    """Whether what was printed is what is shown."""
    if not shown:
        return not printed
    if shown[0] == "...":
        return any(matches(shown[1:], printed[skipped:]) for skipped in range(len(printed) + 1))
    return bool(printed) and line_matches(shown[0], printed[0]) and matches(shown[1:], printed[1:])


def line_matches(shown, printed):
    pattern = "".join(".+" if part.startswith("<") else re.escape(part) for part in re.split(r"(<[^<>]+>)", shown))
    return re.fullmatch(pattern, printed) is not None
