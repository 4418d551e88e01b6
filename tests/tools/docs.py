"""Checks the documents against the tree: programs, commands, tables and links.

A block of code is a whole program of the tree, or lines that stand so in one, or a piece of its own. Of a piece
each name must exist: Python's is read by mypy, C's and Java's are looked up in the header and in the sources. Of a
`diff` the lines that are added stand in a program; those that are taken away are another program's. The programs
themselves are compiled and run by other steps; here it is made sure that what a reader copies is what was run.
Tables of settings, errors and events have every name that the code has, and a setting has one default in the code,
the header, the docstrings, the Javadoc and the documents. Links lead somewhere. A version is Cargo's.
"""

import re
import subprocess
import sys
import tempfile
from itertools import groupby
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["README.md", "CONTRIBUTING.md", "bindings-python/README.md"] + sorted(
    str(path.relative_to(ROOT))
    for path in (ROOT / "docs").rglob("*.md")
    if path.name != "decisions.md"
)
LINKED = [*PAGES, "docs/decisions.md", "CHANGELOG.md"] + sorted(
    str(path.relative_to(ROOT)) for path in (ROOT / "tests").glob("*/README.md")
)
MOST_LINES = {"README.md": 200}
# The programs that must stand there whole, in this order.
SHOWN = {
    "docs/c.md": ["first.c", "token.c", "files.c", "ledger.c"],
    "docs/java.md": ["First.java", "Files.java", "Ledger.java"],
    "docs/python.md": ["first.py", "files.py", "ledger.py"],
}
EXAMPLES = {
    "c": "ffi-c/examples",
    "java": "bindings-java/examples",
    "python": "bindings-python/examples",
}
SUFFIX = {"c": ".c", "java": ".java", "python": ".py"}
# "cmake": tests/tools/install.sh builds what the page shows. "text": tests/tools/command_line.py compares it.
CHECKED = {*EXAMPLES, "diff", "console", "xml", "cmake", "text"}
# Methods in pieces of Java that are the JDK's or msal4j's.
FOREIGN = {
    *("acquireToken", "authority", "build", "builder", "createFromSecret"),
    *("expiresOnDate", "accessToken", "get", "getenv", "of", "between", "now"),
    *("toInstant", "println", "orElse", "orElseThrow", "sleep", "toMillis"),
}


def read(path: str) -> str:
    return (ROOT / path).read_text()


def programs(language: str) -> dict[str, str]:
    folder = ROOT / EXAMPLES[language]
    return {
        path.name: path.read_text()
        for path in sorted(folder.glob(f"*{SUFFIX[language]}"))
    }


def blocks(text: str) -> list[tuple[str, str]]:
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def prose(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def is_quoted(quotation: str, language: str) -> bool:
    """Whether these lines stand in one of the programs one after the other, however far indented."""
    wanted = dedent(quotation).splitlines()
    for program in programs(language).values():
        lines = program.splitlines()
        for start in range(len(lines) - len(wanted) + 1):
            part = "\n".join(lines[start : start + len(wanted)])
            if dedent(part).splitlines() == wanted:
                return True
    return False


def added(diff: str) -> list[str]:
    """What a diff adds, in one piece each."""
    pieces = groupby(diff.splitlines(), lambda line: line[:1] == "-")
    return [
        "\n".join(line[1:] for line in lines)
        for is_taken, lines in pieces
        if not is_taken
    ]


def without_texts(piece: str) -> str:
    return re.sub(r"\"(\\.|[^\"\\])*\"|//.*", "", piece)


def unknown_in_c(piece: str) -> set[str]:
    known = set(re.findall(r"\b[dD]365_\w+", read("include/d365_failover.h")))
    return set(re.findall(r"\b[dD]365_\w+", without_texts(piece))) - known


def unknown_in_java(piece: str) -> set[str]:
    package = ROOT / "bindings-java/src/main/java/io/github/d365failover"
    sources = "\n".join(path.read_text() for path in package.glob("*.java"))
    methods = set(re.findall(r"\b(\w+)\(", sources)) | FOREIGN
    return set(re.findall(r"\.(\w+)\(", without_texts(piece))) - methods


def misread_python(pieces: dict[str, str]) -> list[str]:
    """What mypy says of pieces of Python: names that are not defined, and what the package does not have."""
    with tempfile.TemporaryDirectory() as folder:
        for name, piece in pieces.items():
            (Path(folder) / f"{name}.py").write_text(piece)
        command = [sys.executable, "-m", "mypy", "--check-untyped-defs"]
        options = ["--ignore-missing-imports", "--no-incremental", "--no-error-summary"]
        path = {
            "MYPYPATH": str(ROOT / "bindings-python/python"),
            "MYPY_CACHE_DIR": folder,
        }
        files = sorted(str(path) for path in Path(folder).glob("*.py"))
        told = subprocess.run(
            [*command, *options, *files],
            env=path,
            check=False,
            cwd=folder,
            capture_output=True,
            text=True,
        )
        lines = (told.stdout + told.stderr).splitlines()
        return [
            line.removeprefix(f"{folder}/") for line in lines if ": note:" not in line
        ]


def code(page: str, text: str, pieces: dict[str, str]) -> list[str]:
    faults = []
    found = blocks(text)
    for path in SHOWN.get(page, []):
        language = next(
            name for name, suffix in SUFFIX.items() if path.endswith(suffix)
        )
        if (language, programs(language)[path]) not in found:
            faults.append(f"does not show {path} as it stands")
    for language, body in found:
        if language not in CHECKED:
            faults.append(f"has a block of {language!r}, which nothing checks:\n{body}")
        elif language == "diff":
            for piece in added(body):
                if not any(is_quoted(piece, language) for language in EXAMPLES):
                    faults.append(f"adds lines that stand in no example:\n{piece}")
        elif language in EXAMPLES and not is_quoted(body, language):
            if re.search(r"\bint main\(|void main\(", body):
                faults.append(f"shows a program that is no example:\n{body}")
            elif language == "python":
                name = re.sub(r"\W", "_", page.removesuffix(".md"))
                pieces[f"{name}_{len(pieces)}"] = body
            elif unknown := (
                unknown_in_c(body) if language == "c" else unknown_in_java(body)
            ):
                faults.append(f"uses {sorted(unknown)}, which there is not:\n{body}")
        elif language == "xml":
            pom = read("bindings-java/pom.xml")
            faults.extend(
                f"names {tag}, which is not the pom's"
                for tag in re.findall(r"<(?:groupId|artifactId|version)>.*", body)
                if tag not in pom
            )
    return faults


def group(pattern: str, text: str, flags: int = 0) -> str:
    """What stands where the pattern's group is."""
    match = re.search(pattern, text, flags)
    if match is None:
        raise LookupError(pattern)
    return str(match[1])


def commands(text: str) -> list[str]:
    targets = set(re.findall(r"^([\w-]+)(?: [\w-]+)*:", read("Makefile"), re.MULTILINE))
    phony = group(r"\.PHONY:(.*?\\\n.*)", read("Makefile"))
    targets |= set(re.findall(r"[\w-]+", phony))
    inline = "\n".join(re.findall(r"`(make [^`]+)`", prose(text)))
    fenced = "\n".join(body for name, body in blocks(text) if name == "console")
    named = re.findall(
        r"^(?:\$ )?make ([a-z][\w-]*)", f"{inline}\n{fenced}", re.MULTILINE
    )
    return [f"names make {name}, which there is not" for name in set(named) - targets]


def anchors(text: str) -> set[str]:
    """As GitHub makes them of headings."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.*)$", prose(text), re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower().strip()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        number = 0
        while (name := f"{slug}-{number}" if number else slug) in found:
            number += 1
        found.add(name)
    return found


def links(page: str, text: str) -> list[str]:
    faults = []
    for link in re.findall(r"\]\((?!https?://)([^)\s]+)\)", prose(text)):
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        if not target.exists():
            faults.append(f"links to {link}, which is not there")
        elif anchor and anchor not in anchors(target.read_text()):
            faults.append(f"links to {link}, a heading that is not there")
    return faults


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split(" | ")]


def spoken(key: str, default: str) -> str:
    """A default of the Rust table as a reader sees it."""
    if key.endswith("_ms"):
        return f"{int(default) / 1000:g} s"
    return default


def camel(key: str) -> str:
    head, *rest = key.split("_")
    return head + "".join(word.capitalize() for word in rest)


def code_of_settings() -> str:
    return read("core/src/settings/mod.rs") + read("core/src/settings/set.rs")


def settings() -> list[str]:
    rust = code_of_settings()
    names = re.findall(r"\"(\w+)\"", group(r"NAMES: .*?\[(.*?)\];", rust, re.DOTALL))
    defaults = dict(re.findall(r"^    /// \| `(\w+)` \| (.*?) \|", rust, re.MULTILINE))
    rows = {
        row[0].strip("`"): row
        for row in map(cells, read("docs/reference/settings.md").splitlines())
        if re.fullmatch(r"`\w+`", row[0])
    }
    builder = read(
        "bindings-java/src/main/java/io/github/d365failover/FailoverClientBuilder.java"
    )
    keywords = read("bindings-python/python/d365_failover/_settings.py")
    faults = [f"has no row for {name}" for name in names if name not in rows]
    faults += [f"has {name}, which is no setting" for name in rows if name not in names]
    for name in set(names) & set(rows):
        _, python, java, default, *_ = (cell.strip("`") for cell in rows[name])
        if default != spoken(name, defaults[name].strip("`")):
            faults.append(f"says {default} of {name}; the code says {defaults[name]}")
        if python != name.removesuffix("_ms") or f"    {python}: " not in keywords:
            faults.append(f"says {python} of {name} in Python")
        if java != camel(name.removesuffix("_ms")) or f" {java}(" not in builder:
            faults.append(f"says {java} of {name} in Java")
    return [f"docs/reference/settings.md {fault}" for fault in faults]


def spellings(key: str, default: str) -> dict[str, list[str]]:
    """How a default may stand in the header's table, a docstring, what help() shows, and the Javadoc; nothing where
    there is none."""
    if default == "on":
        return {
            "header": ["`on`"],
            "python": ["Default: True"],
            "help": ["Default: True"],
            "java": ["default true"],
        }
    if re.fullmatch(r"[a-z]+", default) and default not in ("none", "store"):
        constant = f"#{default.upper()}}}"
        return {
            "header": [f"`{default}`"],
            "python": [f'`"{default}"` (default)', f'Default: `"{default}"`'],
            "help": [f'Default: "{default}"'],
            "java": [constant],
        }
    if not re.fullmatch(r"[\d.]+", default):
        return {}
    number = float(default) / (1000 if key.endswith("_ms") else 1)
    if key.endswith("_ms"):
        java = [f"{number:g} s", f"{number / 60:g} minutes"]
    else:
        java = [default, f"{number:,.0f}".replace(",", " "), f"{number / 1024:g} kB"]
    plain = default if not key.endswith("_ms") else f"{number:g}"
    return {
        "header": [default],
        "python": [f"Default: {plain}"],
        "help": [f"Default: {plain}"],
        "java": [f"default {one}" for one in java],
    }


def defaults_of_code() -> dict[str, str]:
    """The defaults of `Settings::new` that are numbers, as the tables write them."""
    rust = read("core/src/settings/mod.rs")
    made = group(r"Ok\(Settings \{(.*?)\}\)", rust, re.DOTALL)
    found = {}
    for name, value in re.findall(r"^ +(\w+): (.*),$", made, re.MULTILINE):
        if seconds := re.fullmatch(r"Duration::from_secs\((\d+)\)", value):
            found[f"{name}_ms"] = f"{seconds[1]}000"
        elif shifted := re.fullmatch(r"(\d+) << (\d+)", value):
            found[name] = str(int(shifted[1]) << int(shifted[2]))
        elif re.fullmatch(r"[\d._]+", value):
            found[name] = value.replace("_", "")
    return found


def same_everywhere() -> list[str]:
    """Code, its documentation, header, docstrings and Javadoc have the same defaults."""
    rust = read("core/src/settings/set.rs")
    defaults = dict(
        re.findall(r"^    /// \| `(\w+)` \| `?(.*?)`? \|", rust, re.MULTILINE)
    )
    header = dict(
        re.findall(
            r"^ \* \| `(\w+)` +\| (.*?) +\|",
            read("include/d365_failover.h"),
            re.MULTILINE,
        )
    )
    python = dict(
        re.findall(
            r"^    (\w+): [^\n]*\n    \"\"\"(.*?)\"\"\"",
            read("bindings-python/python/d365_failover/_settings.py"),
            re.MULTILINE | re.DOTALL,
        )
    )
    shown = dict(
        re.findall(
            r"^    (\w+)  +(.*)$",
            read("bindings-python/python/d365_failover/_settings.py").partition(
                "HELP = "
            )[2],
            re.MULTILINE,
        )
    )
    builder = read(
        "bindings-java/src/main/java/io/github/d365failover/FailoverClientBuilder.java"
    )
    comments = re.findall(
        r"/\*\*((?:(?!\*/).)*)\*/\s+public FailoverClientBuilder (\w+)\(",
        builder,
        re.DOTALL,
    )
    java = {name: re.sub(r"\s*\n\s*\* ?", " ", text) for text, name in comments}
    faults = [
        f"core/src/settings says {defaults.get(name)} of {name}, which is {value}"
        for name, value in defaults_of_code().items()
        if defaults.get(name) != value
    ]
    for key, default in defaults.items():
        name = key.removesuffix("_ms")
        texts = {
            "header": header.get(key),
            "python": python.get(name),
            "help": shown.get(name),
            "java": java.get(camel(name)),
        }
        for where, forms in spellings(key, default).items():
            text = texts[where]
            if text is not None and not any(
                re.search(rf"(?<![\w.]){re.escape(form)}(?!\w|\.\d)", text)
                or form in text
                and not form[0].isalnum()
                for form in forms
            ):
                faults.append(f"{where}: {key} is said to be other than {default}")
        if key not in header or name not in python or name not in shown:
            faults.append(f"{key} is missing in the header, in Python or in its help")
    return faults


def named(page: str, what: str, names: set[str]) -> list[str]:
    text = read(page)
    return [
        f"{page} does not name the {what} {name}"
        for name in sorted(names)
        if f"`{name}`" not in text
    ]


def references() -> list[str]:
    header = read("include/d365_failover.h")
    fault = read("core/src/fault.rs")
    exceptions = read("bindings-python/python/d365_failover/_exceptions.py")
    package = ROOT / "bindings-java/src/main/java/io/github/d365failover"
    statuses = set(
        re.findall(r"^#define (D365_\w+) (?:[1-9]\d|1\d\d|200)$", header, re.MULTILINE)
    )
    statuses = {
        name
        for name in statuses
        if f"const {name}: d365_status_t" in read("ffi-c/src/status.rs")
    }
    page = "docs/reference/errors.md"
    return [
        *settings(),
        *same_everywhere(),
        *named(page, "status", statuses),
        *named(page, "kind or cause", set(re.findall(r"=> \"(\w+)\"", fault))),
        *named(
            page,
            "exception",
            set(re.findall(r"^class (\w+Error)\(", exceptions, re.MULTILINE)),
        ),
        *named(
            page, "exception", {path.stem for path in package.glob("*Exception.java")}
        ),
        *named(
            "docs/reference/events.md",
            "event",
            set(
                re.findall(
                    r"^class (\w+)Event\(",
                    read("bindings-python/python/d365_failover/_events.py"),
                    re.MULTILINE,
                )
            )
            - {"_Call", "EndpointSwitch"},
        ),
    ]


def versions() -> list[str]:
    """Whoever writes a version by hand means the workspace's; the others are made of it."""
    version = re.findall(r'^version = "(.*)"$', read("Cargo.toml"), re.MULTILINE)
    named = {
        "CHANGELOG.md": r"\A.*?^## \[(.*?)\]",
        "bindings-java/pom.xml": r"<artifactId>d365-failover</artifactId>\s*<version>(.*?)</version>",
        "ffi-c/src/version.rs": r'"(\d+\.\d+\.\d+)"',
    }
    anywhere = r"d365.failover-(\d+\.\d+\.\d+)|<artifactId>d365-failover</artifactId>\s*<version>(.*?)</version>"
    faults = []
    for page, pattern in [*named.items(), *((page, anywhere) for page in PAGES)]:
        found = re.findall(pattern, read(page), re.MULTILINE | re.DOTALL)
        told = ["".join(one) for one in found]
        if page in named and not told:
            faults.append(f"{page} names no version")
        faults += [
            f"{page} has {one}, Cargo.toml {version}"
            for one in told
            if [one] != version
        ]
    return faults


def main() -> int:
    faults: list[str] = []
    pieces: dict[str, str] = {}
    count = 0
    for page in PAGES:
        text = read(page)
        count += len(blocks(text))
        told = [*code(page, text, pieces), *commands(text)]
        most = MOST_LINES.get(page)
        if most is not None and len(text.splitlines()) > most:
            told.append(f"has {len(text.splitlines())} lines, more than {most}")
        faults.extend(f"{page} {fault}" for fault in told)
    for page in LINKED:
        faults.extend(f"{page} {fault}" for fault in links(page, read(page)))
    faults.extend(references())
    faults.extend(versions())
    faults.extend(misread_python(pieces))
    for fault in faults:
        print(fault)
    print(f"{len(PAGES)} pages, {count} blocks, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
