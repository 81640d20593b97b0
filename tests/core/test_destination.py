"""What the user named to be written: what is refused, and that nothing is lost."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from edgekit.core.destination import (
    CSV,
    FOLDER,
    GRAPH,
    JSON,
    LINES,
    MARKDOWN,
    MARKER,
    PAGE,
    VIDEO,
    Destination,
)
from edgekit.core.errors import BadInput, Unwritable
from edgekit.core.files import aside_of, write_bytes


def everything(folder: Path) -> dict[str, bytes | str | None]:
    """All that lies below a folder."""
    return {
        str(path.relative_to(folder)): str(path.readlink())
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else None
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def untouched(tmp_path):
    """Notes what lies in tmp_path when called; at the end it must lie there still, unchanged."""
    noted = []
    yield lambda: noted.append(everything(tmp_path))
    assert all(everything(tmp_path) == before for before in noted)


def made(path: Path, *names: str, force: bool = False) -> Path:
    """A folder that edgekit wrote."""
    with Destination(path, FOLDER, force=force).writing() as folder:
        for name in names or ("a", "sub/b"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(name)
    return path


def test_a_folder_of_ours_is_replaced_with_force_and_not_without(tmp_path):
    folder = made(tmp_path / "out")
    with pytest.raises(BadInput, match="--force"):
        Destination(folder, FOLDER)
    made(folder, "c", force=True)
    assert {path.name for path in folder.iterdir()} == {"c", MARKER}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_empty_folder_and_what_programs_leave_behind_are_nobodys(tmp_path):
    (tmp_path / "empty" / "deeper").mkdir(parents=True)
    made(tmp_path / "empty", force=True)
    folder = made(tmp_path / "out")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "run.pyc").write_text("")
    (folder / ".DS_Store").write_text("")
    made(folder, force=True)


def test_a_strangers_folder_stays_and_its_files_are_named(tmp_path, untouched):
    folder = tmp_path / "project"
    (folder / "src").mkdir(parents=True)
    for name in ("a.py", "b.py", "c.py", "src/d.py"):
        (folder / name).write_text("mine")
    untouched()
    for force in (False, True):
        with pytest.raises(BadInput, match=r"4 files .*a\.py, b\.py, c\.py, …"):
            Destination(folder, FOLDER, force=force)


@pytest.mark.parametrize(
    "change",
    ["added", "among litter", "named as litter", "edited", "same size", "linked", "forged"],
)
def test_files_of_the_users_in_a_folder_of_ours_stay(tmp_path, untouched, change):
    folder = made(tmp_path / "out")
    if change == "added":
        (folder / "sub" / "notes.txt").write_text("mine")
    elif change == "among litter":
        (folder / "__pycache__").mkdir()
        (folder / "__pycache__" / "thesis.tex").write_text("mine")
    elif change == "named as litter":
        (folder / ".DS_Store").mkdir()
        (folder / ".DS_Store" / "thesis.tex").write_text("mine")
    elif change == "edited":
        (folder / "a").write_text("a longer text")
    elif change == "same size":
        (folder / "a").write_text("z")
    elif change == "linked":
        (folder / "sub" / "b").unlink()
        (folder / "sub" / "b").symlink_to(folder / "a")
    else:
        # A marker copied into a folder of another's: it lists nothing that lies there.
        marker = (folder / MARKER).read_bytes()
        folder = tmp_path / "other"
        folder.mkdir()
        (folder / MARKER).write_bytes(marker)
        (folder / "thesis.tex").write_text("mine")
    untouched()
    with pytest.raises(BadInput, match="1 file in it"):
        Destination(folder, FOLDER, force=True)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no named pipes")
def test_a_pipe_under_the_name_of_a_list_keeps_nobody_waiting(tmp_path):
    for name in (MARKER, "manifest.json"):
        folder = tmp_path / name.strip(".")
        folder.mkdir()
        os.mkfifo(folder / name)
        with pytest.raises(BadInput, match=name):
            Destination(folder, FOLDER, force=True)
        Destination(folder / "x.onnx", GRAPH)


@pytest.mark.parametrize("name", ["manifest.json", "pack.json"])
def test_a_folder_with_a_list_of_its_own_is_known_by_it(tmp_path, name):
    folder = made(tmp_path / "out")
    # As an earlier edgekit wrote it: no marker, the files in its own document.
    files = json.loads((folder / MARKER).read_text())["files"]
    (folder / MARKER).unlink()
    schema = {"manifest.json": "edgekit.bundle/1", "pack.json": "edgekit.pack/1"}[name]
    (folder / name).write_text(json.dumps({"schema": schema, "more": 1, "files": files}))
    made(folder, "c", force=True)
    assert (folder / "c").exists()
    (folder / name).write_text(json.dumps({"schema": "something.else/1", "files": files}))
    with pytest.raises(BadInput, match=name):
        Destination(folder, FOLDER, force=True)


def places(tmp_path: Path) -> dict[str, Path]:
    """Folders that matter to somebody, all of them empty but for what makes them so."""
    home, here = tmp_path / "home", tmp_path / "work" / "project"
    home.mkdir()
    here.mkdir(parents=True)
    repository = tmp_path / "repository"
    (repository / ".git").mkdir(parents=True)
    worktree = tmp_path / "worktree"
    worktree.mkdir()
    (worktree / ".git").write_text("gitdir: elsewhere")
    link = tmp_path / "link"
    link.symlink_to(made(tmp_path / "ours"))
    return {
        ".": Path(),
        "./.": Path("./."),
        "..": Path(".."),
        "by name": Path("../project"),
        "absolute": here,
        "parent": here.parent,
        "root": Path("/"),
        "home": home,
        "repository": repository,
        "worktree": worktree,
        "link": link,
        "dangling": tmp_path / "dangling",
        "dots": Path("../../ours/sub/.."),
        "linked": tmp_path / "linked" / "project",
    }


def test_places_of_importance_are_refused_before_and_after_force(tmp_path, monkeypatch, untouched):
    found = places(tmp_path)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "linked").symlink_to(tmp_path / "work")
    monkeypatch.setenv("HOME", str(found["home"]))
    monkeypatch.chdir(found["absolute"])
    untouched()
    for name, path in found.items():
        for force in (False, True):
            with pytest.raises(BadInput):
                Destination(path, FOLDER, force=force)
                pytest.fail(name)
            with pytest.raises(BadInput):
                Destination(path, GRAPH, force=force)
                pytest.fail(f"{name} as a file")


@pytest.mark.parametrize("again", [False, True])
def test_a_mount_point_is_refused_also_one_of_the_same_disk(tmp_path, mounted, again):
    (tmp_path / "source").mkdir()
    what = ["--bind", str(tmp_path / "source")] if again else ["-t", "tmpfs", "tmpfs"]
    folder = mounted(tmp_path / "a mount", *what)
    with pytest.raises(BadInput, match="mount point"):
        Destination(folder, FOLDER, force=True)
    made(folder / "inside", force=True)


def test_a_file_replaces_a_regular_file_with_force_and_nothing_else(tmp_path):
    old = tmp_path / "old.onnx"
    old.write_text("old")
    with pytest.raises(BadInput, match="--force"):
        Destination(old, GRAPH)
    Destination(old, GRAPH, force=True).write(b"new")
    assert old.read_text() == "new"
    link, dangling, pipe = (tmp_path / f"{name}.onnx" for name in ("link", "dangling", "pipe"))
    link.symlink_to(old)
    dangling.symlink_to(tmp_path / "nowhere")
    os.mkfifo(pipe)
    (tmp_path / "folder.onnx").mkdir()
    before = sorted(tmp_path.iterdir())
    for path in (link, dangling, pipe, tmp_path / "folder.onnx", Path("/dev/null")):
        for force in (False, True):
            with pytest.raises(BadInput):
                Destination(path, GRAPH, force=force)
    assert old.read_text() == "new"
    assert sorted(tmp_path.iterdir()) == before
    assert not Path("/dev/null").is_file()


def test_a_growing_file_leaves_the_other_name_of_the_old_one_alone(tmp_path):
    old, other = tmp_path / "old.jsonl", tmp_path / "other.jsonl"
    old.write_text("old")
    other.hardlink_to(old)
    with Destination(old, LINES, force=True).create() as file:
        file.write(b"new")
    assert (old.read_text(), other.read_text()) == ("new", "old")


def test_what_came_into_the_place_meanwhile_stays(tmp_path):
    path, folder = tmp_path / "a.json", tmp_path / "out"
    place = Destination(path, JSON)
    path.write_text("mine")
    with pytest.raises(BadInput, match="exists already"):
        place.write(b"{}")
    assert path.read_text() == "mine"
    later = Destination(folder, FOLDER, force=True)
    with pytest.raises(BadInput, match="notes"), later.writing() as temporary:
        (temporary / "a").write_text("1")
        folder.mkdir()
        (folder / "notes").write_text("mine")
    assert [one.name for one in folder.iterdir()] == ["notes"]
    assert {one.name for one in tmp_path.iterdir()} == {"a.json", "out"}


@pytest.mark.parametrize("how", ["path", "dots", "symlink", "hard link", "case"])
def test_the_output_is_never_an_input(tmp_path, untouched, how):
    model, other = tmp_path / "m.onnx", tmp_path / "o.onnx"
    model.write_text("weights")
    if how == "path":
        given = model
    elif how == "dots":
        given = tmp_path / "sub" / ".." / "m.onnx"
        (tmp_path / "sub").mkdir()
    elif how == "symlink":
        given, linked = model, model.rename(tmp_path / "real.onnx")
        given.symlink_to(linked)
    elif how == "hard link":
        other.hardlink_to(model)
        given = other
    else:
        given = tmp_path / "M.ONNX"
        if not given.exists():
            pytest.skip("this disk tells capitals from small letters")
    untouched()
    for path, read in ((given, model), (model, given)):
        with pytest.raises(BadInput):
            Destination(path, GRAPH, force=True, inputs=[Path("missing"), read])


def test_an_output_neither_holds_nor_lies_in_what_is_read(tmp_path, untouched):
    data = made(tmp_path / "out" / "data")
    (tmp_path / "link").symlink_to(data)
    untouched()
    for read in (data, tmp_path / "link", data / "a"):
        for path in (data, tmp_path / "out"):
            with pytest.raises(BadInput):
                Destination(path, FOLDER, force=True, inputs=[read])
    for read in (data, tmp_path / "link"):
        for path, form in ((data / "new", FOLDER), (data / "sub" / "m.onnx", GRAPH)):
            with pytest.raises(BadInput, match="lies in"):
                Destination(path, form, inputs=[read])


def test_what_links_in_a_folder_that_is_read_lead_to_is_an_input(tmp_path, untouched):
    # A folder of links to the images of a data set, and -o that data set with --force.
    images, links = made(tmp_path / "set"), tmp_path / "links" / "deeper"
    (tmp_path / "v.mp4").write_text("frames")
    links.mkdir(parents=True)
    (links / "a").symlink_to(images / "a")
    (links / "v.mp4").symlink_to(tmp_path / "v.mp4")
    (links / "nowhere").symlink_to(tmp_path / "gone")
    untouched()
    for path, form in ((images, FOLDER), (tmp_path / "v.mp4", VIDEO)):
        with pytest.raises(BadInput, match="leads to"):
            Destination(path, form, force=True, inputs=[links.parent])
    Destination(tmp_path / "new", FOLDER, force=True, inputs=[links.parent])


def test_what_a_list_names_in_another_folder_is_an_input(tmp_path, untouched):
    # labels.csv of one data set may name the images of another: deploy --data ONE -o OTHER --force.
    images = made(tmp_path / "set")
    untouched()
    place = Destination(images, FOLDER, force=True)
    for name in ("a", "sub/b"):
        with pytest.raises(BadInput, match="read here"):
            place.reads([images / name])
    place.reads([tmp_path / "other" / "a"])


def test_nothing_is_written_into_a_sealed_bundle(tmp_path, untouched):
    bundle, site = tmp_path / "b", tmp_path / "site"
    for folder, schema in ((bundle, "edgekit.bundle/1"), (site, "a web page's own")):
        folder.mkdir()
        (folder / "manifest.json").write_text(json.dumps({"schema": schema, "files": {}}))
    untouched()
    for path, form in ((bundle / "r.html", PAGE), (bundle / "sub" / "out", FOLDER)):
        with pytest.raises(BadInput, match="sealed"):
            Destination(path, form)
    Destination(site / "r.html", PAGE)


@pytest.mark.parametrize("name", ["manifest.json", "pack.json"])
def test_nothing_is_added_to_what_is_complete(tmp_path, untouched, name):
    # `bench --resume -o BUNDLE` broke the bundle: its list and its seal no longer held.
    schema = {"manifest.json": "edgekit.bundle/1", "pack.json": "edgekit.pack/1"}[name]
    (tmp_path / name).write_text(json.dumps({"schema": schema, "files": {}}))
    untouched()
    with pytest.raises(BadInput, match="complete"):
        Destination(tmp_path, FOLDER, keep=True)


@pytest.mark.parametrize(
    ("form", "right", "wrong"),
    [
        (GRAPH, "m.onnx m.ONNX m", "m.tflite m.engine m.xml m.pt m.pt2 m.json m.v2 m.onnx.gz"),
        (PAGE, "r.html r.htm r", "r.pdf r.json r.md"),
        (JSON, "s.json s", "s.csv s.yaml s.jsonl"),
        (LINES, "d.jsonl d.ndjson d", "d.json d.csv"),
        (CSV, "t.csv t.txt t", "t.xlsx t.json t.md"),
        (MARKDOWN, "t.md t.markdown t.txt t", "t.csv t.html"),
        (VIDEO, "v.mp4 v.MKV", "v v.avi v.txt v.gif"),
        (FOLDER, "b b.bundle b.v2 b-1.5", "b.onnx b.zip b.tar.gz b.engine b.JSON b.mlpackage"),
        (FOLDER, "b.test", "b.onnx.data b.pte b.GGUF b.parquet"),
    ],
)
def test_a_suffix_of_another_form_is_refused(tmp_path, form, right, wrong):
    for name in right.split():
        Destination(tmp_path / name, form)
    for name in wrong.split():
        with pytest.raises(BadInput, match="ends in"):
            Destination(tmp_path / name, form, force=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("form", "given", "instead"),
    [
        (GRAPH, "x.onnx.data", "x.onnx"),
        (GRAPH, "x.v2", "x.v2.onnx"),
        (VIDEO, "x.avi", "x.mp4"),
        (VIDEO, "x", "x.mp4"),
        (FOLDER, "x.onnx.gz", "x"),
    ],
)
def test_the_path_offered_instead_is_taken_and_in_the_same_place(tmp_path, form, given, instead):
    with pytest.raises(BadInput) as caught:
        Destination(tmp_path / given, form)
    offered = caught.value.hint.rpartition(" ")[2]
    assert offered == str(tmp_path / instead)
    Destination(Path(offered), form)


@pytest.mark.parametrize("form", [GRAPH, PAGE, CSV, FOLDER])
def test_the_word_for_standard_output_is_no_file(tmp_path, monkeypatch, form):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match="standard output"):
        Destination(Path("-"), form)


@pytest.mark.parametrize("name", ["~", "~/x"])
def test_what_a_shell_would_have_replaced_makes_no_folder_of_that_name(tmp_path, monkeypatch, name):
    # A recipe's `output-path: ~/x`, `--output-path=~/x` and a call in Python made a folder "~".
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for form in (FOLDER, GRAPH):
        with pytest.raises(BadInput) as caught:
            Destination(Path(name), form)
        assert str(tmp_path / "home") in caught.value.hint
        Destination(Path("~x"), form)


def unwritable(tmp_path: Path) -> list[Path]:
    """Paths where nothing can be made, whoever asks."""
    (tmp_path / "file").write_text("")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    (tmp_path / "round").symlink_to(tmp_path / "round")
    return [
        Path("/proc/nope/x"),
        Path("/proc/x"),
        tmp_path / "file" / "x",
        tmp_path / "file" / "sub" / "x",
        tmp_path / "nowhere" / "x",
        tmp_path / "round" / "x",
        tmp_path / ("long" * 70),
        tmp_path / "new" / ("long" * 70) / "x",
        tmp_path / ("a/" * 3000) / "x",
        tmp_path / "nul\0" / "x",
    ]


@pytest.mark.parametrize("form", [GRAPH, FOLDER])
def test_a_place_that_cannot_be_written_is_refused_before_the_work(tmp_path, form):
    Destination(tmp_path / "new" / "folders" / "x", form)
    assert list(tmp_path.iterdir()) == []
    for path in unwritable(tmp_path):
        with pytest.raises(Unwritable, match="cannot be written"):
            Destination(path, form, force=True)
            pytest.fail(repr(path))


def test_a_name_that_is_taken_at_the_door_can_be_written(tmp_path):
    taken = 0
    for length in range(200, 260):
        for form in (GRAPH, FOLDER):
            path = tmp_path / ("n" * (length - 5) + (".onnx" if form is GRAPH else ".made"))
            try:
                place = Destination(path, form)
            except Unwritable:
                continue
            taken += 1
            for _ in range(2):
                with place.writing() as temporary:
                    (temporary / "a" if form is FOLDER else temporary).write_text("1")
                place.force = True
    assert taken > 40


def test_a_read_only_disk_is_refused_before_the_work(mounted, tmp_path):
    mounted(tmp_path, "-t", "tmpfs", "-o", "ro", "tmpfs")
    with pytest.raises(Unwritable, match="read-only"):
        Destination(tmp_path / "x", FOLDER)


def test_what_a_killed_run_moved_aside_comes_back(tmp_path):
    folder = made(tmp_path / "out")
    before = everything(folder)
    folder.rename(aside_of(folder))
    with pytest.raises(BadInput, match="--force"):
        Destination(folder, FOLDER)
    assert everything(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_lies_under_the_name_of_a_folder_moved_aside_is_looked_at_too(tmp_path, untouched):
    folder = made(tmp_path / "out")
    aside_of(folder).mkdir()
    (aside_of(folder) / "mine").write_text("mine")
    untouched()
    with pytest.raises(BadInput, match="mine"):
        Destination(folder, FOLDER, force=True)


def test_so_it_is_where_the_folder_itself_is_empty(tmp_path, untouched):
    (tmp_path / "out").mkdir()
    aside_of(tmp_path / "out").mkdir()
    (aside_of(tmp_path / "out") / "mine").write_text("mine")
    untouched()
    with pytest.raises(BadInput, match="mine"):
        Destination(tmp_path / "out", FOLDER)


def test_what_is_added_replaces_no_file_of_the_users(tmp_path, untouched):
    # A folder of the user's with samples of his own, and `bench --resume -o FOLDER`.
    (tmp_path / "out" / "samples").mkdir(parents=True)
    (tmp_path / "out" / "samples" / "0.npz").write_text("mine")
    untouched()
    place = Destination(tmp_path / "out", FOLDER, keep=True)
    with pytest.raises(BadInput, match=r"samples/0\.npz"), place.adding() as temporary:
        (temporary / "samples").mkdir()
        (temporary / "samples" / "0.npz").write_text("raw")
        (temporary / "result").write_text("")


def test_what_fails_in_a_folder_is_named_by_its_place_to_come(tmp_path):
    with (
        pytest.raises(Unwritable) as caught,
        Destination(tmp_path / "out", FOLDER).writing() as temporary,
    ):
        (temporary / "file").write_text("")
        write_bytes(temporary / "file" / "card.yaml", b"")
    assert caught.value.message.startswith(str(tmp_path / "out" / "file" / "card.yaml"))


def test_a_folder_grows_by_whole_files_and_stays_ours(tmp_path):
    folder = made(tmp_path / "out", "old")
    place = Destination(folder, FOLDER, force=True)
    for number in range(2):
        with place.adding() as temporary:
            (temporary / "samples").mkdir()
            (temporary / "samples" / f"{number}").write_text("raw")
            (temporary / "result").write_text(f"{number}")
    with pytest.raises(RuntimeError), place.adding() as temporary:
        (temporary / "result").write_text("half")
        raise RuntimeError("boom")
    assert (folder / "result").read_text() == "1"
    assert {path.name for path in folder.rglob("*")} == {"samples", "0", "1", "result", MARKER}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    Destination(folder, FOLDER, force=True)
    # Going on keeps a file of the user's, and does not take it for ours.
    (folder / "notes").write_text("mine")
    with Destination(folder, FOLDER, keep=True).adding() as temporary:
        (temporary / "result").write_text("2")
    with pytest.raises(BadInput, match=r"1 file in it .*notes"):
        Destination(folder, FOLDER, force=True)
