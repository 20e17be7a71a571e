"""Where the project refuses something, and the sentence it does so with."""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from lib.errors import Refusal

PROJECT = Path(__file__).resolve().parents[1]
KINDS = {"Refusal", *(kind.__name__ for kind in Refusal.__subclasses__())}
ARGPARSE = {"ArgumentTypeError", "error"}  # argparse.ArgumentTypeError, parser.error
# Faults that are collected, to be told together.
COLLECTIONS = re.compile(r"\b(faults|found|refused)$")
EXPLAIN = {"_explain", "describe_misfit"}  # functions that return why
ANYTHING = ".*"
SENTENCES = "_SENTENCES"  # templates by verdict


@dataclass(frozen=True)
class Site:
    """One place that refuses.

    Attributes
    ----------
    line : int
    template : ast.expr
        What makes the message.
    """

    line: int
    template: ast.expr

    def says(self, sentence):
        """Return whether the message can be this sentence."""
        return re.fullmatch(_pattern(self.template), sentence, re.DOTALL) is not None


def files():
    """Return the paths of the scripts and of lib/, from the project folder."""
    paths = [*PROJECT.glob("*.py"), *PROJECT.glob("lib/**/*.py")]
    return sorted(path.relative_to(PROJECT).as_posix() for path in paths)


def sites(file):
    """Return the refusals of a file that have words of their own, by line."""
    nodes = list(ast.walk(ast.parse((PROJECT / file).read_text())))
    templates = [template for node in nodes for template in _templates(node)]
    found = [Site(t.lineno, t) for t in templates if _pattern(t) != ANYTHING]
    return sorted(found, key=lambda site: site.line)


def _templates(node):
    """Return what makes the messages of a piece of the program."""
    if isinstance(node, ast.Call) and node.args:
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        collects = name == "append" and COLLECTIONS.search(ast.unparse(node.func.value))
        return node.args[:1] if collects or name in KINDS | ARGPARSE else []
    if isinstance(node, ast.FunctionDef) and node.name in EXPLAIN:
        inner = [step for step in ast.walk(node) if isinstance(step, ast.Return)]
        return [step.value for step in inner]
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == SENTENCES:
        return node.value.values
    return []


def _pattern(node):
    """Return a regular expression of what an expression can give."""
    if isinstance(node, ast.Constant):
        parts = re.split(r"\{\w+\}", str(node.value))  # of str.format
        return ANYTHING.join(map(re.escape, parts))
    if isinstance(node, ast.JoinedStr):
        return "".join(map(_pattern, node.values))
    return ANYTHING
