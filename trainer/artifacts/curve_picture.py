"""The loss curve as a picture for the model card: a small SVG, so that nothing has to draw it later."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 260, 52, 12, 28, 32
MOST_POINTS = 400
_TRAIN, _VALIDATION = "#0f766e", "#d97706"
Curve = tuple[Sequence[int], Sequence[float]]
"""Steps and losses."""


def curve_picture(train: Curve, validation: Curve) -> str:
    """Return an SVG of both curves; of a long one, every n-th point. Losses that aren't finite are left out."""
    curves = [_finite(*curve) for curve in (train, validation)]
    points = [point for curve in curves for point in curve]
    if not points:
        return ""
    last = max(max(step for step, _ in points), 1)
    low, high = min(loss for _, loss in points), max(loss for _, loss in points)
    span = (high - low) or 1.0

    def place(step: int, loss: float) -> tuple[float, float]:
        x = LEFT + (WIDTH - LEFT - RIGHT) * step / last
        return round(x, 1), round(TOP + (HEIGHT - TOP - BOTTOM) * (high - loss) / span, 1)

    ticks = [low + span * share for share in (0.0, 0.5, 1.0)]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'role="img" font-family="sans-serif" font-size="12">',
        "<title>Loss by step</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        *(_grid(place(0, tick)[1], f"{tick:.3g}") for tick in ticks),
        f'<text x="{LEFT}" y="{HEIGHT - 10}" fill="#475569">0</text>',
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 10}" fill="#475569" text-anchor="end">step {last}</text>',
        f'<text x="{LEFT}" y="16" fill="{_TRAIN}">training loss</text>',
    ]
    if curves[1]:
        parts.append(f'<text x="{LEFT + 110}" y="16" fill="{_VALIDATION}">validation loss</text>')
    for curve, color in zip(curves, (_TRAIN, _VALIDATION), strict=True):
        placed = [place(*point) for point in curve]
        line = " ".join(f"{x},{y}" for x, y in placed)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="2"/>')
        if len(placed) < 30:
            parts += [f'<circle cx="{x}" cy="{y}" r="2.5" fill="{color}"/>' for x, y in placed]
    return "\n".join([*parts, "</svg>", ""])


def _grid(y: float, text: str) -> str:
    return (
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}" stroke="#e2e8f0"/>'
        f'<text x="{LEFT - 6}" y="{y + 4}" fill="#475569" text-anchor="end">{escape(text)}</text>'
    )


def _finite(steps: Sequence[int], losses: Sequence[float]) -> list[tuple[int, float]]:
    points = [(step, loss) for step, loss in zip(steps, losses, strict=True) if math.isfinite(loss)]
    every = max(-(-len(points) // MOST_POINTS), 1)
    return [*points[:-1:every], points[-1]] if points else []
