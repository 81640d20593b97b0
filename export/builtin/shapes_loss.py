"""The loss of `edgekit:shapes`: which anchor answers for which object, and how well."""

from __future__ import annotations

from typing import Any

from edgekit.export.builtin.shapes_network import STRIDES

__all__ = ["detection_loss"]

# T. Feng et al., "TOOD: Task-aligned One-stage Object Detection", arXiv:2108.07755: an anchor suits
# an object by score^alpha * IoU^beta, and the best so many are its positives.
_ALPHA, _BETA, _TOP = 0.5, 6.0, 10
_BOX_WEIGHT = 5.0
_EPSILON = 1e-7


def detection_loss(maps: Any, boxes: Any, classes: Any) -> Any:
    """Return the loss of a batch.

    Binary cross-entropy of the scores against the alignment of each positive anchor, plus the
    complete IoU loss (Z. Zheng et al., arXiv:1911.08287) of its box, both over the sum of
    alignments.

    Args:
        maps: What the network returns in training mode.
        boxes: (N, M, 4) float32 xyxy in pixels, padded with zeros.
        classes: (N, M) int64, -1 where padded.

    Returns:
        A scalar tensor.
    """
    import torch
    from torch.nn import functional

    logits = torch.cat([scores.flatten(2) for scores, _ in maps], 2).transpose(1, 2)
    points, strides, predicted = _predicted(maps)
    with torch.no_grad():
        owner, target = _assign(
            logits.sigmoid(), predicted * strides, points * strides, boxes, classes
        )
        weight = target.sum(2)
        total = weight.sum().clamp(min=1)
    score_loss = functional.binary_cross_entropy_with_logits(logits, target, reduction="sum")
    chosen = weight > 0
    wanted = boxes.gather(1, owner[..., None].expand(-1, -1, 4)) / strides
    overlap = _complete_iou(predicted[chosen], wanted[chosen])
    box_loss = ((1 - overlap) * weight[chosen]).sum()
    return (score_loss + _BOX_WEIGHT * box_loss) / total


def _predicted(maps: Any) -> tuple[Any, Any, Any]:
    """Return the anchors' points (A, 2) and boxes (N, A, 4) xyxy in strides, and strides (A, 1)."""
    import torch

    points, strides, boxes = [], [], []
    for (_, edges), stride in zip(maps, STRIDES, strict=True):
        height, width = edges.shape[-2:]
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        centre = torch.stack([x, y], -1).reshape(-1, 2) + 0.5
        left_top, right_bottom = edges.flatten(2).transpose(1, 2).chunk(2, 2)
        boxes.append(torch.cat([centre - left_top, centre + right_bottom], 2))
        points.append(centre)
        strides.append(torch.full((len(centre), 1), float(stride)))
    return torch.cat(points), torch.cat(strides), torch.cat(boxes, 1)


def _assign(scores: Any, predicted: Any, points: Any, boxes: Any, classes: Any) -> tuple[Any, Any]:
    """Choose the object (N, A) that each anchor answers for, and its target (N, A, C)."""
    import torch

    real = classes >= 0
    # An object narrower than a cell may hold no anchor: it is given those of one cell around it.
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2
    half = (boxes[..., 2:] - boxes[..., :2]) / 2
    reach = half[:, :, None].clamp(min=STRIDES[0] * 0.75)
    inside = ((points - centre[:, :, None]).abs() < reach).all(3) & real[..., None]
    overlap = _pairwise_iou(boxes, predicted).clamp(min=0) * inside
    index = classes.clamp(min=0)[..., None].expand(-1, -1, scores.shape[1])
    own_score = scores.transpose(1, 2).gather(1, index)
    alignment = own_score**_ALPHA * overlap**_BETA * inside
    best = alignment.topk(_TOP, dim=2)
    positive = torch.zeros_like(inside)
    positive.scatter_(2, best.indices, best.values > _EPSILON**2)
    # An anchor that several objects want goes to the one that it overlaps most.
    owner = (overlap * positive).argmax(1)
    positive &= torch.zeros_like(positive).scatter_(1, owner[:, None], True)
    # The best anchor of an object aims at its IoU, the others in proportion.
    alignment = alignment * positive
    top_alignment = alignment.amax(2, keepdim=True).clamp(min=_EPSILON)
    top_overlap = (overlap * positive).amax(2, keepdim=True)
    value = (alignment / top_alignment * top_overlap).amax(1)
    label = classes.clamp(min=0).gather(1, owner)
    target = torch.zeros_like(scores).scatter_(2, label[..., None], value[..., None])
    return owner, target


def _pairwise_iou(first: Any, second: Any) -> Any:
    """IoU of (N, M, 4) with (N, A, 4) xyxy: (N, M, A)."""
    import torch

    a, b = first[:, :, None], second[:, None]
    size = torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])
    common = size.clamp(min=0).prod(3)
    return common / (_area(a) + _area(b) - common + _EPSILON)


def _area(boxes: Any) -> Any:
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)


def _complete_iou(first: Any, second: Any) -> Any:
    """CIoU of (K, 4) with (K, 4) xyxy, (K,)."""
    import torch

    size = torch.minimum(first[:, 2:], second[:, 2:]) - torch.maximum(first[:, :2], second[:, :2])
    common = size.clamp(min=0).prod(1)
    overlap = common / (_area(first) + _area(second) - common + _EPSILON)
    outer = torch.maximum(first[:, 2:], second[:, 2:]) - torch.minimum(first[:, :2], second[:, :2])
    apart = (first[:, :2] + first[:, 2:] - second[:, :2] - second[:, 2:]).square().sum(1) / 4
    extent = outer.square().sum(1) + _EPSILON
    (w1, h1), (w2, h2) = (
        (each[:, 2:] - each[:, :2]).clamp(min=_EPSILON).unbind(1) for each in (first, second)
    )
    ratio = (4 / torch.pi**2) * (torch.atan(w2 / h2) - torch.atan(w1 / h1)).square()
    with torch.no_grad():
        share = ratio / (1 - overlap + ratio + _EPSILON)
    return overlap - apart / extent - share * ratio
