"""Both curves of each scene as one SVG, written by hand: delay across, phantom leaves per stay upwards, both logarithmic."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT = 460, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 40, 48
_X = (0.15, 25.0)
_Y = (1e-4, 50.0)
_FIXED, _SMURF, _INK, _GRID = "#8a8f98", "#0b6e4f", "#22262b", "#e3e5e8"


@dataclass(frozen=True, slots=True)
class _Frame:
    left: float

    def x(self, delay_s: float) -> float:
        return self.left + _LEFT + _share(delay_s, _X) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, rate: float) -> float:
        """Zero stands on the floor of the plot, which has no zero."""
        return _HEIGHT - _BOTTOM - _share(max(rate, _Y[0]), _Y) * (_HEIGHT - _TOP - _BOTTOM)


def svg(scenes: Sequence[dict[str, Any]]) -> str:
    """A whole SVG document, the scenes side by side; the same numbers always give the same text."""
    width = _WIDTH * len(scenes)
    body = [line for n, scene in enumerate(scenes) for line in _scene(scene, _Frame(_WIDTH * n))]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_HEIGHT}" width="{width}" height="{_HEIGHT}"'
        ' font-family="sans-serif" font-size="12">'
    )
    return "\n".join([head, f'<rect width="{width}" height="{_HEIGHT}" fill="white"/>', *body, "</svg>", ""])


def _scene(scene: dict[str, Any], frame: _Frame) -> Iterator[str]:
    yield _text(
        frame.left + _LEFT, 20, f"{scene['scene']}: {scene['stays']} stays, {scene['reads']:,} reads (simulated)"
    )
    yield from _axes(frame)
    fixed = [(point["delay_s"], point["phantom_per_stay"]) for point in scene["fixed"]]
    smurf = [(point["delay_s"], point["phantom_per_stay"]) for point in scene["smurf"]]
    yield from _curve(fixed, frame, _FIXED, "fixed window 0.2–20 s")
    yield from _curve(smurf, frame, _SMURF, "SMURF, δ 1e-2–1e-6")


def _axes(frame: _Frame) -> Iterator[str]:
    for delay_s in (0.2, 0.5, 1, 2, 5, 10, 20):
        x = frame.x(delay_s)
        yield f'<line x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{_HEIGHT - _BOTTOM}" stroke="{_GRID}"/>'
        yield _text(x, _HEIGHT - _BOTTOM + 16, f"{delay_s:g}", "middle")
    for rate in (1e-4, 1e-3, 1e-2, 0.1, 1, 10):
        y = frame.y(rate)
        yield f'<line x1="{frame.x(_X[0]):.1f}" y1="{y:.1f}" x2="{frame.x(_X[1]):.1f}" y2="{y:.1f}" stroke="{_GRID}"/>'
        yield _text(frame.x(_X[0]) - 6, y + 4, "0" if rate == _Y[0] else f"{rate:g}", "end")
    yield _text(frame.x(2), _HEIGHT - 10, "mean delay of a leave, s", "middle")
    middle, x = (_TOP + _HEIGHT - _BOTTOM) / 2, frame.left + 14
    turned = f'transform="rotate(-90 {x:.1f} {middle:.1f})"'
    yield _text(x, middle, "phantom leaves per stay", "middle", turned)


def _curve(points: Sequence[tuple[float, float]], frame: _Frame, colour: str, name: str) -> Iterator[str]:
    at = [(frame.x(delay_s), frame.y(rate)) for delay_s, rate in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
    yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
    yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in at)
    legend_y = _TOP + (16 if colour == _FIXED else 34)
    yield f'<circle cx="{frame.x(3.2):.1f}" cy="{legend_y - 4}" r="3" fill="{colour}"/>'
    yield _text(frame.x(3.5), legend_y, name)


def _text(x: float, y: float, text: str, anchor: str = "start", more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{_INK}" {more}>{escape(text)}</text>'


def _share(value: float, span: tuple[float, float]) -> float:
    low, high = (math.log10(end) for end in span)
    return (math.log10(min(max(value, span[0]), span[1])) - low) / (high - low)
