"""Connection profiles as people have them, without a network: every file loads unchanged, and nothing is lost on the way."""

import json
import plistlib
import tomllib

import pytest

from conftest import SHARED

CORPUS = sorted((SHARED / "corpus" / "profiles").glob("*")) or [None]


def loaded(file):
    """The property list as another reader sees it; some files have no XML declaration."""
    return plistlib.loads(file.read_bytes(), fmt=plistlib.FMT_XML)


@pytest.fixture(params=CORPUS, ids=lambda file: file.name if file else "none")
def file(request):
    if request.param is None:
        pytest.skip("no corpus: set WIGEON_SHARED to the folder that holds it")
    return request.param


def test_a_profile_loads_is_shown_and_checked(file, wigeon):
    document = loaded(file)
    imported = json.loads(wigeon("profile", "import", file, "--name", "p", "--json").stdout)
    assert imported["name"] == "p" and imported["description"]
    shown = json.loads(wigeon("profile", "show", "--json").stdout)
    values = {line["key"]: line["value"] for line in shown["values"]}
    assert values["vendor"] == document["Vendor"]
    if document.get("Default Hostname"):
        assert document["Default Hostname"].strip() in values["endpoint"]
    signs_in = "OAuth Authorization Url" in document or "OAuth Token Url" in document
    sign_in = {"AuthorizationCode": "browser", "PasswordGrant": "password"}.get(document.get("Authorization"), "browser")
    assert (sign_in in values["sign-in"]) == signs_in
    assert {unknown["place"] for unknown in shown["unknown"]} <= {"properties"}, "every key of a real file is understood"

    # Each of them can be used: by a sign-in, or with keys from somewhere. What is noted never stops anyone.
    findings = json.loads(wigeon("profile", "check", "--json").stdout)["findings"]
    assert not [finding for finding in findings if finding["severity"] == "error"]
    keys = any("access keys are asked for" in finding["text"] for finding in findings)
    center = any("~/.aws/config" in finding["text"] for finding in findings)
    assert signs_in != (keys or center)
    people = wigeon("profile", "show").stdout
    assert document["Vendor"] in people and len(people.splitlines()) >= len(shown["values"])


def test_a_profile_is_the_same_in_either_notation(file, wigeon, home):
    wigeon("profile", "import", file, "--name", "first")
    toml = wigeon("profile", "export", "first", "--format", "toml").stdout
    assert tomllib.loads(toml)["vendor"] == loaded(file)["Vendor"]
    plist = wigeon("profile", "export", "first", "--format", "plist").stdout
    assert plistlib.loads(plist.encode()) == loaded(file)

    (home / "second.toml").write_text(toml)
    (home / "third.cyberduckprofile").write_text(plist)
    for name in ("second.toml", "third.cyberduckprofile"):
        short = name.split(".")[0]
        wigeon("profile", "import", name, "--name", short)
        assert wigeon("profile", "export", short, "--format", "toml").stdout == toml
        assert plistlib.loads(wigeon("profile", "export", short, "--format", "plist").stdout.encode()) == loaded(file)


def test_names_are_made_from_what_the_file_says(file, wigeon):
    said = wigeon("profile", "import", file).stdout
    name = said.rsplit(" as ", 1)[1].strip().rstrip(".")
    assert json.loads(wigeon("profile", "list", "--json").stdout)[0]["name"] == name
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-._")
    taken = wigeon("profile", "import", file, code=1).stderr
    assert "--name" in taken and "--replace" in taken
    wigeon("profile", "import", file, "--replace")
    wigeon("profile", "remove", name)
    assert json.loads(wigeon("profile", "list", "--json").stdout) == []


START = '<?xml version="1.0"?>\n<plist version="1.0">\n<dict>\n'
BAD = {
    "empty": (b"", 1, ""),
    "text": (b"hello\nthere\n", 1, ""),
    "cut": (f"{START}<key>Protocol</key>\n<string>s3</str".encode(), 5, ""),
    "an array": (b"<plist>\n<array/></plist>", 2, "dict"),
    "no vendor": (f"{START}<key>Protocol</key><string>s3</string>\n</dict></plist>".encode(), 3, "`Vendor`"),
    "no protocol": (f"{START}<key>Vendor</key><string>x</string>\n</dict></plist>".encode(), 3, "`Protocol`"),
    "a wrong type": (f"{START}<key>Protocol</key><string>s3</string>\n<key>Vendor</key><array/>\n</dict></plist>".encode(), 5, "`Vendor`"),
    "toml without vendor": (b"protocol = 's3'\n", 1, "`vendor`"),
    "broken toml": (b"protocol = 's3'\nvendor = \n", 2, ""),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_named_with_its_line(name, wigeon, home):
    content, line, missing = BAD[name]
    (home / "bad file").write_bytes(content)
    text = wigeon("profile", "import", "bad file", code=1).stderr
    assert f"`bad file`, line {line}: " in text
    assert missing.lower() in text.lower()
    assert wigeon("profile", "list").stdout == ""


def test_a_file_that_is_not_there(wigeon):
    text = wigeon("profile", "import", "nowhere.cyberduckprofile", code=1).stderr
    assert "nowhere.cyberduckprofile" in text and "No such file" in text


BOOKMARK = """<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict>
  <key>Protocol</key><string>s3</string>
  <key>Provider</key><string>lab</string>
  <key>Hostname</key><string>storage.example.org</string>
  <key>Port</key><string>8443</string>
  <key>Nickname</key><string>Ada's buckets</string>
  <key>UUID</key><string>a3b1</string>
  <key>Username</key><string>ada</string>
  <key>Labels</key><array><string>work</string></array>
  <key>Custom</key><dict>
    <key>role_arn</key><string>arn:aws:iam::000000000001:role/ada</string>
    <key>OAuth Client ID</key><string>of-ada</string>
  </dict>
</dict></plist>
"""
PROFILE = """<plist version="1.0"><dict>
  <key>Protocol</key><string>s3</string><key>Vendor</key><string>lab</string>
  <key>Default Hostname</key><string>s3.example.org</string>
  <key>OAuth Client ID</key><string>everyones</string>
  <key>OAuth Authorization Url</key><string>https://login.example.org/auth</string>
  <key>OAuth Token Url</key><string>https://login.example.org/token</string>
  <key>Made Up</key><string>kept</string>
  <key>Properties</key><dict><key>role_arn</key><string>arn:aws:iam::000000000001:role/all</string></dict>
</dict></plist>
"""


def test_a_bookmark_wins_over_its_profile_and_comes_back_whole(wigeon, home):
    (home / "ada.duck").write_text(BOOKMARK)
    (home / "lab.cyberduckprofile").write_text(PROFILE)
    assert "import that profile" in wigeon("profile", "import", "ada.duck", code=1).stderr
    wigeon("profile", "import", "lab.cyberduckprofile")
    wigeon("profile", "import", "ada.duck", "--name", "ada")
    shown = json.loads(wigeon("profile", "show", "ada", "--json").stdout)
    values = {line["key"]: (line["value"], line["origin"]) for line in shown["values"]}
    assert values["role"] == ("arn:aws:iam::000000000001:role/ada", "bookmark")
    assert values["client id"] == ("of-ada", "bookmark")
    assert values["endpoint"] == ("https://storage.example.org:8443/", "bookmark")
    assert values["token url"][1] == "profile"
    assert {"place": "profile", "key": "Made Up"} in shown["unknown"]
    again = plistlib.loads(wigeon("profile", "export", "ada", "--bookmark", "--format", "plist").stdout.encode())
    assert again == plistlib.loads(BOOKMARK.encode())
    assert json.loads(wigeon("profile", "show", "lab", "--json").stdout)["values"] != shown["values"]


def test_the_persons_configuration_fills_what_is_left_open(wigeon, home):
    folder = home / ".config" / "wigeon"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text('profile = "lab"\n[defaults]\nregion = "eu-north-1"\n')
    (home / "lab.cyberduckprofile").write_text(PROFILE)
    wigeon("profile", "import", "lab.cyberduckprofile")
    wigeon("profile", "import", "lab.cyberduckprofile", "--name", "other")
    shown = json.loads(wigeon("profile", "show", "--json").stdout)
    assert shown["name"] == "lab"
    assert {"key": "region", "value": "eu-north-1", "origin": "configuration"} in shown["values"]
    (folder / "config.toml").write_text("\nprofiel = 'lab'\n")
    assert "`profiel`" in wigeon("profile", "show", code=1).stderr
