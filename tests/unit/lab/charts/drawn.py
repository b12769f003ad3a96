"""What a reader finds in a chart."""

from xml.etree import ElementTree

from laserve.lab.charts.chart import Chart, svg

SVG = "{http://www.w3.org/2000/svg}"


def texts(chart: Chart) -> list[str]:
    """The texts of a chart as SVG, which is well-formed."""
    root = ElementTree.fromstring(svg(chart))
    return ["".join(one.itertext()) for one in root.iter(f"{SVG}text")]
