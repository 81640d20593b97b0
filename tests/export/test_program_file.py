"""Programs from files of anyone: what is data opens, and nothing else is looked at by torch."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.export import Dim, export

from edgekit.core.card import GraphCard, TensorCard
from edgekit.core.errors import BadInput
from edgekit.core.source import Source
from edgekit.export.load import Loaded, load_source
from edgekit.export.program_operators import checked_operator
from edgekit.export.program_refusal import NotAllowedError
from edgekit.export.program_sizes import checked_size
from edgekit.export.torch_graph import torch_graph
from edgekit.export.weights import read_program, read_weights

# Of torch, on its way to a program.
pytestmark = pytest.mark.filterwarnings("ignore")

MARK = "EXECUTED"
CODE = f"open('{MARK}', 'w')"


class Net(nn.Module):
    """Weights, a buffer, a constant, a branch and sizes that depend on each other."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.register_buffer("scale", torch.ones(1))

    def forward(self, x, y):
        high = torch.cond(y.sum() > 0, lambda t: t + 1, lambda t: t - 1, (y,))
        x = torch.relu(self.conv(x)) * self.scale * torch.tensor([2.0])
        return {"a": x[:, :, 1:], "b": high}


@pytest.fixture(scope="module")
def members() -> dict[str, bytes]:
    """The members of a program, by their name below the archive's folder."""
    torch.manual_seed(0)
    height = Dim("h", min=6, max=64)
    shapes = {"x": {0: Dim("n", min=1, max=8), 2: height, 3: height + 2}, "y": None}
    program = export(Net().eval(), (torch.rand(2, 3, 8, 10), torch.rand(3)), dynamic_shapes=shapes)
    saved = io.BytesIO()
    torch.export.save(program, saved)
    with zipfile.ZipFile(saved) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def write(path: Path, members: dict[str, bytes], folder: str = "net/") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(folder + name, content)
    return path


def opened(path: Path) -> Any:
    """Open and run a program as an export does."""
    program, _ = read_program(path, trust_pickle=False)
    return program.module()(torch.rand(1, 3, 6, 8), torch.rand(3))


def model(change: Callable[[Any], None]) -> Callable[[dict[str, bytes]], None]:
    """An attack on the JSON of the model."""

    def attack(members: dict[str, bytes]) -> None:
        content = json.loads(members["models/model.json"])
        change(content)
        members["models/model.json"] = json.dumps(content).encode()

    return attack


def graph(change: Callable[[Any], None]) -> Callable[[dict[str, bytes]], None]:
    return model(lambda content: change(content["graph_module"]["graph"]))


def first_size(text: str) -> Callable[[dict[str, bytes]], None]:
    def change(content: Any) -> None:
        for meta in content["graph_module"]["graph"]["tensor_values"].values():
            for size in meta["sizes"]:
                if "as_expr" in size:
                    size["as_expr"]["expr_str"] = text

    return model(change)


def target(text: str) -> Callable[[dict[str, bytes]], None]:
    return graph(lambda content: content["nodes"][-1].update(target=text))


def argument(value: dict[str, Any]) -> Callable[[dict[str, bytes]], None]:
    return graph(lambda content: content["nodes"][-1]["inputs"][0].update(arg=value))


def renamed(old: str, new: str) -> Callable[[dict[str, bytes]], None]:
    def attack(members: dict[str, bytes]) -> None:
        for name in [name for name in members if name.endswith(".json")]:
            text = members[name].decode()
            members[name] = text.replace(json.dumps(old), json.dumps(new)).encode()

    return attack


def tree(which: str, value: object) -> Callable[[dict[str, bytes]], None]:
    def change(content: Any) -> None:
        content["graph_module"]["module_call_graph"][0]["signature"][which] = json.dumps([1, value])

    return model(change)


def branch(kind: str | None, context: object, children: int = 2) -> dict[str, Any]:
    leaf = {"type": None, "context": None, "children_spec": []}
    return {"type": kind, "context": context, "children_spec": [leaf] * children}


def payload(which: str, **changes: Any) -> Callable[[dict[str, bytes]], None]:
    def attack(members: dict[str, bytes]) -> None:
        name = f"data/{which}/model_{which}_config.json"
        content = json.loads(members[name])
        entry = next(iter(content["config"].values()))
        entry.update({key: value for key, value in changes.items() if key in entry})
        entry["tensor_meta"].update(
            {key: value for key, value in changes.items() if key in entry["tensor_meta"]}
        )
        members[name] = json.dumps(content).encode()

    return attack


def pickled() -> bytes:
    """A file of torch.save whose pickle calls `open`."""
    saved = io.BytesIO()
    torch.save({"w": torch.zeros(1)}, saved)
    evil = io.BytesIO()
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(evil, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("data.pkl"):
                content = f"cbuiltins\nopen\n(V{MARK}\nVw\ntR.".encode()
            new.writestr(name, content)
    return evil.getvalue()


def added(name: str, content: bytes = b"x") -> Callable[[dict[str, bytes]], None]:
    return lambda members: members.update({name: content})


def instead(gone: str, name: str, content: bytes) -> Callable[[dict[str, bytes]], None]:
    def attack(members: dict[str, bytes]) -> None:
        del members[gone]
        members[name] = content

    return attack


ENUM = json.dumps([{"__enum__": True, "fqn": "evil_module:Kind", "name": "A"}])
ATTACKS: dict[str, Callable[[dict[str, bytes]], None]] = {
    # Evaluated by sympy.
    "size-code": first_size(f"__import__('builtins').{CODE}"),
    "size-call": first_size(CODE),
    "size-attribute": first_size("Symbol('s77').func"),
    "size-keyword": first_size("Symbol('s77', cls=Integer)"),
    "size-nested-text": first_size(f'Symbol(Symbol("{CODE}"))'),
    "size-sympify": first_size("sympify('1')"),
    "size-lambda": first_size("(lambda: 1)()"),
    "size-power": first_size("Pow(Integer(2), Integer(1000000000))"),
    "size-powers": first_size("Pow(Pow(Pow(Integer(9), Integer(64)), Integer(64)), Integer(64))"),
    "size-hidden-power": first_size(
        "Pow(Integer(2), Add(Mul(Integer(0), Symbol('s77')), Integer(1000000000)))"
    ),
    "size-root": first_size("Pow(Integer(2), Rational(1000000000, 3))"),
    "size-shift": first_size("RShift(Integer(1), Integer(4611686018427387904))"),
    "size-expansion": first_size(
        "Pow(Add(" + ", ".join(f"Symbol('s{n}')" for n in range(40)) + "), Integer(60))"
    ),
    "size-comparison": first_size(
        "Max(" * 9 + "Integer(1)" + "".join(f", Symbol('s{n}'), Symbol('s1{n}'))" for n in range(9))
    ),
    "size-digits": first_size(f"Integer({'9' * 5000})"),
    "size-depth": first_size("Not(" * 900 + "true" + ")" * 900),
    "size-length": first_size("Add(" + "Integer(1), " * 9999 + "Integer(1))"),
    "size-of-a-condition": first_size("Add(Integer(1), true)"),
    "size-counter": first_size("Symbol('u999999999999')"),
    # Resolved by name, and called.
    "target-python": target("_operator.attrgetter"),
    "target-torch": target("torch.hub.load"),
    "target-load": target("torch.load"),
    "target-through-a-module": target("torch.serialization.os.system"),
    "target-math": target("math.factorial"),
    "target-from-file": target("torch.ops.aten.from_file.default"),
    "target-save": target("torch.ops.aten.save.default"),
    "target-threads": target("torch.ops.aten.set_num_threads.default"),
    "target-out": target("torch.ops.aten.relu.out"),
    "target-storage": target("torch.ops.aten.set_.source_Tensor"),
    "target-resize": target("torch.ops.aten.resize_.default"),
    "target-profiler": target("torch.ops.profiler._record_function_enter.default"),
    "target-inductor": target("torch.ops.inductor.resize_storage_bytes_.default"),
    "target-higher-order": target("torch.ops.higher_order.call_torchbind"),
    "target-triton": target("torch.ops.higher_order.triton_kernel_wrapper_functional"),
    "target-packet": target("torch.ops.aten.add"),
    "target-attribute": target("torch.ops.aten.add.Tensor.__class__"),
    "target-extension": target("#evil:open"),
    "target-case": target("torch.ops.ATEN.add.Tensor"),
    "target-space": target("torch.ops.aten.add.Tensor "),
    "operator-argument": argument({"as_operator": "torch.hub.load"}),
    "object-argument": argument({"as_custom_obj": {"name": "c", "class_fqn": "d"}}),
    # Written into generated source.
    "name-of-a-value": renamed("relu", f"x = {CODE}\n    y"),
    "name-of-an-input": renamed("x", f"x={CODE}, y"),
    "name-of-a-weight": renamed("conv.weight", f'conv.weight"), {CODE}, ("'),
    "name-with-an-escape": renamed("conv.weight", "conv.weight\\"),
    "name-of-another-form": renamed("conv.weight", "\uff3f_class__.forward"),
    "name-of-a-class": renamed("conv.weight", "__class__.forward"),
    "name-of-a-node": graph(lambda content: content["nodes"][-1].update(name=f"y;{CODE}")),
    "name-of-an-argument": graph(
        lambda content: content["nodes"][-1]["inputs"][0].update(name=f"a={CODE}")
    ),
    "name-of-a-graph": renamed("true_graph_0", f"true_graph_0\n    {CODE}"),
    "text-with-lines": argument({"as_string": f"x\n{CODE}"}),
    "argument-of-forward": model(
        lambda content: content["graph_module"]["module_call_graph"][0]["signature"].update(
            forward_arg_names=[f"x={CODE}", "y"]
        )
    ),
    # Imported by name.
    "tree-enum": tree("out_spec", branch("builtins.dict", ENUM, 1)),
    "tree-default": tree(
        "out_spec",
        branch(
            "collections.defaultdict",
            {
                "default_factory_module": "evil_module",
                "default_factory_name": "make",
                "dict_context": ["a", "b"],
            },
        ),
    ),
    "tree-named-tuple": tree("out_spec", branch("collections.namedtuple", "evil_module.Pair")),
    "tree-library": tree("out_spec", branch("evil_module.Output", '["a", "b"]')),
    "tree-without-keys": tree("out_spec", branch("builtins.dict", "null")),
    "tree-twice": tree("out_spec", branch("builtins.dict", '["a", "a"]')),
    "tree-of-one": tree("in_spec", branch(None, None, 0)),
    "tree-of-tensors": tree("in_spec", branch("builtins.tuple", "null")),
    "tree-key": tree("in_spec", branch("builtins.dict", json.dumps([f"x={CODE}", "y"]))),
    "tree-depth": lambda members: model(
        lambda content: content["graph_module"]["module_call_graph"][0]["signature"].update(
            out_spec='[1, {"type": "builtins.list", "context": "null", "children_spec": [' * 3000
        )
    )(members),
    "verifier": model(lambda content: content.update(verifiers=["EVIL"])),
    # Not in the schema, or of another type.
    "unknown-field": model(lambda content: content.update(hook=CODE)),
    "unknown-field-of-a-node": graph(lambda content: content["nodes"][0].update(eval=CODE)),
    "two-kinds": argument({"as_int": 1, "as_string": CODE}),
    "text-for-a-number": argument({"as_int": CODE}),
    "number-for-text": graph(lambda content: content["nodes"][0].update(target=7)),
    "bool-for-a-number": argument({"as_int": True}),
    "large-number": argument({"as_int": 2**70}),
    "object-values": graph(
        lambda content: content.update(custom_obj_values={"c": {"name": "c", "class_fqn": "d"}})
    ),
    "no-signature": model(lambda content: content["graph_module"].update(module_call_graph=[])),
    "list": added("models/model.json", b"[]"),
    "deep": added("models/model.json", b'{"graph_module":' + b"[" * 100_000),
    "digits": added("models/model.json", b'{"torch_version": ' + b"9" * 6000 + b"}"),
    "not-text": added("models/model.json", b"\xff\xfe{}"),
    # Weights.
    "pickled-weight": payload("weights", use_pickle=True),
    "pickled-constant": payload("constants", path_name="opaque_obj_0"),
    "script-object": payload("constants", path_name="custom_obj_0"),
    "weight-elsewhere": payload("weights", path_name="../../models/model.json"),
    "weight-beyond": payload("weights", sizes=[{"as_int": 10**6}], strides=[{"as_int": 1}]),
    "weight-before": payload("weights", storage_offset={"as_int": -8}),
    "weight-backwards": payload("weights", sizes=[{"as_int": 2}], strides=[{"as_int": -1}]),
    "weight-expanded": payload("weights", sizes=[{"as_int": 2**40}], strides=[{"as_int": 0}]),
    "weight-overflow": payload(
        "weights", sizes=[{"as_int": 2**62}] * 2, strides=[{"as_int": 2**62}] * 2
    ),
    "weight-symbolic": payload("weights", sizes=[{"as_expr": {"expr_str": CODE, "hint": None}}]),
    "weight-sparse": payload("weights", layout=1),
    "old-weights": instead(
        "data/weights/model_weights_config.json", "data/weights/model.pt", pickled()
    ),
    "old-constants": instead(
        "data/constants/model_constants_config.json", "data/constants/model.pt", pickled()
    ),
    # Members that torch.export.save never writes.
    "compiled": added("data/aotinductor/model/model.so"),
    "executorch": added("data/executorch/model.pte"),
    "second-model": added("models/other.json"),
    "object-member": added("data/constants/custom_obj_0"),
    "upper-case": added("Models/model.json"),
    "dots": added("models/../models/model.json"),
    "backslash": added("models\\model.json"),
    "folder": added("models/"),
    "other-byte-order": added("byteorder", b"big"),
    "no-model": lambda members: members.pop("models/model.json") and None,
    "no-weights": lambda members: members.pop("data/weights/weight_0") and None,
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_an_attack_is_refused_and_nothing_runs(tmp_path, monkeypatch, members, attack):
    """A deny-list let most of these through to torch, which evaluates, imports and unpickles."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "evil_module.py").write_text(CODE)
    changed = dict(members)
    attack(changed)
    assert changed != members
    path = write(tmp_path / "net.pt2", changed)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(BadInput) as caught:
        opened(path)
    assert caught.value.message.startswith(str(path))
    assert len(str(caught.value)) < 800
    assert sorted(tmp_path.iterdir()) == before


def test_guards_are_text_and_are_not_executed(tmp_path, monkeypatch, members):
    """`program.module()` executed them: export said PASS and left the file behind."""
    monkeypatch.chdir(tmp_path)
    changed = dict(members)
    model(lambda content: content.update(guards_code=[f"{CODE} is not None"]))(changed)
    result = opened(write(tmp_path / "net.pt2", changed))
    assert result["a"].shape == (1, 4, 3, 6)
    assert not Path(MARK).exists()


@pytest.mark.parametrize(
    "key", ["stack_trace", "source_fn_stack", "torch_fn", "custom", "from_node"]
)
def test_what_serves_debugging_is_not_read(tmp_path, members, key):
    """torch looks up functions by the names in it, and parses JSON of any depth."""
    changed = dict(members)
    graph(
        lambda content: [node["metadata"].update({key: "[" * 5000}) for node in content["nodes"]]
    )(changed)
    program, _ = read_program(write(tmp_path / "net.pt2", changed), trust_pickle=False)
    assert not any(key in node.meta for node in program.graph.nodes)


def again(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(name, content)


def test_a_member_that_stands_twice_is_refused(tmp_path, members):
    """The check read one of them, torch the other one."""
    path = write(tmp_path / "net.pt2", members)
    with zipfile.ZipFile(path, "a") as archive:
        again(archive, "net/models/model.json", members["models/model.json"])
    with pytest.raises(BadInput, match="twice"):
        opened(path)


@pytest.mark.parametrize("folder", ["", "/", "../", "net", "a/b/"])
def test_a_program_stands_in_one_folder_of_its_archive(tmp_path, members, folder):
    with pytest.raises(BadInput):
        opened(write(tmp_path / "net.pt2", members, folder))


def edited(path: Path, change: Callable[[bytearray], Any]) -> Path:
    content = bytearray(path.read_bytes())
    changed = change(content)
    path.write_bytes(content if changed is None else changed)
    return path


def in_directory(content: bytearray, offset: int, format_: str, value: int) -> None:
    """Change a field of every entry of the archive's directory."""
    at = -1
    while (at := content.find(b"PK\x01\x02", at + 1)) >= 0:
        struct.pack_into(format_, content, at + offset, value)


LIES: dict[str, Callable[[bytearray], Any]] = {
    "encrypted": lambda content: in_directory(content, 8, "<H", 1),
    "deflated": lambda content: in_directory(content, 10, "<H", 8),
    "method": lambda content: in_directory(content, 10, "<H", 99),
    "unpacked-size": lambda content: in_directory(content, 24, "<I", 2**32 - 2),
    "one-place-for-all": lambda content: in_directory(content, 42, "<I", 0),
    "beyond-the-file": lambda content: in_directory(content, 42, "<I", 2**31),
    "check-sum": lambda content: in_directory(content, 16, "<I", 1),
    "cut": lambda content: content[:-30],
    "local-name": lambda content: bytes(content).replace(b"model.json", b"model.jsom", 1),
    "nul": lambda content: bytes(content).replace(b"net/byteorder", b"net/byteord\0r"),
    "noise": lambda content: content.__setitem__(slice(40, 4000), b"\xff" * 3960),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_an_archive_that_lies_is_one_sentence(tmp_path, members, lie):
    """Encrypted members and a bad deflate stream ended in "This is a bug in edgekit"."""
    path = edited(write(tmp_path / "net.pt2", members), lie)
    with pytest.raises(BadInput) as caught:
        opened(path)
    assert str(path) in caught.value.message


def test_a_compressed_archive_is_refused_before_it_grows(tmp_path):
    """Weights as well as programs: PyTorch compresses neither."""
    for name, read in (("w.pt2", read_program), ("w.pth", read_weights)):
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("net/models/model.json", b"0" * 10**7)
        with pytest.raises(BadInput, match="compressed"):
            read(tmp_path / name, trust_pickle=False)


# Programs that people have.


class Of(nn.Module):
    """A function as a network."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *arguments):
        return self.function(*arguments)


def scanned(x):
    from torch._higher_order_ops.scan import scan

    return scan(lambda carry, part: (carry + part, carry * part), torch.zeros(3), x, dim=0)[1]


def looped(x):
    from torch._higher_order_ops.while_loop import while_loop

    start = (torch.tensor(0), x)
    return while_loop(lambda i, _: i < 3, lambda i, t: (i + 1, t * 2), start)[1]


def in_bfloat16(x):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return x @ x.transpose(0, 1)


def first_rows(x, count):
    rows = count.item()
    torch._check(rows >= 1)
    torch._check(rows <= 4)
    return x[:rows].sum(0)


def tied() -> nn.Module:
    network = nn.Sequential(nn.Embedding(10, 8), nn.Linear(8, 10, bias=False))
    network[1].weight = network[0].weight
    return network


class Named(nn.Module):
    """Names that Python's source has not, but getattr takes."""

    def __init__(self) -> None:
        super().__init__()
        self.größe = nn.ModuleDict({"layer-1": nn.Linear(3, 3), "a b": nn.Linear(3, 3)})
        self.register_buffer("__own", torch.ones(3))

    def forward(self, maß):
        layers = self.größe
        return layers["a b"](layers["layer-1"](maß)) * getattr(self, "__own")


ROWS = Dim("rows", min=2, max=64)
GOOD: dict[str, tuple[nn.Module, tuple[Any, ...], Any]] = {
    "scan": (Of(scanned), (torch.rand(4, 3),), None),
    "while": (Of(looped), (torch.rand(3),), None),
    "autocast": (Of(in_bfloat16), (torch.rand(4, 3),), None),
    "value": (Of(first_rows), (torch.rand(6, 3), torch.tensor(3)), None),
    "attention": (
        Of(lambda q: nn.functional.scaled_dot_product_attention(q, q, q, is_causal=True)),
        (torch.rand(2, 4, 6, 8),),
        (({2: ROWS},),),
    ),
    "encoder": (nn.TransformerEncoderLayer(8, 2, 16), (torch.rand(2, 5, 8),), None),
    "names": (Named(), (torch.rand(2, 3),), None),
    "lstm": (nn.LSTM(3, 4), (torch.rand(5, 2, 3),), None),
    "tied": (tied(), (torch.randint(0, 10, (2, 5)),), None),
    "half": (nn.Conv2d(3, 4, 3).half(), (torch.rand(1, 3, 8, 8).half(),), None),
    "in-place": (
        nn.Sequential(nn.BatchNorm2d(3), nn.SiLU(inplace=True)),
        (torch.rand(1, 3, 8, 8),),
        None,
    ),
    "resized": (
        Of(lambda x: nn.functional.interpolate(x, scale_factor=1.5, mode="bilinear")),
        (torch.rand(1, 3, 8, 9),),
        (({2: Dim.AUTO, 3: Dim.AUTO},),),
    ),
    "double": (
        Of(lambda x: x.reshape(x.shape[0] // 2, -1)[:, : x.shape[0] % 3 + 1]),
        (torch.rand(6, 4),),
        (({0: 2 * Dim("half", min=1, max=9)},),),
    ),
    "attributes": (
        Of(lambda x: x.T @ x.mT),
        (torch.rand(3, 3),),
        None,
    ),
    "nested": (Of(lambda x: {"a": x, "b": [x, (x * 2, None)]}), (torch.rand(3),), None),
    "complex": (
        Of(lambda x: torch.view_as_real(torch.fft.rfft(x) * 1j)),
        (torch.rand(2, 6),),
        None,
    ),
    "no-elements": (Of(lambda x: torch.cat([x, torch.zeros(2, 0)], 1)), (torch.rand(2, 6),), None),
    "not-torch": (Of(lambda x: x.masked_fill(x < 0.2, float("-inf"))), (torch.rand(2, 6),), None),
}


@pytest.mark.parametrize("decomposed", [False, True], ids=["as-exported", "decomposed"])
@pytest.mark.parametrize("name", GOOD)
def test_a_program_is_what_it_was_before_it_was_saved(tmp_path, name, decomposed):
    network, arguments, shapes = GOOD[name]
    program = export(network.eval(), arguments, dynamic_shapes=shapes)
    if decomposed:
        program = program.run_decompositions()
    torch.export.save(program, tmp_path / "net.pt2")
    opened, _ = read_program(tmp_path / "net.pt2", trust_pickle=False)
    expected = torch.utils._pytree.tree_leaves(program.module()(*arguments))
    got = torch.utils._pytree.tree_leaves(opened.module()(*arguments))
    assert len(got) == len(expected)
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other)
    kept = {str(size): str(limits) for size, limits in program.range_constraints.items()}
    assert {
        str(size): str(limits) for size, limits in opened.range_constraints.items()
    }.items() <= (kept.items())


def test_weights_that_are_one_stay_one(tmp_path):
    torch.export.save(export(tied().eval(), (torch.randint(0, 10, (2, 5)),)), tmp_path / "net.pt2")
    state = read_program(tmp_path / "net.pt2", trust_pickle=False)[0].state_dict
    assert state["0.weight"].data_ptr() == state["1.weight"].data_ptr()
    assert all(isinstance(weight, nn.Parameter) for weight in state.values())


def test_a_program_from_a_gpu_opens_on_the_cpu(tmp_path, members):
    changed = {
        name: content.replace(b'{"type": "cpu", "index": null}', b'{"type": "cuda", "index": 0}')
        for name, content in members.items()
    }
    assert changed != members
    assert opened(write(tmp_path / "net.pt2", changed))["b"].device.type == "cpu"


def test_files_beside_a_program_are_ignored(tmp_path, members):
    path = write(tmp_path / "net.pt2", {**members, "extra/labels.txt": b"cat"})
    assert opened(path)["a"].shape == (1, 4, 3, 6)


def saved(tensors: Any) -> bytes:
    file = io.BytesIO()
    torch.save(tensors, file)
    return file.getvalue()


def test_programs_of_older_versions_open_as_well(tmp_path, members):
    """Archives of torch 2.8, with the weights in one member, and of 2.6 and 2.7."""
    program, _ = read_program(write(tmp_path / "net.pt2", members), trust_pickle=False)
    state, constants = saved(dict(program.state_dict)), saved(dict(program.constants))
    middle = {name: content for name, content in members.items() if "data/" not in name}
    middle |= {"data/weights/model.pt": state, "data/constants/model.pt": constants}
    assert opened(write(tmp_path / "net.pt2", middle))["a"].shape == (1, 4, 3, 6)
    old = {
        "version": b"8.7",
        "serialized_exported_program.json": members["models/model.json"],
        "serialized_state_dict.pt": state,
        "serialized_constants.pt": constants,
        "serialized_example_inputs.pt": pickled(),
    }
    assert opened(write(tmp_path / "net.pt2", old, folder=""))["a"].shape == (1, 4, 3, 6)


def test_a_class_of_a_library_is_named_and_imported_with_consent_only(
    tmp_path, monkeypatch, members
):
    """It was "not a torch.export program, or it is damaged"."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "edgekit_test_library.py").write_text(
        f"import collections, torch\n{CODE.replace(MARK, str(tmp_path / MARK))}\n"
        "class Output(collections.UserDict): pass\n"
        "torch.utils._pytree.register_pytree_node(Output, lambda o: (list(o.values()), list(o)),\n"
        "    lambda values, keys: Output(zip(keys, values)),\n"
        "    serialized_type_name='edgekit_test_library.Output')\n"
    )
    changed = dict(members)
    tree("out_spec", branch("edgekit_test_library.Output", '["a", "b"]'))(changed)
    path = write(tmp_path / "net.pt2", changed)
    with pytest.raises(BadInput, match="'edgekit_test_library'") as caught:
        read_program(path, trust_pickle=False)
    assert "--trust-code" in caught.value.hint
    assert not (tmp_path / MARK).exists()
    program, _ = read_program(path, trust_code=True, trust_pickle=False)
    result = program.module()(torch.rand(1, 3, 6, 8), torch.rand(3))
    assert type(result).__name__ == "Output"


def test_an_operator_of_a_library_is_named_and_imported_with_consent_only(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "edgekit_test_operators.py").write_text(
        "import torch\n"
        "library = torch.library.Library('edgekit_test_operators', 'DEF')\n"
        "library.define('twice(Tensor x) -> Tensor')\n"
        "library.impl('twice', lambda x: x * 2, 'CompositeExplicitAutograd')\n"
    )
    name = "torch.ops.edgekit_test_operators.twice.default"
    with pytest.raises(NotAllowedError) as caught:
        checked_operator(name)
    assert "'edgekit_test_operators'" in caught.value.what
    assert "--trust-code" in caught.value.hint
    assert checked_operator(name, trust_code=True) == name


@pytest.mark.parametrize("space", ["inductor", "profiler", "c10d", "quantized", "mkldnn"])
def test_consent_to_a_library_is_none_to_the_insides_of_torch(space):
    with pytest.raises(NotAllowedError, match="not among the operators"):
        checked_operator(f"torch.ops.{space}.anything.default", trust_code=True)


@pytest.mark.parametrize(
    "text",
    [
        "Symbol('s77', integer=True, positive=True)",
        "Add(Mul(Integer(2), Symbol('s0', integer=True)), Integer(-1))",
        "Pow(Symbol('s0', integer=True), Integer(-1))",
        "FloorDiv(Add(Symbol('u0', integer=True), Integer(3)), Integer(2))",
        "TruncToInt(Mul(Float('1.5', precision=53), ToFloat(Symbol('s5', integer=True))))",
        "Equality(Symbol('s0', integer=True), Integer(3))",
        "And(LessThan(Symbol('s0'), Integer(3)), true)",
    ],
)
def test_sizes_that_torch_writes_are_taken_as_they_are(text):
    assert checked_size(text) == text


def test_a_program_that_torch_cannot_run_is_one_sentence(tmp_path, members):
    """A weight called "class" makes the source that torch generates no Python."""
    changed = dict(members)
    renamed("conv.weight", "conv.class")(changed)
    path = write(tmp_path / "net.pt2", changed)
    loaded = load_source(Source.parse(str(path)))["main"]
    with pytest.raises(BadInput, match="cannot be run by PyTorch"):
        torch_graph(loaded, GraphCard(inputs={}), str(path))


def test_weights_are_read_of_the_file_that_was_checked(tmp_path, monkeypatch):
    """torch opened the path again, where another file may lie by then."""
    from edgekit.export import weights

    path, other = tmp_path / "w.pth", tmp_path / "other"
    path.write_bytes(saved({"w": torch.ones(1)}))
    other.write_bytes(saved({"w": torch.zeros(1)}))
    check = weights.plain_archive

    def exchanged(file: Any) -> Any:
        other.replace(path)
        return check(file)

    monkeypatch.setattr(weights, "plain_archive", exchanged)
    assert read_weights(path, trust_pickle=False)["w"].item() == 1


def test_a_range_without_ends_is_any_size(tmp_path, members):
    """The infinities of sympy were a bug in edgekit."""
    changed = dict(members)
    model(
        lambda content: [
            one.update(min_val=None, max_val=None) for one in content["range_constraints"].values()
        ]
    )(changed)
    path = write(tmp_path / "net.pt2", changed)
    loaded = load_source(Source.parse(str(path)))["main"]
    batch = torch_graph(loaded, GraphCard(inputs={}), str(path)).inputs["x"].shape[0]
    assert (batch.min, batch.max) == (1, None)


@pytest.mark.parametrize("axes", [((1,) * 70, (1,)), ((1,), (1,) * 70)], ids=["input", "output"])
def test_more_axes_than_an_array_has_are_one_sentence(axes):
    """numpy's own error was a bug in edgekit."""
    taken, returned = axes
    card = GraphCard(inputs={"x": TensorCard(taken)})
    loaded = Loaded(module=Of(lambda x: x.reshape(returned)))
    with pytest.raises(BadInput, match="70 axes|dimensions"):
        torch_graph(loaded, card, "net")({"x": torch.ones(1).numpy()})


def hand_written() -> bytes:
    """A file of torch.save with an OrderedDict whose `items` is a number."""
    file = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(saved({"w": torch.ones(1)}))) as old,
        zipfile.ZipFile(file, "w") as new,
    ):
        for name in old.namelist():
            pickled = b"\x80\x02ccollections\nOrderedDict\n)R}X\x05\0\0\0itemsK\x01sb."
            new.writestr(name, pickled if name.endswith("data.pkl") else old.read(name))
    return file.getvalue()


ODD: dict[str, Callable[[], bytes]] = {
    "nested": lambda: saved({"w": torch.nested.nested_tensor([torch.ones(4)])}),
    "numbers-for-names": lambda: saved({0: torch.ones(4)}),
    "own-items": hand_written,
}


@pytest.mark.parametrize("content", ODD.values(), ids=ODD)
def test_weights_of_another_kind_are_one_sentence(tmp_path, content):
    """They were a bug in edgekit, where they were put into the network."""
    path = tmp_path / "w.pth"
    path.write_bytes(content())
    with pytest.raises(BadInput) as caught:
        read_weights(path, trust_pickle=False)
    assert caught.value.message.startswith(str(path))
