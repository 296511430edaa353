# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A TypedDict read with its comments: for each field its type and what is written behind or above it."""

from __future__ import annotations

import ast
import inspect
import io
import sys
import tokenize
from dataclasses import dataclass
from typing import Any, Optional, Union, get_args, get_origin, get_type_hints, is_typeddict


@dataclass(frozen=True)
class Field:
    name: str
    kind: Any  # the type without its Optional
    optional: bool
    text: str  # one or two sentences, with `backticks` around names and values

    @property
    def shape(self) -> Optional[type]:
        """The TypedDict that this is, or a list of, if it is one."""
        inner = get_args(self.kind)[0] if get_origin(self.kind) is list else self.kind
        return inner if is_typeddict(inner) else None


def about(shape: type) -> str:
    """Its docstring."""
    return inspect.cleandoc(shape.__doc__ or "")


def fields(shape: type) -> list[Field]:
    """In the order in which they stand, those of the base first. Raises ValueError for one that nobody described."""
    texts = _texts(shape)
    found = []
    for name, hint in get_type_hints(shape).items():
        optional = get_origin(hint) is Union and type(None) in get_args(hint)
        kind = next(each for each in get_args(hint) if each is not type(None)) if optional else hint
        if not texts.get(name):
            raise ValueError("%s.%s has no comment that says what it is" % (shape.__name__, name))
        found.append(Field(name, kind, optional, _sentences(texts[name], optional)))
    return sorted(found, key=lambda field: list(texts).index(field.name))


def _texts(shape: type) -> dict[str, str]:
    module = sys.modules[shape.__module__]
    source = inspect.getsource(module)
    (node,) = [
        each for each in ast.parse(source).body if isinstance(each, ast.ClassDef) and each.name == shape.__name__
    ]
    texts: dict[str, str] = {}
    for base in node.bases:
        above = getattr(module, base.id) if isinstance(base, ast.Name) else None
        if above is not None and is_typeddict(above):
            texts.update(_texts(above))
    comments = _comments(source)
    lines = source.splitlines()
    for part in node.body:
        if not isinstance(part, ast.AnnAssign) or not isinstance(part.target, ast.Name):
            continue
        words = [comments.get(part.end_lineno or part.lineno, "")]
        above_line = part.lineno - 1
        while lines[above_line - 1].lstrip().startswith("#"):
            words.insert(0, comments[above_line])
            above_line -= 1
        texts[part.target.id] = " ".join(word for word in words if word)
    return texts


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}
    return {line: text for line, text in comments.items() if not text.startswith("type: ignore")}


def _sentences(text: str, optional: bool) -> str:
    if optional and "null" not in text:
        text += "; null when unknown"
    first = text[:1].upper() + text[1:] if text[:1] != "`" else text
    return first if first.endswith((".", "...")) else first + "."
