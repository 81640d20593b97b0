from __future__ import annotations

import numpy as np
import pytest

from edgekit.core.errors import BadInput
from edgekit.tasks.decoders import decoder_file, is_user_decoder, load_decoder

GOOD = """import numpy as np

def mine(outputs, size):
    boxes = next(iter(outputs.values()))[0].astype(np.float64)
    return boxes, np.full((len(boxes), 2), size[0] / 100)

def short(outputs, size):
    return np.zeros((3, 4))

def uneven(outputs, size):
    return np.zeros((3, 4)), np.zeros((2, 5))

def text(outputs, size):
    return [["a"] * 4], [[0.5]]

def broken(outputs, size):
    first = 1
    return first / 0
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "decoders.py").write_text(GOOD)
    return tmp_path


def test_a_users_function_becomes_a_head(file):
    head = load_decoder("decoders.py:mine", file, trust_code=True)
    boxes, scores, *_ = head({"y": np.ones((1, 5, 4), np.float32)}, (50, 60))
    assert boxes.shape == (5, 4)
    assert scores.tolist() == [[0.5, 0.5]] * 5
    assert boxes.dtype == scores.dtype == np.float32


def test_code_runs_with_consent_only(file):
    (file / "evil.py").write_text("raise SystemExit('ran')")
    with pytest.raises(BadInput, match="--trust-code"):
        load_decoder("evil.py:mine", file, trust_code=False)


@pytest.mark.parametrize(
    ("decode", "words"),
    [
        ("gone.py:mine", "gone.py does not exist"),
        ("decoders.py:mein", "Did you mean 'mine'?"),
        ("decoders.py:np", "no function 'np'"),
    ],
)
def test_what_is_missing_is_named(file, decode, words):
    with pytest.raises(BadInput) as caught:
        load_decoder(decode, file, trust_code=True)
    assert words in str(caught.value)


def test_a_card_from_no_file_has_no_folder_to_look_in():
    with pytest.raises(BadInput, match="--card"):
        load_decoder("decoders.py:mine", None, trust_code=True)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("short", "returned ndarray, not boxes"),
        ("uneven", "(3, 4) and scores (2, 5)"),
        ("text", "boxes of type"),
        ("broken", "decoders.py, line 18: ZeroDivisionError"),
    ],
)
def test_a_faulty_answer_names_the_function_and_an_exception_its_line(file, name, words):
    head = load_decoder(f"decoders.py:{name}", file, trust_code=True)
    with pytest.raises(BadInput) as caught:
        head({"y": np.zeros((1, 5, 4), np.float32)}, (50, 60))
    assert words in str(caught.value)


def test_a_fault_in_a_helper_of_the_file_names_the_helpers_line(file):
    (file / "nested.py").write_text(
        "def helper():\n    raise ValueError('no')\ndef f(outputs, size):\n    return helper()\n"
    )
    with pytest.raises(BadInput, match=r"nested\.py, line 2: ValueError: no"):
        load_decoder("nested.py:f", file, trust_code=True)({}, (1, 1))


def test_a_fault_deep_in_a_library_names_the_users_own_line(file):
    (file / "deep.py").write_text(
        "import numpy as np\ndef f(outputs, size):\n    return np.zeros(3).reshape(2, 2)\n"
    )
    with pytest.raises(BadInput, match=r"deep\.py, line 3: ValueError"):
        load_decoder("deep.py:f", file, trust_code=True)({}, (1, 1))


@pytest.mark.parametrize(
    ("text", "words"),
    [("def f(:\n", "line 1: SyntaxError"), ("x = 1\nimport gone_library\n", "line 2: Module")],
)
def test_a_file_that_does_not_load_names_its_line(tmp_path, text, words):
    (tmp_path / "bad.py").write_text(text)
    with pytest.raises(BadInput) as caught:
        load_decoder("bad.py:f", tmp_path, trust_code=True)
    assert words in str(caught.value)


def test_nothing_is_left_beside_the_file(file):
    load_decoder("decoders.py:mine", file, trust_code=True)
    assert [path.name for path in file.iterdir()] == ["decoders.py"]


def test_two_files_of_one_name_stay_apart(tmp_path):
    for folder, score in (("a", 1), ("b", 2)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "d.py").write_text(
            f"def f(outputs, size):\n    return [[0, 0, 1, 1]], [[{score}]]\n"
        )
    heads = [load_decoder("d.py:f", tmp_path / each, trust_code=True) for each in "ab"]
    assert [head({}, (1, 1))[1].item() for head in heads] == [1, 2]


def test_a_built_in_head_is_no_file(tmp_path):
    assert not is_user_decoder("yolox")
    assert decoder_file("yolox", tmp_path) is None
    assert decoder_file("decoders.py:mine", tmp_path) == tmp_path / "decoders.py"


@pytest.mark.parametrize(
    "name", ["../secret.py", "/etc/passwd", "id_rsa", "link.py", "a\0b.py", ""]
)
def test_a_decoder_is_a_python_file_in_the_cards_folder(tmp_path, name):
    """It is copied along with the model without consent, so that nothing else passes for it."""
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret.py").write_text("mine")
    (folder / "id_rsa").write_text("mine")
    (folder / "link.py").symlink_to(tmp_path / "secret.py")
    for trust_code in (False, True):
        with pytest.raises(BadInput, match="`decode`"):
            load_decoder(f"{name}:head", folder, trust_code=trust_code)
    with pytest.raises(BadInput, match="`decode`"):
        decoder_file(f"{name}:head", folder)
