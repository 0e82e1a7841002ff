"""The picture of the curves: both lines in the frame, long ones thinned, and nothing without losses."""

import math
import re
import xml.etree.ElementTree as ElementTree

from trainer.artifacts.curve_picture import HEIGHT, MOST_POINTS, WIDTH, curve_picture


def test_both_curves_are_in_the_frame() -> None:
    steps = list(range(1, 5001))
    text = curve_picture((steps, [3 / step for step in steps]), ([1000, 5000], [1.0, 0.5]))
    root = ElementTree.fromstring(text)
    lines = [node.attrib["points"].split() for node in root if node.tag.endswith("polyline")]
    assert MOST_POINTS / 2 < len(lines[0]) <= MOST_POINTS + 1
    assert len(lines[1]) == 2
    for point in (point for line in lines for point in line):
        x, y = map(float, point.split(","))
        assert 0 <= x <= WIDTH
        assert 0 <= y <= HEIGHT
    assert "step 5000" in text
    assert "validation loss" in text


def test_losses_that_are_not_finite_are_left_out() -> None:
    text = curve_picture(([1, 2, 3], [2.0, math.nan, 2.0]), ([], []))
    assert "nan" not in text
    assert len(re.findall("<circle", text)) == 2
    assert "validation" not in text
    assert curve_picture(([], []), ([], [])) == ""
