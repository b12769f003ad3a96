"""Tables of the documentation are those of the figures beside them."""

import json
from typing import Any

from pages.markdown import DOCS


def number(decisions: int | None, most: int, rate: float = 1.0) -> str:
    return f"> {most / rate:,.0f}" if decisions is None else f"{decisions / rate:,.0f}"


def test_the_table_of_traffic_has_the_figures_of_its_run() -> None:
    page = (DOCS / "explanation" / "how-much-traffic.md").read_text(encoding="utf-8")
    figures: dict[str, Any] = json.loads((DOCS / "pictures" / "traffic.json").read_text())
    most = figures["decisions"]
    for row in figures["rows"]:
        cells = [
            str(row["arms"]),
            f"{100 * row['gap']:.1f}",
            row["feedback"],
            *(number(row[key], most) for key in ("passes", "half", "most", "even")),
            *(number(row["passes"], most, rate) for rate in (0.2, 0.01)),
        ]
        assert f"| {' | '.join(cells)} |" in page
    assert f"{figures['worlds']} worlds of" in page.replace("\n", " ")
