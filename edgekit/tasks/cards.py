"""The card as a user writes it: a YAML file beside the model."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Any

import msgspec

from edgekit.core.card import (
    ModelCard,
    Postprocess,
    Preprocess,
    card_from_dict,
    card_to_dict,
)
from edgekit.core.errors import BadInput
from edgekit.core.json_text import parse_json
from edgekit.core.names import closest
from edgekit.core.opening import TEXT_BYTES, read_placed
from edgekit.core.reading import as_text
from edgekit.core.texts import shown, whole_number
from edgekit.core.yaml_text import dump_yaml, read_yaml
from edgekit.tasks.tables import table

__all__ = [
    "check_labels",
    "dump_card",
    "find_card",
    "override",
    "read_card",
    "read_labels",
]


def read_card(path: Path) -> ModelCard:
    """Read a card; a file of labels is looked up beside it.

    Args:
        path: The YAML file.

    Raises:
        BadInput: Names the file and the line, the key or the labels that are wrong.
    """
    content = read_yaml(path)
    if isinstance(content, dict) and "labels" in content:
        labels = content["labels"]
        if isinstance(labels, str):
            content = {**content, "labels": list(read_labels(labels, path))}
        elif isinstance(labels, list):
            for index, label in enumerate(labels):
                if not isinstance(label, str):
                    raise BadInput(
                        f"{path} is not a valid card: `labels` entry {index} is "
                        f"{type(label).__name__} {shown(label)}, not text.",
                        hint="Quote labels that YAML reads as numbers or as true and false.",
                    )
    return card_from_dict(content, str(path))


def find_card(model: Path) -> Path | None:
    """Return the card beside a model: NAME.card.yaml, or card.yaml in a folder; None without."""
    path = model / "card.yaml" if model.is_dir() else model.with_name(f"{model.stem}.card.yaml")
    return path if path.is_file() else None


def dump_card(card: ModelCard) -> str:
    """Return YAML that `read_card` reads back to an equal card."""
    # Plain JSON types only: the tuples of a card would become tags that no safe reader takes.
    text = msgspec.json.encode(card_to_dict(card)).decode()
    return dump_yaml(
        parse_json(text, "the card"),
        default_flow_style=None,
        width=100,
        # PyYAML writes U+0085 and its like bare, and reads them back as a space.
        allow_unicode=text.isprintable(),
    )


def override(card: ModelCard, **options: Any) -> ModelCard:
    """Return the card with options put over it.

    Args:
        card: The card as read.
        options: Keys of the card, of `preprocess` or of `postprocess`, to values as YAML would
            give them; None means that the option was not given.

    Raises:
        BadInput: No such key, or a value that does not fit.
    """
    content = card_to_dict(card)
    sections = {
        "preprocess": set(Preprocess.__struct_fields__),
        "postprocess": set(Postprocess.__struct_fields__),
    }
    for key, value in options.items():
        if value is None:
            continue
        if key in ModelCard.__struct_fields__:
            content[key] = value
            continue
        section = next((name for name, fields in sections.items() if key in fields), None)
        if section is None:
            known = {*ModelCard.__struct_fields__, *sections["preprocess"]}
            hint = closest(key, sorted(known | sections["postprocess"]))
            raise BadInput(f"A card has no key {key!r} to override.", hint=hint)
        content[section] = {**content.get(section, {}), key: value}
    return card_from_dict(msgspec.to_builtins(content), "The card with the options over it")


def check_labels(card: ModelCard, classes: int, where: str = "The card") -> None:
    """Refuse a card whose labels are not as many as the network's classes.

    Args:
        card: A card without labels passes.
        classes: What the network answers.
        where: The card's file, for the message.

    Raises:
        BadInput: Names the file, the key and both numbers.
    """
    if card.labels and len(card.labels) != classes:
        raise BadInput(
            f"{where} names {len(card.labels)} classes under `labels`, but the network answers "
            f"{classes}.",
            hint="Give one label a class, in class order; leave `labels` out if you have none.",
        )


def read_labels(name: str, card: Path) -> tuple[str, ...]:
    """Read a file of class names.

    Args:
        name: Relative to the card's folder, in it or beside it: .names or .txt with one name a line
            in class order, or .csv with the columns `class_index` and `name` in any order.
        card: The file that names it.

    Raises:
        BadInput: The file is missing, elsewhere or of another kind, an index is missing or there
            twice, or a line is empty.
    """
    suffix = PurePath(name).suffix.lower()
    if suffix not in (".names", ".txt", ".csv"):
        raise BadInput(
            f"{card}: `labels` names {shown(name)}, and the ending {shown(suffix)} is not known.",
            hint="Use .names or .txt with one name a line, or .csv with class_index and name.",
        )
    hint = "The key `labels` is a list, or a file in the card's folder or in one beside it."
    path = card.parent / name
    content = read_placed(
        name, card.parent, f"{card}: `labels`", TEXT_BYTES, beside=True, hint=hint
    )
    text = as_text(content, path, hint)
    return _labels_from_csv(text, path) if suffix == ".csv" else _labels_from_lines(text, path)


def _labels_from_lines(text: str, path: Path) -> tuple[str, ...]:
    lines = [line.strip() for line in text.rstrip().splitlines()]
    if not lines:
        raise BadInput(f"The labels file {path} is empty.")
    for number, line in enumerate(lines, start=1):
        if not line:
            raise BadInput(f"The labels file {path} has an empty line {number}.")
    return tuple(lines)


def _labels_from_csv(text: str, path: Path) -> tuple[str, ...]:
    _, rows = table(text, path, ("class_index", "name"))
    names: dict[int, str] = {}
    for where, row in rows:
        index = whole_number(row["class_index"])
        if index is None:
            said = shown(row["class_index"])
            raise BadInput(f"{where}: class_index {said} is not a whole number from 0.")
        if index in names:
            raise BadInput(f"{where}: class_index {index} is there twice.")
        names[index] = row["name"]
    gaps = sorted(set(range(len(names))) - set(names))
    if gaps or not names:
        missing_index = gaps[0] if gaps else 0
        raise BadInput(
            f"The labels file {path} has no class_index {missing_index}.",
            hint="Indices count from 0 without a gap.",
        )
    return tuple(names[index] for index in range(len(names)))
