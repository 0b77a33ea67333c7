"""The declarations in SWIG's XML parse tree, with their types as Rust writes them."""
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field

BASE = {"void": "c_void", "char": "c_char", "float": "f32", "double": "f64"}
BASE |= {f"{sign}int{bits}_t": f"{'u' if sign else 'i'}{bits}"
         for sign in ("", "u") for bits in (8, 16, 32, 64)}
KEYWORDS = {"in", "type", "ref", "move", "match", "final", "fn", "impl", "use", "where", "loop"}


@dataclass
class Item:
    kind: str  # constant, enum, typedef, function, struct
    name: str
    type: str = ""  # the whole type, as SWIG encodes it
    value: int = 0
    in_enum: bool = False
    members: list = field(default_factory=list)  # parameters, fields, or an enum's constants


def split_arguments(text):
    """The arguments of f(..) and what comes after it; `text` begins behind the parenthesis."""
    depth, start, arguments = 0, 0, []
    for at, char in enumerate(text):
        if char == "(":
            depth += 1
        elif char in ",)" and depth == 0:
            if text[start:at] not in ("", "void"):
                arguments.append(text[start:at])
            start = at + 1
            if char == ")":
                return arguments, text[at + 1:].removeprefix(".")
        elif char == ")":
            depth -= 1
    raise ValueError(f"unbalanced type {text}")


def rust_name(name):
    return f"r#{name}" if name in KEYWORDS else name


def rust_result(swig):
    return "" if swig == "void" else f" -> {rust_type(swig)}"


def rust_type(swig, names=None):
    """SWIG writes types from the outside in: p. is a pointer to the rest, q(const). a const rest."""
    if swig.startswith("p.f("):
        arguments, result = split_arguments(swig[len("p.f("):])
        shown = [rust_type(argument) for argument in arguments]
        if names:
            shown = [f"{rust_name(name)}: {one}" for name, one in zip(names, shown, strict=True)]
        return f"unsafe extern \"C\" fn({', '.join(shown)}){rust_result(result)}"
    if swig.startswith("p.q(const)."):
        return f"*const {rust_type(swig[len('p.q(const).'):])}"
    if swig.startswith("p."):
        return f"*mut {rust_type(swig[2:])}"
    if swig.startswith("q(const)."):
        return rust_type(swig[len("q(const)."):])
    name = swig.removeprefix("struct ")
    if name not in BASE and not re.fullmatch(r"ra_\w+", name):
        raise ValueError(f"no Rust type is known for {swig}")
    return BASE.get(name, name)


def attributes(node):
    return {one.get("name"): one.get("value") for one in node.find("attributelist").findall("attribute")}


def parameters(node):
    found = []
    for parm in node.findall("attributelist/parmlist/parm"):
        of = attributes(parm)
        found.append(Item("parameter", of.get("name", ""), of["type"]))
    return [one for one in found if one.type != "void"]


def number(text):
    if not re.fullmatch(r"[\d\s()+*-]+", text):
        raise ValueError(f"not a plain number: {text}")
    return eval(text)  # only digits, brackets and signs, as was just seen


def read_cdecl(node, of):
    swig = of["decl"] + of["type"]
    if of.get("kind") == "typedef":
        return Item("typedef", of["name"], swig)
    if of.get("kind") == "function":
        _, result = split_arguments(swig[len("f("):])
        return Item("function", of["name"], result, members=parameters(node))
    return Item("variable", of["name"], swig, members=parameters(node))


def read_enum(node):
    constants, value = [], -1
    for one in node.findall("enumitem"):
        of = attributes(one)
        value = number(of["enumvalue"]) if "enumvalue" in of else value + 1
        constants.append(Item("constant", of["name"], value=value, in_enum=True))
    return Item("enum", constants[0].name, members=constants)


def read(path):
    """All declarations whose names begin with ra_ or RA_, in order."""
    items = []
    for node in ElementTree.parse(path).getroot().iter():
        if node.tag not in ("constant", "enum", "cdecl", "class"):
            continue
        of = attributes(node)
        if node.tag == "enum" and node.find("enumitem") is not None:
            items.append(read_enum(node))
        elif not of.get("name", "").lower().startswith("ra_"):
            continue
        elif node.tag == "constant":
            items.append(Item("constant", of["name"], value=number(of["value"])))
        elif node.tag == "class":
            fields = [read_cdecl(one, attributes(one)) for one in node.findall("cdecl")]
            items.append(Item("struct", of["name"], members=fields))
        elif node.tag == "cdecl":
            items.append(read_cdecl(node, of))
    structs = {item.name for item in items if item.kind == "struct"}
    return [item for item in items if not (item.kind == "typedef" and item.name in structs)]
