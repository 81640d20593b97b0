"""The text of `preprocess`: an image into the network input, for one card.

Only what the card asks for is written. The arithmetic is that of edgekit.tasks.preprocess, number
for number; a test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.core.card import ModelCard, Preprocess
from edgekit.core.errors import BadInput
from edgekit.tasks.preprocess import image_input, preprocessor

__all__ = ["ImageScript", "pictures"]

_INTERPOLATIONS = {
    "nearest": "cv2.INTER_NEAREST",
    "bilinear": "cv2.INTER_LINEAR",
    "bicubic": "cv2.INTER_CUBIC",
    "area": "cv2.INTER_AREA",
}


@dataclass(frozen=True)
class ImageScript:
    """Parts of the script that turn an image into the network input.

    Attributes:
        name: Of the input.
        constants: Lines at the top of the script.
        function: Lines of `preprocess(image)`.
    """

    name: str
    constants: list[str]
    function: list[str]


def pictures(card: ModelCard, *, fit: bool) -> ImageScript:
    """Write `preprocess(image)` for a card.

    Args:
        card: With its inputs.
        fit: Whether it returns shift and scale too, for the way back to the image.

    Raises:
        BadInput: The card's inputs and its `preprocess` contradict each other.
    """
    found = image_input(card)
    if found is None or card.preprocess is None:
        raise BadInput("The bundle's card names no image input.", hint="Deploy the model again.")
    name, tensor = found
    if tensor.dtype == "float32":
        preprocessor(card)  # its own checks
    elif tensor.dtype != "uint8":
        raise BadInput(f"The image input {name!r} is {tensor.dtype}, which no script feeds.")
    rules = card.preprocess
    resize, shift, scale = _resize(rules, fit=fit)
    body = ['"""Lay (H, W, 3) uint8 BGR into the network input."""']
    if rules.colour == "GRAY":
        body.append("image = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)")
    body += resize
    constants, levels = _levels(rules, whole=tensor.dtype == "uint8")
    value = _laid(rules, levels, tensor.layout or "NCHW")
    if fit:
        body.append(f"pixels = {value}")
        value = f"pixels, ({shift[0]}, {shift[1]}), ({scale[0]}, {scale[1]})"
    body.append(f"return {value}")
    function = ["def preprocess(image):", *(f"    {line}" for line in body)]
    return ImageScript(name, constants, function)


def _resize(rules: Preprocess, *, fit: bool) -> tuple[list[str], tuple[str, str], tuple[str, str]]:
    """Lines that make `fitted` (h, w[, 3]) uint8, and the way back."""
    rows, columns = rules.size
    how = f"interpolation={_INTERPOLATIONS[rules.interpolation]}"
    size = "height, width = image.shape[:2]"
    if rules.resize == "stretch":
        lines = [f"fitted = cv2.resize(image, ({columns}, {rows}), {how})"]
        lines = [size, *lines] if fit else lines
        return lines, ("0", "0"), (f"{columns} / width", f"{rows} / height")
    if rules.resize == "letterbox":
        centred = rules.anchor == "center"
        whole = "round({0} * ratio)" if centred else "int({0} * ratio + 1e-6)"
        filled = f"({rows}, {columns})" if rules.colour == "GRAY" else f"({rows}, {columns}, 3)"
        lines = [
            size,
            f"ratio = min({rows} / height, {columns} / width)",
            f"h = min({rows}, max(1, {whole.format('height')}))",
            f"w = min({columns}, max(1, {whole.format('width')}))",
            f"y, x = ({rows} - h) // 2, ({columns} - w) // 2" if centred else "y, x = 0, 0",
            f"fitted = np.full({filled}, {rules.pad}, np.uint8)",
            f"fitted[y : y + h, x : x + w] = cv2.resize(image, (w, h), {how})",
        ]
        scale = ("w / width", "h / height") if centred else ("ratio", "ratio")
        return lines, ("x", "y"), scale
    short = ""
    if rules.resize_to is not None:
        short = f", {rules.resize_to} / min(height, width)"
    lines = [
        size,
        f"ratio = max({rows} / height, {columns} / width{short})",
        f"h, w = max({rows}, round(height * ratio)), max({columns}, round(width * ratio))",
        f"y, x = (h - {rows}) // 2, (w - {columns}) // 2",
        f"fitted = cv2.resize(image, (w, h), {how})[y : y + {rows}, x : x + {columns}]",
    ]
    return lines, ("-x", "-y"), ("w / width", "h / height")


def _levels(rules: Preprocess, *, whole: bool) -> tuple[list[str], str]:
    """Constants, and the expression that turns the pixels {0} into numbers."""
    channels = rules.channels
    mean, std = rules.mean[:channels], rules.std[:channels]
    if whole:
        return [], "{0}"
    plain = rules.scale == 1 and not any(mean) and all(one == 1 for one in std)
    if plain:
        return [], "{0}.astype(np.float32)"
    if len(set(mean)) == len(set(std)) == 1:
        text = _formula("np.arange(256)", rules.scale, (repr(mean[0]), repr(std[0])), rules)
        comment = "# A pixel has 256 levels; what each becomes."
        return [comment, f"TABLE = {text}.astype(np.float32)"], "TABLE[{0}]"
    text = _formula("np.arange(256)[:, None]", rules.scale, ("MEAN", "STD"), rules)
    constants = [
        "# A pixel has 256 levels; what each becomes, by channel.",
        f"MEAN, STD = {list(mean)!r}, {list(std)!r}",
        f"TABLE = {text}.astype(np.float32)",
    ]
    return constants, "TABLE[{0}, [0, 1, 2]]"


def _formula(levels: str, scale: float, names: tuple[str, str], rules: Preprocess) -> str:
    text = f"{levels} * {scale!r}" if scale != 1 else levels
    text = f"{text} - {names[0]}" if any(rules.mean[: rules.channels]) else text
    if any(one != 1 for one in rules.std[: rules.channels]):
        text = f"({text}) / {names[1]}"
    return f"({text})"


def _laid(rules: Preprocess, levels: str, layout: str) -> str:
    pixels = levels.format("fitted[..., ::-1]" if rules.colour == "RGB" else "fitted")
    if rules.colour == "GRAY":
        return f"{pixels}[None, None]" if layout == "NCHW" else f"{pixels}[None, ..., None]"
    if layout == "NHWC":
        return f"{pixels}[None]"
    return f"np.ascontiguousarray({pixels}.transpose(2, 0, 1)[None])"
