"""The parts of a page, which the tests of the documentation read."""

from pages.markdown import Block, Link, Page

PAGE = Page(
    "page.md",
    """# Title

A [link](a.md#b) and `code
over lines`.

<!-- not run: installs -->
<!-- before: true -->
```bash
pip install laserve
```

1. An item:

   ```json
   {}
   ```

<!-- no comment of the next block -->

Text.

```
plain
```

## A, `b`: c_d [e](f.md)

## Again

### Again

![A picture](a.svg)

| a | b |
| --- | --- |
| a long cell | `x` |
""",
)


def test_blocks_have_their_language_line_and_comments() -> None:
    assert list(PAGE.blocks()) == [
        Block(
            language="bash",
            text="pip install laserve\n",
            line=9,
            comments=("not run: installs", "before: true"),
        ),
        Block(language="json", text="{}\n", line=15),
        Block(language="", text="plain\n", line=23),
    ]


def test_links_and_pictures_are_told_apart() -> None:
    assert list(PAGE.links()) == [
        Link(target="a.md#b", text="", line=3),
        Link(target="f.md", text="", line=26),
    ]
    assert list(PAGE.pictures()) == [Link(target="a.svg", text="A picture", line=32)]


def test_anchors_are_those_of_github() -> None:
    assert PAGE.anchors() == {"title", "a-b-c_d-e", "again", "again-1"}


def test_paragraphs_are_those_of_lists_too_but_no_cells() -> None:
    texts = [text for text, _ in PAGE.paragraphs()]
    assert texts[:3] == ["A [link](a.md#b) and `code\nover lines`.", "An item:", "Text."]
    assert not any("cell" in text for text in texts)
