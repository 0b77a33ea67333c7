"""The comments of relayattn.h: which one belongs to what, and how rustdoc wants them."""
import re

COMMENT = re.compile(r"/\*(.*?)\*/", re.S)


def text_of(comment):
    """The lines of a comment's body, without its frame of asterisks."""
    lines = [re.sub(r"^\s*\* ?", "", line, count=1) for line in comment.split("\n")]
    lines[0] = lines[0].strip()
    while lines and not lines[0].strip():
        lines.pop(0)
    while lines and not lines[-1].strip():
        lines.pop()
    return [line.rstrip() for line in lines]


class Header:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.text = file.read()
        comments = list(COMMENT.finditer(self.text))
        self._ending_at = {match.end(): match.group(1) for match in comments}
        self.manual = text_of(comments[0].group(1))

    def _before(self, start):
        """The comment that ends right before a declaration, if one does."""
        end = len(self.text[:start].rstrip())
        return text_of(self._ending_at[end]) if end in self._ending_at else []

    def declaration(self, name):
        """The comment above a function, a struct, or a typedef."""
        patterns = (
            rf"^[a-z][\w *]*\b{name}\(",
            rf"^(typedef )?struct {name} \{{",
            rf"^typedef [^;{{]*\b{name}\)?(;|\()",
            rf"^#define {name}\b",
        )
        for pattern in patterns:
            match = re.search(pattern, self.text, re.M)
            if match and (found := self._before(match.start())):
                return found
        return []

    def enum_of(self, constant):
        """The comment above the enum that has this constant."""
        start = re.search(rf"^    {constant} =", self.text, re.M).start()
        return self._before(self.text.rindex("\nenum {", 0, start) + 1)

    def constant(self, name):
        """The comment behind a constant, which may stand on lines of its own after the comma."""
        return self._behind(rf"^    {name} = [^,\n]*?,?(?=\s)")

    def status(self, name):
        """What the table of errors in the manual says about one of them."""
        lines = iter(self.manual)
        for line in lines:
            if match := re.fullmatch(rf"    {name} +(.*)", line):
                found = [match.group(1)]
                while (line := next(lines)).startswith(" " * 10):
                    found.append(line.strip())
                return found
        return []

    def field(self, struct, name):
        body = re.search(rf"^(typedef )?struct {struct} \{{(.*?)^\}}", self.text, re.M | re.S)
        return self._behind(rf"\b{name};(?=[ \t]*/\*)", body.start(), body.end())

    def _behind(self, pattern, start=0, end=None):
        match = re.compile(pattern, re.M).search(self.text, start, end or len(self.text))
        comment = match and re.compile(r"[ \t]*/\*(.*?)\*/", re.S).match(self.text, match.end())
        return text_of(comment.group(1)) if comment else []


def escaped(line):
    return re.sub(r"([\[\]<>*`|#~])", r"\\\1", line.replace("\\", "\\\\"))


def markdown(lines):
    """Comment lines as Markdown: what the header indents is shown as it is, the rest is prose."""
    out, block = [], False
    for at, line in enumerate(lines):
        indented = line.startswith("    ") and line.strip()
        if indented and not block:
            if out and out[-1]:
                out.append("")
            out.append("```text")
            block = True
        elif block and line.strip() and not indented:
            while not out[-1]:
                out.pop()
            out += ["```", ""]
            block = False
        out.append(line[4:] if block else escaped(line).strip())
    if block:
        out.append("```")
    return out
