"""The generated pages of the reference: ``python docs/reference.py [--check]``.

They are made from the code: settings, metrics, commands, endpoints and errors. With ``--check`` nothing is
written, and the exit status is 1 if a page differs.
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "reference"
NOTE = "<!-- Written by docs/reference.py from the code; edit the code, then run it. -->\n\n"


def pages() -> dict[str, str]:
    """Name of a page -> its text."""
    sys.path[:0] = [str(ROOT / "service"), str(ROOT / "clients" / "python")]  # the code beside these pages
    # Defaults must not depend on the machine.
    for name in [name for name in os.environ if name.startswith("LASERVE_")]:
        del os.environ[name]
    from _reference import commands, errors, http, metrics, settings

    modules = {"settings": settings, "metrics": metrics, "commands": commands, "http": http, "errors": errors}
    return {name: NOTE + module.page().rstrip("\n") + "\n" for name, module in modules.items()}


def main(arguments: list[str]) -> int:
    """Write the pages, or compare them."""
    if unknown := set(arguments) - {"--check"}:
        sys.exit(f"unknown: {', '.join(sorted(unknown))}; there is --check")
    differ = []
    for name, text in pages().items():
        path = FOLDER / f"{name}.md"
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        differ.append(str(path.relative_to(ROOT)))
        if "--check" not in arguments:
            path.write_text(text, encoding="utf-8")
    if differ and "--check" in arguments:
        print(f"not what the code says: {', '.join(differ)}; run: python docs/reference.py")
        return 1
    print(f"written: {', '.join(differ)}" if differ else "all pages are what the code says")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
