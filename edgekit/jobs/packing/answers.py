"""The text of `predict` and `show`: the network's outputs into answers, for one card.

Only the head that the card names is written. A test compares the answers with edgekit's own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from edgekit.core.card import ModelCard, Postprocess
from edgekit.core.errors import BadInput
from edgekit.core.names import closest
from edgekit.core.runtime import Array
from edgekit.jobs.packing.pictures import pictures
from edgekit.tasks.decoders import is_user_decoder
from edgekit.tasks.heads import HEADS
from edgekit.tasks.registry import task_for
from edgekit.tasks.task import Fit

__all__ = ["DECODER", "Answers", "answers"]

# The name that a user's decoder gets beside the script; its own could hide a library's.
DECODER = "decoder.py"


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Parts of the script between the engine and what is printed.

    Attributes:
        usage: What IMAGE prints, for the script's first lines; empty where it takes none.
        functions: Lines of the script's functions.
        own_imports: Further imports, of what lies beside the script.
        constants: Lines at the top of the script.
        show: The name of what prints an answer; None where there is none.
    """

    usage: tuple[str, ...] = ()
    functions: list[str]
    own_imports: tuple[str, ...] = ()
    constants: list[str]
    show: str = "show"


def answers(card: ModelCard, golden: Mapping[str, Array], roles: list[str]) -> Answers:
    """Write what turns outputs into answers.

    Args:
        card: The model's.
        golden: Outputs of the reference on one input; tells which output the head reads.
        roles: Of the graphs.

    Raises:
        BadInput: No script can be written for the card's head, or it does not read the outputs.
    """
    if card.task == "classification":
        return _classification(card, _output(card, golden))
    if card.task == "segmentation":
        return _segmentation(card, _output(card, golden))
    if card.task == "detection":
        return _detection(card, golden)
    return _arrays(roles)


def _output(card: ModelCard, golden: Mapping[str, Array]) -> str:
    """The output that edgekit reads the answer off: found by asking it."""
    assert card.preprocess is not None, "the card's own check"
    task = task_for(card)
    size = card.preprocess.size
    fit = Fit(image=size, size=size, scale_x=1.0, scale_y=1.0, left=0.0, top=0.0)
    first = {name: array[:1] if array.ndim else array for name, array in golden.items()}
    task.postprocess(first, fit)  # what it cannot read, it refuses in words of its own
    readable = []
    for name, array in first.items():
        try:
            task.postprocess({name: array}, fit)
        except BadInput:
            continue
        readable.append(name)
    labels = len(card.labels)
    liked = [name for name in readable if labels and labels in first[name].shape]
    return (liked if len(readable) > 1 and liked else readable)[0]


def _classification(card: ModelCard, output: str) -> Answers:
    into = pictures(card, fit=False)
    assert card.postprocess is not None, "the card's own check"
    lines = [
        "def predict(run, image):",
        '    """Return the probability of every class, (C,) float32."""',
    ]
    read = f"run({{{_quoted(into.name)}: preprocess(image)}})[{_quoted(output)}].reshape(-1)"
    if card.postprocess.decode == "softmax":
        lines += [
            f"    logits = {read}.astype(np.float64)",
            "    powers = np.exp(logits - logits.max())",
            "    return (powers / powers.sum()).astype(np.float32)",
        ]
    else:
        lines.append(f"    return {read}.astype(np.float32)")
    show = [
        "def show(run, path):",
        "    probabilities = predict(run, guard.read_image(path))",
        "    for index in np.argsort(-probabilities)[:5]:",
        f'        print(f"{{path}}  {{probabilities[index]:.4f}}  {_label(card, "index")}")',
    ]
    return Answers(
        usage=("the best five classes",),
        functions=_joined(into.function, lines, show),
        constants=[*_labels(card), *into.constants],
    )


def _segmentation(card: ModelCard, output: str) -> Answers:
    into = pictures(card, fit=True)
    assert card.preprocess is not None, "the card's own check"
    described = card.outputs.get(output)
    nhwc = described is not None and described.layout == "NHWC"
    rows, columns = card.preprocess.size
    nearest = [
        "def nearest(count, scale, start, size, points):",
        '    """For each of `count` pixels of the image, its point of the network\'s output."""',
        "    covering = np.floor((np.arange(count) * scale + start) * (points / size) + 1e-6)",
        "    return np.clip(covering, 0, points - 1).astype(int)",
    ]
    lines = [
        "def predict(run, image):",
        '    """Return the class of every pixel, (H, W) uint8."""',
        "    pixels, (left, top), (scale_x, scale_y) = preprocess(image)",
        f"    scores = run({{{_quoted(into.name)}: pixels}})[{_quoted(output)}][0]",
        f"    best = scores.argmax(axis={2 if nhwc else 0}).astype(np.uint8)",
        "    height, width = image.shape[:2]",
        f"    rows = nearest(height, scale_y, top, {rows}, best.shape[0])",
        f"    columns = nearest(width, scale_x, left, {columns}, best.shape[1])",
        "    return best[rows][:, columns]",
    ]
    show = [
        "def show(run, path):",
        "    mask = predict(run, guard.read_image(path))",
        '    name = guard.new_name(path, ".mask.png")',
        "    if not cv2.imwrite(name, mask):",
        '        guard.stop(2, f"{name} cannot be written.")',
        "    for index, count in zip(*np.unique(mask, return_counts=True)):",
        f'        print(f"{{name}}  {{count / mask.size:.4f}}  {_label(card, "index")}")',
    ]
    return Answers(
        usage=(
            "the share of every class; writes IMAGE.mask.png here,",
            "whose levels are class indices",
        ),
        functions=_joined(into.function, nearest, lines, show),
        constants=[*_labels(card), *into.constants],
    )


def _detection(card: ModelCard, golden: Mapping[str, Array]) -> Answers:
    into = pictures(card, fit=True)
    rules = card.postprocess
    assert rules is not None, "the card's own check"
    assert card.preprocess is not None, "the card's own check"
    own: tuple[str, ...] = ()
    constants = [*_labels(card), *into.constants]
    if is_user_decoder(rules.decode):
        function = rules.decode.rpartition(":")[2]
        if not function.isidentifier():
            raise BadInput(f"{function!r} in the card's decoder is no function's name.")
        own = (f"from {DECODER.removesuffix('.py')} import {function}  # the model's own code",)
        rows = [f"boxes, scores = {function}(outputs, {tuple(card.preprocess.size)!r})"]
        chosen = [*_by_class(rules), *_suppressed(rules)]
    elif rules.decode in _HEADS:
        height, width = card.preprocess.size
        names = {"output": _quoted(_output(card, golden)), "width": width, "height": height}
        rows = [line.format(**names) for line in _HEADS[rules.decode]]
        head = HEADS[rules.decode]
        by_class = [_above(rules)] if head.chosen else _by_class(rules)
        chosen = [
            *by_class,
            *(_best(rules, chosen=head.chosen) if head.suppressed else _suppressed(rules)),
        ]
        if rules.decode == "yolox":
            constants += _yolox_cells(card.preprocess.size)
    else:
        raise BadInput(
            f"edgekit writes no script for the detection head {rules.decode!r}.",
            hint=closest(rules.decode, [*_HEADS, "file.py:function"]),
        )
    clip = rules.decode not in HEADS or not HEADS[rules.decode].fractions
    lines = [
        "def predict(run, image):",
        '    """Return boxes (N, 4) xyxy in pixels of the image, scores (N,), classes (N,)."""',
        "    pixels, shift, scale = preprocess(image)",
        f"    outputs = run({{{_quoted(into.name)}: pixels}})",
        *(f"    {line}" for line in [*rows, *chosen]),
        "    boxes = ((boxes - np.tile(shift, 2)) / np.tile(scale, 2)).astype(np.float32)",
        *(["    boxes = boxes.clip(0, np.tile(image.shape[1::-1], 2))"] if clip else []),
        "    return boxes.astype(np.float32), scores, classes",
    ]
    show = [
        "def show(run, path):",
        "    for box, score, index in zip(*predict(run, guard.read_image(path))):",
        '        corners = " ".join(f"{value:.1f}" for value in box)',
        f'        print(f"{{path}}  {{score:.4f}}  {_label(card, "index")}  {{corners}}")',
    ]
    return Answers(
        usage=("score, class, and the box's x1 y1 x2 y2 in pixels",),
        functions=_joined(into.function, lines, show),
        own_imports=own,
        constants=constants,
    )


_ROWS = "rows = outputs[{output}][0].astype(np.float32, copy=False)"
_CENTRES = "boxes = np.concatenate([centre - half, centre + half], axis=1)"
_FRACTIONS = (
    "sides = np.float32([{width}, {height}])",
    "centre, half = rows[:, :2] * sides, rows[:, 2:4] * sides / 2",
    _CENTRES,
)
_CHOSEN = "scores, classes = rows[:, 4], np.rint(rows[:, 5]).astype(int)"
# (outputs) to boxes (A, 4) in pixels of the input, and scores (A, C) or scores (A,) and classes
# (A,), as in edgekit.tasks.heads.
_HEADS = {
    "yolox": (
        _ROWS,
        "centre, half = (rows[:, :2] + CELLS) * STRIDES, np.exp(rows[:, 2:4]) * (STRIDES / 2)",
        _CENTRES,
        "scores = rows[:, 5:] * rows[:, 4:5]",
    ),
    "yolov5": (
        _ROWS,
        "centre, half = rows[:, :2], rows[:, 2:4] / 2",
        _CENTRES,
        "scores = rows[:, 5:] * rows[:, 4:5]",
    ),
    "yolov8": (
        f"{_ROWS}.T",
        "centre, half = rows[:, :2], rows[:, 2:4] / 2",
        _CENTRES,
        "scores = rows[:, 4:]",
    ),
    "end2end": (_ROWS, "boxes = rows[:, :4]", _CHOSEN),
    "rtdetr": (_ROWS, *_FRACTIONS, "scores = rows[:, 4:]"),
    "rtdetr-end2end": (_ROWS, *_FRACTIONS, _CHOSEN),
}


def _yolox_cells(size: tuple[int, int]) -> list[str]:
    # As in edgekit.tasks.heads.yolox.
    rows, columns = size
    return [
        "# The cell of every row of the output, strides 8, 16 and 32 one after the other.",
        f"GRIDS = [(s, *np.mgrid[: -(-{rows} // s), : -(-{columns} // s)]) for s in (8, 16, 32)]",
        "CELLS = np.concatenate([np.stack([x.ravel(), y.ravel()], 1) for _, y, x in GRIDS])",
        "STRIDES = np.concatenate([np.full((x.size, 1), s) for s, _, x in GRIDS])",
        "CELLS, STRIDES = CELLS.astype(np.float32), STRIDES.astype(np.float32)",
    ]


def _by_class(rules: Postprocess) -> list[str]:
    """Lines from scores (A, C) to scores above the threshold and their classes."""
    if rules.multi_label:
        return [
            f"found, classes = np.nonzero(scores > {rules.confidence!r})",
            "boxes, scores = boxes[found], scores[found, classes]",
        ]
    return [
        "classes = scores.argmax(axis=1)",
        "scores = scores[np.arange(len(scores)), classes]  # a box has its best class alone",
        _above(rules),
    ]


def _above(rules: Postprocess) -> str:
    kept = f"scores > {rules.confidence!r}"
    return f"boxes, scores, classes = (each[{kept}] for each in (boxes, scores, classes))"


def _best(rules: Postprocess, *, chosen: bool) -> list[str]:
    lines = [
        'kept = np.argsort(-scores, kind="stable")',
        "boxes, scores, classes = boxes[kept], scores[kept], classes[kept]",
    ]
    first = f"kept = slice({rules.max_detections})"
    if chosen and not rules.multi_label:
        lines.append("first = np.unique(boxes, axis=0, return_index=True)[1]  # a box once")
        first = f"kept = np.sort(first)[:{rules.max_detections}]"
    return [*lines, first, lines[1]]


def _suppressed(rules: Postprocess) -> list[str]:
    return [
        "sizes = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)",
        "kept = np.array(cv2.dnn.NMSBoxesBatched(",
        f"    sizes.tolist(), scores.tolist(), classes.tolist(), 0.0, {rules.iou!r}), int)",
        f'kept = kept[np.argsort(-scores[kept], kind="stable")][:{rules.max_detections}]',
        "boxes, scores, classes = boxes[kept], scores[kept], classes[kept]",
    ]


def _arrays(roles: list[str]) -> Answers:
    """A model of tensors: arrays in, arrays out."""
    if roles != ["main"]:
        return Answers(functions=[], constants=[], show="None")
    show = [
        "def show(run, path):",
        "    with np.load(path, allow_pickle=False) as inputs:",
        "        outputs = run(dict(inputs))",
        '    name = guard.new_name(path, ".outputs.npz")',
        "    np.savez(name, **outputs)",
        "    for output, array in outputs.items():",
        '        print(f"{name}  {output}  {array.dtype} {array.shape}")',
    ]
    return Answers(
        usage=("the inputs by name; writes ARRAYS.outputs.npz here",),
        functions=show,
        constants=[],
    )


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _labels(card: ModelCard) -> list[str]:
    return ['LABELS = guard.CARD["labels"]'] if card.labels else []


def _label(card: ModelCard, index: str) -> str:
    return f"{{LABELS[{index}]}}" if card.labels else f"{{{index}}}"


def _joined(*functions: list[str]) -> list[str]:
    lines: list[str] = []
    for function in functions:
        lines += [*(["", ""] if lines else []), *function]
    return lines
