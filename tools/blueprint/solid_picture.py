"""Pictures of solids without a display: an orthographic view, shaded by the slope of each face, with dark edges."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Colour = tuple[int, int, int]
_LIGHT: Final = np.array([0.35, -0.45, 0.82])
_OVERSAMPLE: Final = 2
_EDGE_DEPTH_MM: Final = 0.7
_EDGE_SLOPE: Final = 0.35


def picture(solids: Sequence[tuple[Any, Colour]], *, turn: float, tilt: float, width: int = 1400) -> bytes:
    """A PNG of (trimesh mesh, colour) pairs, seen from `turn` degrees round and `tilt` degrees above the floor."""
    axes = _axes(np.radians(turn), np.radians(tilt))
    corners = np.concatenate([mesh.vertices @ axes.T for mesh, _ in solids])
    low, high = corners[:, :2].min(0) - 3, corners[:, :2].max(0) + 3
    scale = width * _OVERSAMPLE / (high[0] - low[0])
    shape = (int((high[1] - low[1]) * scale) + 1, width * _OVERSAMPLE)
    depth = np.full(shape, -np.inf)
    slope = np.zeros((*shape, 3))
    image = np.full((*shape, 3), 255.0)
    light = _LIGHT / np.linalg.norm(_LIGHT)
    for mesh, colour in solids:
        seen = mesh.triangles @ axes.T
        seen[:, :, :2] = (seen[:, :, :2] - low) * scale
        for triangle, normal in zip(seen, mesh.face_normals, strict=True):
            if normal @ axes[2] > 0:
                shade = 0.45 + 0.55 * max(float(normal @ light), 0.0)
                _fill(triangle, depth, image, slope, np.array(colour) * shade, normal)
    _draw_edges(image, depth, slope)
    small = Image.fromarray(image.clip(0, 255).astype(np.uint8)[::-1])
    small = small.resize((shape[1] // _OVERSAMPLE, shape[0] // _OVERSAMPLE), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    small.save(out, "PNG", optimize=True)
    return out.getvalue()


def _axes(turn: float, tilt: float) -> NDArray[np.float64]:
    """Rows: right, up and towards the eye."""
    eye = np.array([np.cos(tilt) * np.sin(turn), -np.cos(tilt) * np.cos(turn), np.sin(tilt)])
    right = np.array([np.cos(turn), np.sin(turn), 0.0])
    return np.stack([right, np.cross(eye, right), eye])


def _fill(
    triangle: NDArray[np.float64],
    depth: NDArray[np.float64],
    image: NDArray[np.float64],
    slope: NDArray[np.float64],
    colour: NDArray[np.float64],
    normal: NDArray[np.float64],
) -> None:
    (x0, y0), (x1, y1) = np.floor(triangle[:, :2].min(0)).astype(int), np.ceil(triangle[:, :2].max(0)).astype(int)
    a, b, c = triangle
    area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    if abs(area) < 1e-9:
        return
    xs, ys = np.meshgrid(np.arange(x0, x1 + 1), np.arange(y0, y1 + 1))
    first = ((b[0] - xs) * (c[1] - ys) - (b[1] - ys) * (c[0] - xs)) / area
    second = ((c[0] - xs) * (a[1] - ys) - (c[1] - ys) * (a[0] - xs)) / area
    third = 1 - first - second
    inside = (first >= -1e-6) & (second >= -1e-6) & (third >= -1e-6)
    z = first * a[2] + second * b[2] + third * c[2]
    ys, xs, z = ys[inside], xs[inside], z[inside]
    nearer = z > depth[ys, xs]
    ys, xs = ys[nearer], xs[nearer]
    depth[ys, xs], image[ys, xs], slope[ys, xs] = z[nearer], colour, normal


def _draw_edges(image: NDArray[np.float64], depth: NDArray[np.float64], slope: NDArray[np.float64]) -> None:
    flat = np.where(np.isinf(depth), -1e3, depth)
    edge = np.zeros(depth.shape, bool)
    for axis in (0, 1):
        step = np.abs(np.diff(flat, axis=axis)) > _EDGE_DEPTH_MM
        bend = np.abs(np.diff(slope, axis=axis)).sum(-1) > _EDGE_SLOPE
        part = step | bend
        edge[:-1, :] |= part if axis == 0 else False
        if axis == 1:
            edge[:, :-1] |= part
    image[edge] *= 0.35
