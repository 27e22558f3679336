"""Reads a template into its tree, accepting and refusing what Go's text/template accepts and refuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from alerts.function import FUNCTIONS, TemplateError
from alerts.literal import number, unquoted
from alerts.node import Chain, Control, Dot, Function, Include, Jump, Literal, Node, Operand, Path, Pipeline, Tree
from alerts.token import Token, tokens

#: Deeper nesting than any person writes; it bounds the recursion.
MAX_DEPTH = 40


_NOT_CALLABLE = (Literal, Dot)


def parse_template(text: str, variables: Sequence[str]) -> Tree:
    """Read ``text``, which may use ``variables``. Raises :class:`TemplateError`."""
    return _Parser(text, ["$", *variables]).tree()


class _Parser:
    def __init__(self, text: str, variables: list[str]) -> None:
        self._tokens: list[Token] = list(tokens(text))
        self._at = 0
        self._variables = variables
        self._ranges = 0
        self._depth = 0
        self._defined: dict[str, Sequence[Node]] = {}

    def tree(self) -> Tree:
        nodes: list[Node] = []
        while self._peek().kind != "end":
            if self._is_definition():
                self._definition()
                continue
            node = self._node()
            if isinstance(node, Token):
                raise TemplateError(f"unexpected {{{{ {node.text} }}}}")
            nodes.append(node)
        return Tree(nodes, self._defined)

    # --- tokens --------------------------------------------------------------------------------------------------

    def _peek(self) -> Token:
        return self._tokens[self._at]

    def _next(self) -> Token:
        token = self._tokens[self._at]
        if token.kind != "end":
            self._at += 1
        return token

    def _peek_word(self) -> Token:
        while self._peek().kind == "space":
            self._at += 1
        return self._peek()

    def _next_word(self) -> Token:
        self._peek_word()
        return self._next()

    def _expect_close(self, place: str) -> None:
        token = self._next_word()
        if token.kind != "close":
            self._unexpected(token, place)

    def _unexpected(self, token: Token, place: str) -> NoReturn:
        what = {"end": "end of the text", "close": "'}}'"}.get(token.kind, repr(token.text))
        raise TemplateError(f"unexpected {what} in {place}")

    # --- actions -------------------------------------------------------------------------------------------------

    def _is_definition(self) -> bool:
        following = [token for token in self._tokens[self._at : self._at + 3] if token.kind != "space"]
        return len(following) > 1 and following[0].kind == "open" and following[1] == Token("keyword", "define")

    def _definition(self) -> None:
        self._next()
        self._next_word()
        name = self._name("define")
        self._expect_close("define")
        outer, self._variables = self._variables, ["$"]
        nodes, stop = self._nodes()
        self._variables = outer
        if stop.text != "end":
            self._unexpected(stop, "define")
        self._add(name, nodes)

    def _add(self, name: str, nodes: Sequence[Node]) -> None:
        empty = all(isinstance(node, str) and not node.strip() for node in nodes)
        known = self._defined.get(name)
        if known is not None and not empty and not all(isinstance(one, str) and not one.strip() for one in known):
            raise TemplateError(f"template {name!r} is defined twice")
        if known is None or not empty:
            self._defined[name] = nodes

    def _name(self, place: str) -> str:
        token = self._next_word()
        if token.kind not in ("string", "raw"):
            self._unexpected(token, place)
        return unquoted(token)

    def _nodes(self) -> tuple[list[Node], Token]:
        """Nodes up to an ``else`` or ``end``, which is returned beside them."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise TemplateError("nested too deeply")
        nodes: list[Node] = []
        while self._peek_word().kind != "end":
            node = self._node()
            if isinstance(node, Token):
                self._depth -= 1
                return nodes, node
            nodes.append(node)
        raise TemplateError("an {{ if }}, {{ with }}, {{ range }}, {{ define }} or {{ block }} lacks its {{ end }}")

    def _node(self) -> Node | Token:
        token = self._next_word()
        if token.kind == "text":
            return token.text
        if token.kind != "open":
            self._unexpected(token, "the template")
        word = self._next_word()
        if word.kind == "keyword" and word.text != "nil":
            return self._statement(word)
        self._at -= 1
        return self._pipeline("an action", "close")

    def _statement(self, word: Token) -> Node | Token:
        match word.text:
            case "if" | "with" | "range":
                return self._control(word.text)
            case "end":
                self._expect_close("end")
                return word
            case "else":
                if self._peek_word() not in (Token("keyword", "if"), Token("keyword", "with")):
                    self._expect_close("else")
                return word
            case "break" | "continue":
                self._expect_close(word.text)
                if not self._ranges:
                    raise TemplateError(f"{{{{ {word.text} }}}} outside of a {{{{ range }}}}")
                return Jump(word.text)
            case "template":
                return self._include()
            case "block":
                return self._block()
            case _:
                raise TemplateError(f"unexpected {word.text!r} in an action")

    def _control(self, word: str) -> Control:
        known = len(self._variables)
        pipeline = self._pipeline(word, "close")
        self._ranges += word == "range"
        then, stop = self._nodes()
        self._ranges -= word == "range"
        otherwise: Sequence[Node] = ()
        if stop.text == "else":
            following = self._peek()
            if following.kind == "keyword":
                # The chain's one {{ end }} closes the nested branch and this one together.
                if following.text != word:
                    self._unexpected(following, "else")
                self._next()
                self._deeper()
                otherwise = [self._control(word)]
                self._depth -= 1
            else:
                otherwise, stop = self._nodes()
                if stop.text != "end":
                    self._unexpected(stop, word)
        del self._variables[known:]
        return Control(word, pipeline, then, otherwise)

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise TemplateError("nested too deeply")

    def _include(self) -> Include:
        name = self._name("template")
        pipeline = None
        if self._peek_word().kind == "close":
            self._next()
        else:
            pipeline = self._pipeline("template", "close")
        return Include(name, pipeline)

    def _block(self) -> Include:
        name = self._name("block")
        pipeline = self._pipeline("block", "close")
        outer, self._variables = self._variables, ["$"]
        nodes, stop = self._nodes()
        self._variables = outer
        if stop.text != "end":
            self._unexpected(stop, "block")
        self._add(name, nodes)
        return Include(name, pipeline)

    # --- pipelines -----------------------------------------------------------------------------------------------

    def _pipeline(self, place: str, closing: str) -> Pipeline:
        self._deeper()
        variables, declares = self._assigned(place)
        commands: list[tuple[Operand, ...]] = []
        while True:
            token = self._peek_word()
            if token.kind == closing or (token.kind == "mark" and token.text == closing):
                self._next()
                break
            if not self._begins_operand(token):
                self._unexpected(token, place)
            commands.append(self._command())
        if not commands:
            raise TemplateError(f"{place} holds nothing")
        for command in commands[1:]:
            if isinstance(command[0], _NOT_CALLABLE):
                raise TemplateError(f"cannot pipe into {_said(command[0])}, which is not a function")
        self._depth -= 1
        return Pipeline(tuple(commands), variables, declares)

    def _assigned(self, place: str) -> tuple[tuple[str, ...], bool]:
        """The variables before ``:=`` or ``=``, and whether they are new."""
        variables: list[str] = []
        while self._peek_word().kind == "variable":
            before = self._at
            name = self._next().text
            following = self._peek_word()
            if following.kind in ("assign", "declare"):
                self._next()
                self._variables.append(name)
                return (*variables, name), following.kind == "declare"
            if following != Token("mark", ","):
                self._at = before
                if variables:
                    raise TemplateError("a range can only declare variables before ':='")
                break
            self._next()
            self._variables.append(name)
            variables.append(name)
            if place != "range" or len(variables) > 1:
                raise TemplateError(f"too many variables in {place}")
            if self._peek_word().kind != "variable":
                raise TemplateError("a range can only declare variables")
        return (), True

    def _begins_operand(self, token: Token) -> bool:
        if token.kind == "keyword":
            return token.text == "nil"
        return token.kind in ("char", "dot", "field", "word", "number", "raw", "string", "variable") or (
            token == Token("mark", "(")
        )

    def _command(self) -> tuple[Operand, ...]:
        arguments: list[Operand] = []
        while True:
            self._peek_word()
            operand = self._operand()
            if operand is not None:
                arguments.append(operand)
            token = self._next()
            if token.kind == "space":
                continue
            if token.kind == "close" or token == Token("mark", ")"):
                self._at -= 1
            elif token.kind != "pipe":
                self._unexpected(token, "an expression")
            break
        if not arguments:
            raise TemplateError("a command is empty")
        return tuple(arguments)

    def _operand(self) -> Operand | None:
        found = self._term()
        if found is None or self._peek().kind != "field":
            return found
        fields: list[str] = []
        while self._peek().kind == "field":
            fields.append(self._next().text[1:])
        if isinstance(found, Path):
            return Path(found.variable, (*found.fields, *fields))
        if isinstance(found, Literal | Dot):
            raise TemplateError(f"unexpected '.' after {_said(found)}")
        return Chain(found, tuple(fields))

    def _term(self) -> Operand | None:
        token = self._next_word()
        match token.kind:
            case "word" if token.text in ("true", "false"):
                return Literal(token.text == "true")
            case "word":
                if token.text not in FUNCTIONS:
                    known = ", ".join(sorted(FUNCTIONS))
                    raise TemplateError(f"function {token.text!r} is not known here; known are: {known}")
                return Function(token.text)
            case "dot":
                return Dot()
            case "keyword" if token.text == "nil":
                return Literal(None)
            case "variable":
                if token.text not in self._variables:
                    known = ", ".join(sorted(set(self._variables)))
                    raise TemplateError(f"variable {token.text!r} is not known; known are: {known}")
                return Path(token.text, ())
            case "field":
                return Path("", (token.text[1:],))
            case "number" | "char":
                return Literal(number(token))
            case "string" | "raw":
                return Literal(unquoted(token))
            case "mark" if token.text == "(":
                return self._pipeline("brackets", ")")
            case _:
                if token.kind != "end":
                    self._at -= 1
                return None


def _said(operand: Operand) -> str:
    return "'.'" if isinstance(operand, Dot) else repr(getattr(operand, "value", operand))
