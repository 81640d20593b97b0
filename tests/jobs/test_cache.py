"""The cache is listed, measured and pruned, and nothing in use goes."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

from edgekit import api
from edgekit.core.errors import BadInput
from edgekit.core.progress import Silent
from edgekit.core.sizes import parse_size
from edgekit.jobs.cache import keep_within_limit
from edgekit.jobs.steps.cache import RECORD, CacheUnwritable, fetch, lookup, records

SIZE = 1000


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def store(name, *, age_days=0.0, process=True):
    """Keep a stage of SIZE bytes, made by a process that has ended."""
    script = (
        "import sys\n"
        "from edgekit.core.progress import Silent\n"
        "from edgekit.jobs.steps.cache import fetch\n"
        "name, size = sys.argv[1], int(sys.argv[2])\n"
        "stored = fetch('engine', name, {'name': name},\n"
        "    lambda folder: (folder / 'engine.bin').write_bytes(bytes(size)), progress=Silent())\n"
        "print(stored.folder)\n"
        "if len(sys.argv) > 3:\n"
        "    print('ready', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    arguments = [sys.executable, "-c", script, name, str(SIZE)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    if not process:
        return arguments, environment
    result = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=True)
    folder = Path(result.stdout.strip())
    used = time.time() - 86400 * age_days
    os.utime(folder / RECORD, (used, used))
    return folder


def subjects(entries):
    return [entry.subject for entry in entries]


def test_an_empty_cache_is_no_error():
    document = api.cache_list()
    assert (document.entries, document.size_bytes) == ((), 0)
    assert api.cache_prune(everything=True).removed == ()


def test_every_stage_is_listed_with_its_size():
    folder = store("one")
    store("two")
    document = api.cache_list()
    assert sorted(subjects(document.entries)) == ["one", "two"]
    on_disk = sum(path.stat().st_size for path in folder.iterdir())
    assert document.entries[0].size_bytes == on_disk > SIZE
    assert document.size_bytes == sum(entry.size_bytes for entry in document.entries)
    assert document.by_stage == {"engine": document.size_bytes}


def test_what_was_used_longest_ago_goes_first():
    folders = {name: store(name, age_days=age) for name, age in (("a", 3), ("b", 5), ("c", 1))}
    room = sum(path.stat().st_size for name in ("a", "c") for path in folders[name].iterdir())
    document = api.cache_prune(limit=f"{room}B")
    assert subjects(document.removed) == ["b"]
    assert "longest ago" in document.removed[0].reason
    assert [name for name, folder in folders.items() if folder.exists()] == ["a", "c"]


def test_what_was_not_used_for_long_goes():
    store("old", age_days=40)
    store("new")
    document = api.cache_prune(older_than=30)
    assert subjects(document.removed) == ["old"]
    assert document.removed[0].reason == "It was not used for 40 days."


def test_a_stage_dated_in_the_future_is_not_old():
    store("future", age_days=-400)
    assert api.cache_prune(older_than=1).removed == ()


def test_what_a_running_process_uses_stays_until_it_ends():
    arguments, environment = store("held", process=False)
    with subprocess.Popen(
        [*arguments, "wait"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        folder = Path(process.stdout.readline().strip())
        assert process.stdout.readline() == "ready\n"
        assert api.cache_list().entries[0].in_use
        assert api.cache_prune(everything=True).removed == ()
        assert folder.exists()
        process.kill()
    assert subjects(api.cache_prune(everything=True).removed) == ["held"]
    assert not folder.exists()


def test_what_is_damaged_or_left_over_goes_unasked(root):
    folder = store("broken")
    (folder / RECORD).write_text("not json")
    half = root / "stages" / "engine" / f".{'a' * 64}.x1"
    half.mkdir()
    kept = store("kept")
    document = api.cache_prune()
    assert [entry.key for entry in document.removed] == [folder.name]
    assert "record" in document.removed[0].reason
    assert not half.exists()
    assert kept.exists()


def test_the_lock_of_what_is_gone_goes_and_one_in_use_stays(root):
    # A killed process leaves one, and so did every stage that was removed.
    store("kept")
    gone, held = root / "locks" / f"{'a' * 64}.lock", FileLock(root / "locks" / f"{'b' * 64}.lock")
    gone.touch()
    (root / "locks" / "measuring.lock").touch()
    with held:
        keep_within_limit(Silent())
        assert not gone.exists()
        assert Path(held.lock_file).exists()
    keep_within_limit(Silent())
    assert not Path(held.lock_file).exists()
    assert len(list((root / "locks").iterdir())) == 2


def test_what_a_killed_process_said_of_its_keys_goes_with_the_next(root):
    arguments, environment = store("held", process=False)
    with subprocess.Popen(
        [*arguments, "wait"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdout.readline()
        process.stdout.readline()
        store("beside it")
        assert len(list((root / "running").glob("*.keys"))) == 2
        process.kill()
    store("after it")
    assert len(list((root / "running").glob("*.keys"))) == 1


@pytest.fixture
def open_to_all():
    """Whatever is made without more words, everyone may write."""
    old = os.umask(0)
    yield
    os.umask(old)


def make(name="one", write=lambda folder: (folder / "engine.bin").write_bytes(b"engine")):
    return fetch("engine", name, {"name": name}, write, progress=Silent())


@pytest.mark.usefixtures("open_to_all")
def test_the_cache_is_its_users_own_whatever_the_umask(root, tmp_path, monkeypatch):
    root = tmp_path / "made" / "too"
    monkeypatch.setenv("EDGEKIT_CACHE", str(root))

    def write(folder):
        (folder / "deep").mkdir()
        (folder / "deep" / "engine.bin").write_bytes(b"engine")

    assert not make(write=write).hit
    assert make(write=write).hit
    folders = [root.parent, root, *(path for path in root.rglob("*") if path.is_dir())]
    for path in folders:
        deep = path.name == "deep"
        assert stat.S_IMODE(path.stat().st_mode) == (0o755 if deep else 0o700), path


@pytest.mark.parametrize("below", [".", "..", "stages", "stages/engine"])
def test_a_cache_that_others_may_write_is_not_used(root, below, monkeypatch):
    make()
    place = Path(os.path.normpath(root / below))
    place.chmod(0o777)
    for use in (
        make,
        api.cache_list,
        lambda: api.cache_prune(everything=True),
        lambda: lookup("engine", {"name": "one"}),
        lambda: list(records("engine")),
    ):
        with pytest.raises(CacheUnwritable) as refused:
            use()
        assert f"{place} can be written by everyone" in refused.value.message
        assert f"chmod go-w {place}" in refused.value.hint
        assert "EDGEKIT_CACHE" in refused.value.hint
    # Where only owners rename, others cannot put another in its place.
    if below == "..":
        place.chmod(0o1777)
        assert make().hit
    place.chmod(0o755)
    assert make().hit


def test_a_stage_that_others_could_change_is_made_again(root):
    stored = make()
    for name in ("engine.bin", RECORD):
        (stored.folder / name).chmod(0o666)
        assert lookup("engine", {"name": "one"}) is None
        again = make()
        assert not again.hit
        assert "others could change" in again.reason
    assert make().hit


def test_a_cache_behind_a_link_is_as_safe_as_where_it_leads(root, tmp_path, monkeypatch):
    (tmp_path / "open" / "cache").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "open" / "cache")
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "link"))
    assert make().folder.is_dir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(CacheUnwritable, match=r"open can be written by everyone \(mode 0777\)"):
        make()


def test_folders_of_others_stay_where_the_cache_is_a_folder_in_use(root):
    store("one")
    for name in ("train/model", "train/.hidden", ".git/objects"):
        (root / "stages" / name).mkdir(parents=True)
        (root / "stages" / name / "mine").write_text("mine")
    assert subjects(api.cache_prune(everything=True).removed) == ["one"]
    for name in ("train/model", "train/.hidden", ".git/objects"):
        assert (root / "stages" / name / "mine").read_text() == "mine"


def test_the_limit_holds_by_itself(monkeypatch):
    old = store("old", age_days=2)
    new = store("new", age_days=1)
    size = sum(path.stat().st_size for path in new.iterdir())
    monkeypatch.setenv("EDGEKIT_CACHE_LIMIT", f"{size + 10} B")
    keep_within_limit(Silent())
    assert (old.exists(), new.exists()) == (False, True)


def test_this_process_does_not_prune_what_it_uses_itself(monkeypatch):
    monkeypatch.setenv("EDGEKIT_CACHE_LIMIT", "1B")
    stored = fetch(
        "engine",
        "mine",
        {"name": "mine"},
        lambda folder: (folder / "x").write_bytes(b"12"),
        progress=Silent(),
    )
    keep_within_limit(Silent())
    assert stored.folder.exists()


@pytest.mark.parametrize(
    ("text", "size"), [("500MB", 500_000_000), ("1.5 gb", 1_500_000_000), ("12", 12), ("0B", 0)]
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "5XB", "infGB", "nan"])
def test_what_is_no_size_is_refused(text, monkeypatch):
    with pytest.raises(BadInput, match="size"):
        parse_size(text)
    monkeypatch.setenv("EDGEKIT_CACHE_LIMIT", text or "x")
    with pytest.raises(BadInput, match="EDGEKIT_CACHE_LIMIT"):
        api.cache_list()
