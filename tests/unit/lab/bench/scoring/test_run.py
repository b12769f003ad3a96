"""What `laserve bench scoring` draws."""

from laserve.lab.bench.scoring.run import growth_chart


def test_the_chart_has_a_line_of_seconds_for_each_length_of_the_prompt() -> None:
    rows = [{"prompt_tokens": tokens, "seconds": {1: 0.1, 4: tokens / 1000}} for tokens in (500, 2000)]
    chart = growth_chart({"growth": rows, "machine": "a machine"})
    assert {name: (list(line.x), list(line.y)) for name, line in chart.lines.items()} == {
        "500 tokens": ([1, 4], [0.1, 0.5]),
        "2,000 tokens": ([1, 4], [0.1, 2.0]),
    }
    assert "a machine" in chart.title
