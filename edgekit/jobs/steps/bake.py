"""Pre- and postprocessing baked into an exported graph, and checked against the plain one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from edgekit.core.card import ModelCard
from edgekit.core.errors import BadInput
from edgekit.core.parity import TensorParity
from edgekit.core.progress import Progress
from edgekit.core.runtime import Feeds
from edgekit.core.trials import trials
from edgekit.export.bake import bake_graph
from edgekit.jobs.process.aligned import aligned_runs
from edgekit.jobs.process.child import run_in_child
from edgekit.jobs.process.plain import open_plain, run_plain
from edgekit.jobs.process.sequences import Outputs, compare
from edgekit.tasks.baked import baked_card
from edgekit.tasks.baked_reference import open_baked
from edgekit.tasks.cards import find_card
from edgekit.tasks.preprocess import image_input

__all__ = ["bake_main", "baked_parity", "refuse_unbakeable"]


def refuse_unbakeable(card: ModelCard, what: frozenset[str], output: Path) -> None:
    """Refuse before any work is done what cannot be baked.

    Args:
        card: As the user gave it; before an export it may name no inputs.
        what: Of edgekit.tasks.baked.BAKES.
        output: Where the baked graph is to lie.

    Raises:
        BadInput: See edgekit.tasks.baked.baked_card; or the plain model's card lies beside
            `output`, where it would be read instead of the baked one inside.
    """
    beside = find_card(output) if what else None
    if beside is not None:
        raise BadInput(
            f"{beside} describes the plain model and would be read instead of the baked graph's "
            "own card.",
            hint="Give the baked graph another name with -o.",
        )
    known = card.preprocess is None or image_input(card) is not None
    baked_card(card, what if known else what - {"preprocess"})


def bake_main(
    graphs: Mapping[str, Path], card: ModelCard, what: frozenset[str], output: Path
) -> None:
    """Bake into the graph "main".

    Args:
        graphs: Role to file of one variant.
        card: The plain model's.
        what: Of edgekit.tasks.baked.BAKES.
        output: The baked file; it may take the plain one's place.

    Raises:
        BadInput: The model has several graphs, or cannot be baked.
    """
    if list(graphs) != ["main"]:
        raise BadInput(
            f"Baking takes a model of one graph, and this one has {', '.join(graphs)}.",
            hint="Leave out --bake.",
        )
    bake_graph(graphs["main"], output, card, what)


def baked_parity(
    plain: Path,
    baked: Path,
    card: ModelCard,
    what: frozenset[str],
    feeds: Sequence[Feeds],
    *,
    seed: int,
    progress: Progress,
) -> dict[str, tuple[tuple[int, ...], TensorParity]]:
    """Compare a baked graph with the plain one and numpy around it, batches of several included.

    Args:
        plain: The graph before.
        baked: The graph after.
        card: The plain model's.
        what: What was baked.
        feeds: Inputs of the baked graph, a batch of one each.
        seed: Of inputs that are generated.
        progress: Receives what is being done.

    Returns:
        For each output its shape on the first input, and how far it is from the reference.

    Raises:
        Unavailable: ONNX Runtime is not installed.
    """
    wanted = trials(baked_card(card, what).inputs, feeds, seed)
    cases = [trial.draws[0]() for trial in wanted]
    got = [outputs for _, outputs in run_plain({"main": baked}, {"main": cases})["main"]]
    expected: list[Outputs] = run_in_child(
        _reference, plain, card, what, cases, what="the plain graph", progress=progress
    )
    one, other = ({"main": [[call] for call in calls]} for calls in (expected, got))
    figures = compare(*aligned_runs(one, other, baked_card(card, what)))
    return {name: (expected[0][name].shape, figure) for (_, name), figure in figures.items()}


def _reference(
    plain: Path, card: ModelCard, what: frozenset[str], cases: Sequence[Feeds]
) -> list[Outputs]:
    with open_plain(plain) as session:
        baked = open_baked(lambda: {"main": session}, card, what)["main"]
        return [baked.run(case) for case in cases]
