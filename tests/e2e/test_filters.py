"""Filters: what Wigeon lists is what rclone lists, rule for rule."""

import json
import os
import subprocess

import pytest

from conftest import environment
from test_client_with_wigeon import admin, own  # noqa: F401

NAMES = """
a.txt b.jpg B.JPG .hidden -dash file1 file2 file10 ab a,b a+b a(b) a|b a^b a$b {b} [x] a*b a?b x\\y sum.md5
dir/a.txt dir/b.jpg dir/sub/c.txt dir/sub/deep/d.jpg dir/sub/deep/.e dir0 dir-x/a.txt dir.d/a.txt DIR2/a.TXT
other/dir/a.txt other/dir/sub/b.jpg other/x/a.txt z/dir z/y/x/w/v.txt photos/2019/a.jpg photos/2020/b.jpg photos/2020/raw/c.nef
node_modules/p/index.js src/node_modules/q/index.js src/main.rs src/lib/mod.rs ünï/ö.txt ünï/日本.jpg 0123/45.67 é
""".split() + ["with space/a b.txt", " lead", "new\nline.txt", "dir/new\nline.txt", "tab\there", "x" * 200]

# Each is a command line of rclone's; both programs must mean the same files by it.
CASES = [
    # One pattern.
    *[["--include", pattern] for pattern in (
        "*", "**", "/*", "/**", "*.jpg", "/*.jpg", "a.txt", "/a.txt", "dir/*", "/dir/*", "dir/**", "/dir/**", "dir/", "/dir/",
        "dir**", "**dir", "**/dir/**", "*/a.txt", "/*/a.txt", "**/a.txt", "/**/a.txt", "dir/*.txt", "dir/**.txt", "d*r/**", "?.txt",
        "file?", "file??", "file[12]", "file[!1]", "file[^1]", "[a-c].*", "[[:upper:]]*", "[[:digit:]]*/**", r"\[x\]", r"a\*b", r"a\?b",
        r"\{b\}", "a,b", "{a,b}.*", "*.{jpg,txt}", "{dir,other}/**", "{dir/sub,photos}/**", "{a,b,}.txt", "a+b", "a(b)", "a|b", "a^b",
        "a$b", "{{a|b}}.txt", "{{.*\\.jpg}}", "/{{[a-z]+}}/*.txt", "{{\\d+}}/*", "file{{\\d{2}}}", "{{\\w+}}", "{{(?i)B}}.jpg",
        "photos/20{19,20}/*", "photos/**/*.nef", "/photos/**/c.nef", "ünï/*", "*ö*", "[é]", "with space/*", "*b.txt", " lead", "x*x",
        "new*", "*line.txt", "**line.txt", "new?line.txt", "dir//a.txt", "/dir//**", "dir/sub/", ".*", "-*", "*.TXT", "sum", "x\\\\y",
        "{a,{b,c}}.*", "d[i]r/*", "**.jpg", "/**.jpg", "a**t", "other/**/sub/*", "[]", "[a", "a]", "{a", "a}", "***", "{{a", "{{(}}", "{{[[:x:]]}}",
        "[z-a]", r"\ü", "{{a**}}", "[a&&b]*", "[a~~]*", "[[]x]", r"[\d]*", r"\d*", "{{[\\w-]+}}.jpg", "{{^a}}", "/", "//", "dir/sub/*/",
    )],
    *[["--exclude", pattern] for pattern in (
        "*", "**", "/**", "*.jpg", "/*.jpg", "dir/", "/dir/", "dir/*", "dir/**", "/dir/**", "node_modules/", "/node_modules/", "sub/", "sub/*",
        "dir", "/dir", "d*", "d*/", "*/", "/*/", "*/*", "*/**", "/*/**", "**/x/**", ".*", "[a-m]*", "{dir,other}/", "{{.*x.*}}", "photos/2020/",
        "photos/*/", "photos/**/raw/", "/photos/2019/**", "a.txt", "*.TXT", "new**", "**/", "ünï/", "dir/new*",
    )],
    # Order, and both kinds.
    ["--include", "*.jpg", "--include", "/dir/**"],
    ["--include", "*.txt", "--exclude", "dir/"],
    ["--include", "/dir/**", "--exclude", "*.jpg"],
    ["--exclude", "*.jpg", "--exclude", "*.txt"],
    ["--filter", "- *.jpg", "--filter", "+ dir/**", "--filter", "- *"],
    ["--filter", "+ *.jpg", "--filter", "- *"],
    ["--filter", "+ a/b", "--filter", "+ dir/a.txt", "--filter", "- *"],
    ["--filter", "+ /dir/sub/**", "--filter", "- /dir/**"],
    ["--filter", "- /dir/**", "--filter", "+ /dir/sub/**"],
    ["--filter", "+ *.txt", "--filter", "- **"],
    ["--filter", "+ dir/", "--filter", "- *.txt"],
    ["--filter", "+ dir/", "--filter", "- *"],
    ["--filter", "- *", "--filter", "!", "--filter", "- *.jpg"],
    ["--filter", "- *", "--filter", "+ a.txt"],
    ["--filter", "+ /photos/2019/**", "--filter", "- /photos/**", "--filter", "+ **"],
    ["--filter", "+ */sub/*", "--filter", "- */*"],
    ["--filter", "+ sub/**", "--filter", "- d*/"],
    ["--filter", "+ {{.*}}/a.txt", "--filter", "- *"],
    ["--filter", "nothing"],
    ["--filter", "+a"],
    ["--filter", "# comment"],
    ["--include", "*.jpg", "--filter", "- /photos/**"],
    # Case.
    ["--ignore-case", "--include", "*.jpg"],
    ["--ignore-case", "--include", "/dir*/*.txt"],
    ["--ignore-case", "--exclude", "DIR/"],
    ["--ignore-case", "--include", "É"],
    ["--ignore-case", "--include", "[A-B].*"],
    # Sizes.
    *[[f"--{end}-size", size] for end in ("min", "max") for size in ("0", "1", "10B", "1k", "1Ki", "1KiB", "1.5K", "2047B", "2048b", "1M", "1KB", "x", "1.2.3K")],
    ["--min-size", "1K", "--max-size", "2K", "--exclude", "dir/"],
    # Ages.
    *[[f"--{end}-age", age] for end in ("min", "max") for age in ("0s", "1m", "1h30m", "2d", "1w", "1M", "1y", "36500d", "2020-01-01", "2020-01-01T00:00:00Z", "2020-01-01 10:00:00", "90", "1.5h", "x", "1d2h")],
    ["--min-age", "2d", "--max-age", "1d"],
]

FILES = [
    ("--include-from", "# a comment\n; another\n\n  *.jpg  \n/dir/**\n"),
    ("--exclude-from", "*.jpg\nnode_modules/\n\n#x\n"),
    ("--filter-from", "- *.jpg\n+ /dir/**\n!\n+ /photos/**\n- *\n"),
    ("--filter-from", "nothing\n"),
    ("--files-from", "a.txt\n/dir/a.txt\n# comment\n missing\n dir/sub/c.txt \n"),
    ("--files-from-raw", "a.txt\n lead\nwith space/a b.txt\n#missing\n"),
    ("--files-from", "\n"),
]


@pytest.fixture(scope="module")
def tree(own):  # noqa: F811
    """The same files here and in the store, of sizes between 0 and 2,048 bytes, of this moment."""
    root = own.home / "filtered"
    for number, name in enumerate(NAMES):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes((number * 37) % 2049))
    own("cp", "-r", "filtered", "s3://home/alice/filtered")
    yield root
    own("rm", "-r", "s3://home/alice/filtered")


def by_rclone(tree, arguments):
    command = ["rclone", "lsjson", "-R", "--files-only", "--no-modtime", str(tree), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(tree.parent, RCLONE_CONFIG=os.devnull))
    if done.returncode != 0:
        return None
    # Inside rclone, its rules included, control characters are letters that picture them.
    plain = str.maketrans({0x2400 + code: code for code in range(0x20)})
    return sorted(entry["Path"].translate(plain) for entry in json.loads(done.stdout))


def by_wigeon(own, arguments):  # noqa: F811
    done = own("ls", "-r", "s3://home/alice/filtered/", "--json", *arguments, code=None)
    if done.returncode == 2:
        return None
    assert done.returncode == 0, done.stderr
    return sorted(json.loads(line)["key"].removeprefix("alice/filtered/") for line in done.stdout.splitlines())


def compare(own, tree, cases):  # noqa: F811
    different, refused, some = [], 0, 0
    for arguments in cases:
        theirs, ours = by_rclone(tree, arguments), by_wigeon(own, arguments)
        refused += theirs is None
        some += theirs is not None and 0 < len(theirs) < len(NAMES)
        if theirs != ours:
            only = lambda one, other: one if one is None or other is None else sorted(set(one) - set(other))
            different.append((arguments, {"only rclone": only(theirs, ours), "only wigeon": only(ours, theirs)}))
    if different:
        pytest.fail("\n".join(map(repr, different)), pytrace=False)
    return refused, some


def test_each_rule_means_what_it_means_to_rclone(own, tree):  # noqa: F811
    refused, some = compare(own, tree, CASES)
    # The table has what is refused, and most of it tells files apart.
    assert refused > 15 and some > 110, (refused, some)


def test_rules_in_files(own, tree):  # noqa: F811
    cases = []
    for number, (option, text) in enumerate(FILES):
        path = own.home / f"rules-{number}"
        path.write_text(text)
        cases.append([option, str(path)])
    cases.append([*cases[4], *cases[5]])
    cases.append([*cases[4], "--exclude", "*.jpg"])
    refused, _ = compare(own, tree, cases)
    assert refused == 2


def test_rules_from_standard_input(own, tree):  # noqa: F811
    done = own("ls", "-r", "s3://home/alice/filtered/", "--json", "--include-from", "-", input="*.nef\n")
    assert [json.loads(line)["key"] for line in done.stdout.splitlines()] == ["alice/filtered/photos/2020/raw/c.nef"]


def test_one_level_shows_the_folders_that_are_entered(own, tree):  # noqa: F811
    done = own("ls", "s3://home/alice/filtered/", "--json", "--filter", "- d*/", "--filter", "+ */", "--filter", "- *")
    folders = [json.loads(line)["key"].removeprefix("alice/filtered/") for line in done.stdout.splitlines()]
    assert "photos/" in folders and "dir/" not in folders
