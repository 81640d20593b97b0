"""The text of alignment.py, which lies beside run.py where a graph ends in final detections.

The rules are those of edgekit.benchmarks.alignment, pair for pair; a test compares the two.
"""

from __future__ import annotations

__all__ = ["ALIGNMENT"]

ALIGNMENT = '''\
"""Lists of detections put row against row before they are compared, as for the certificate.

The order of a list and its tail are no property of the model: where two scores are nearly equal,
rounding swaps two rows, and as they stand the lists differ by whole boxes.
"""

import numpy as np

ENOUGH = 10  # with fewer confident rows in all pictures, the reference's best ones count


def align(pictures, confidence, side):
    """Pair the rows of the two sides that show the same object.

    pictures: of every picture the reference's rows and the rows found, (K, 6) float32: x1, y1, x2,
    y2 in pixels of the network's input, score, class; rows with a score of 0 are unused.
    confidence: a pair counts where one of its scores reaches it.
    side: the longer side of the network's input; boxes become fractions of it.
    Returns two arrays (R, 6). Rows without a partner are left out, as long as half of each side's
    confident rows have one; else the two do not see the same objects, and zeros stand for the
    partner.
    """
    pictures = [[rows[rows[:, 4] > 0] for rows in picture] for picture in pictures]
    best = np.sort(np.concatenate([truth[:, 4] for truth, _ in pictures]))[::-1][:ENOUGH]
    if len(best):
        confidence = min(confidence, float(best[-1]))
    pairs, alone, missed, sure = [], [], np.zeros(2), np.zeros(2)
    for picture in pictures:
        partners = match(*picture)
        confident = [rows[:, 4] >= confidence for rows in picture]
        counts = confident[0][partners[:, 0]] | confident[1][partners[:, 1]]
        truth, found = (np.column_stack([rows[:, :4] / side, rows[:, 4]]) for rows in picture)
        pairs.append((truth[partners[counts, 0]], found[partners[counts, 1]]))
        lost, added = (
            np.setdiff1d(np.flatnonzero(confident[one]), partners[:, one]) for one in (0, 1)
        )
        alone += [(truth[lost], 0 * truth[lost]), (0 * found[added], found[added])]
        missed += len(lost), len(added)
        sure += confident[0].sum(), confident[1].sum()
    if (2 * missed > sure).any():
        pairs += alone
    return [np.concatenate(rows) for rows in zip(*pairs)]


def match(truth, found):
    """Return (M, 2): positions in `truth` and in `found` of what shows the same object.

    The rows found choose, best score first, each the free one of its class that it overlaps most,
    if their intersection is half of their union or more.
    """
    a, b = truth[:, None, :4].astype(np.float64), found[None, :, :4].astype(np.float64)
    shared = area(np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:]))
    union = area(a[..., :2], a[..., 2:]) + area(b[..., :2], b[..., 2:]) - shared
    overlap = shared / np.maximum(union, 1e-300)
    overlap[np.rint(truth[:, None, 5]) != np.rint(found[None, :, 5])] = 0
    pairs = []
    for place in np.argsort(-found[:, 4], kind="stable") if len(truth) else ():
        best = int(np.argmax(overlap[:, place]))
        if overlap[best, place] >= 0.5:
            pairs.append((best, place))
            overlap[best] = 0  # taken
    return np.array(pairs, int).reshape(-1, 2)


def area(low, high):
    return (high - low).clip(0).prod(-1)
'''
