"""`status`, `doctor`, `token`, the profiles of a directory and of an address, and completions."""

import http.server
import json
import os
import re
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import boto3
import pytest

from conftest import BINARY, environment, free_port, runner
from test_client_with_wigeon import edit, profile, record_of, root, signed_in


@pytest.fixture(scope="module")
def admin(server):
    return root(server)


@pytest.fixture(scope="module")
def own(tmp_path_factory, server, identity, admin, browse):
    run = signed_in(tmp_path_factory.mktemp("understanding"), browse, server, identity.issuer)
    (run.home / "lab.toml").write_text(profile(server, identity.issuer).replace("Our own", "The lab"))
    run("profile", "import", "lab.toml", "--name", "lab")
    return run


def steps(run, *arguments, code=0):
    done = run("doctor", *arguments, "--json", code=code)
    return {check["step"]: check for check in json.loads(done.stdout)["checks"]}


# ---- status ------------------------------------------------------------------------------------------------


def test_status_says_it_in_a_line(own):
    lines = own("status").stdout.splitlines()
    assert lines[0] == 'Sign-in needed for profile "lab". Run: wigeon login lab'
    assert re.fullmatch(r"Signed in as alice@example\.test \(own\)\. Role person\. Valid \d+ min, renews by itself\.", lines[1])
    assert own("status", "own").stdout.strip() == lines[1]
    assert own("status", "lab", code=4).stderr == 'Sign-in needed for profile "lab". Run: wigeon login lab\n'
    documents = {document["profile"]: document for document in json.loads(own("status", "--json").stdout)}
    assert (documents["own"]["state"], documents["own"]["role_name"], documents["lab"]["state"]) == ("valid", "person", "sign-in-needed")


def test_status_of_what_has_ended(own):
    path = record_of(own)
    before = path.read_text()
    try:
        edit(path, lambda credentials: credentials.update(expires_at="2020-01-01T00:00:00Z"))
        assert "Ended, renews by itself." in own("status", "own").stdout
        record = json.loads(path.read_text())
        record["refresh_token"] = None
        path.write_text(json.dumps(record))
        assert re.search(r"Ended, renews by itself until (\d\d\d\d-\d\d-\d\d )?\d\d:\d\d UTC\.", own("status", "own", env={"TZ": "UTC"}).stdout)
        assert re.search(r"renews by itself until (\d\d\d\d-\d\d-\d\d )?\d\d:\d\d\.", own("status", "own", env={"TZ": "EST5"}).stdout)
        record["identity"]["expires_at"] = "2020-01-01T00:00:00Z"
        path.write_text(json.dumps(record))
        own("status", "own", code=4)
    finally:
        path.write_text(before)


# ---- token -------------------------------------------------------------------------------------------------


def test_token_shows_claims_and_not_itself(own, identity):
    kept = json.loads(record_of(own).read_text())["id_token"]
    shown = own("token", "own")
    assert "sub" in shown.stdout and "alice" in shown.stdout and kept not in shown.stdout + shown.stderr
    assert kept.split(".")[2] not in own("token", "own", "--json").stdout
    document = json.loads(own("token", "own", "--json").stdout)
    assert document["claims"]["iss"] == identity.issuer and document["header"]["alg"] == "RS256"
    assert own("token", "own", "--raw").stdout.strip() == kept
    own("token", "lab", code=4)


# ---- doctor ------------------------------------------------------------------------------------------------


def test_a_healthy_profile(own):
    found = steps(own, "own")
    assert {check["state"] for check in found.values()} == {"ok"}, found
    assert {"discovery", "redirect", "client", "token", "exchange", "caller", "listing"} <= set(found)
    text = own("doctor", "own").stdout
    assert re.search(r"^ok    listing +\d+ buckets$", text, re.MULTILINE)


def test_only_the_sign_in_is_missing(own):
    found = steps(own, "lab", code=4)
    assert found["token"]["state"] == "todo" and found["token"]["fix"] == "wigeon login lab"
    assert "exchange" not in found and found["discovery"]["state"] == "ok"


@pytest.mark.parametrize("change, step, words", [
    (lambda text, identity, server: text.replace(identity.issuer, f"http://127.0.0.1:{free_port()}"), "discovery", "cannot reach"),
    (lambda text, identity, server: text.replace('"s3-cli"', '"nobody-knows-me"'), "client", "invalid_client"),
    (lambda text, identity, server: text.replace(f'sts_endpoint = "{server.url}"', f'sts_endpoint = "http://127.0.0.1:{free_port()}"'), "sts", "cannot reach"),
    (lambda text, identity, server: text.replace(f"{identity.issuer}", f"{identity.issuer}/elsewhere"), "discovery", "status 404"),
], ids=["issuer-away", "client-unknown", "sts-away", "issuer-wrong"])
def test_each_failure_has_its_cause_and_a_fix(home, server, identity, change, step, words):
    run = runner(home)
    (home / "bad.toml").write_text(change(profile(server, identity.issuer), identity, server))
    run("profile", "import", "bad.toml", "--name", "bad")
    check = steps(run, "bad", code=1)[step]
    assert check["state"] == "fail" and words in " ".join([check["text"], *check["causes"]]) and check["fix"], check


def test_a_taken_redirect_port(home, server, identity):
    run = runner(home)
    port = free_port()
    text = profile(server, identity.issuer).replace("scheme =", f'oauth_redirect_url = "http://127.0.0.1:{port}/callback"\nscheme =')
    (home / "bad.toml").write_text(text)
    run("profile", "import", "bad.toml", "--name", "bad")
    assert steps(run, "bad", code=4)["redirect"]["state"] == "ok"
    with http.server.HTTPServer(("127.0.0.1", port), http.server.BaseHTTPRequestHandler):
        assert "cannot listen" in steps(run, "bad", code=1)["redirect"]["text"]


def test_a_refused_exchange_is_in_the_words_of_the_sts(own, server, identity):
    (own.home / "own2.toml").write_text(profile(server, identity.issuer).replace("role/person", "role/nobody"))
    own("profile", "import", "own2.toml", "--name", "own", "--replace")
    try:
        check = steps(own, "own", code=1)["exchange"]
        assert "AccessDenied" in check["text"] and "trust" in check["fix"]
    finally:
        own("profile", "import", "own.toml", "--name", "own", "--replace")
        own("credentials", "own")


def test_a_clock_that_is_wrong(home, identity, server):
    class Late(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response_only(403)
            self.send_header("Date", time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 900)))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Late) as late:
        threading.Thread(target=late.serve_forever, daemon=True).start()
        run = runner(home)
        text = profile(server, identity.issuer).replace(f'sts_endpoint = "{server.url}"', f'sts_endpoint = "http://127.0.0.1:{late.server_port}"')
        (home / "bad.toml").write_text(text)
        run("profile", "import", "bad.toml", "--name", "bad")
        check = steps(run, "bad", code=1)["clock"]
        assert "15 min behind" in check["text"] or "14 min behind" in check["text"]
        late.shutdown()


# ---- which profile -----------------------------------------------------------------------------------------


def test_a_directory_has_its_profile(own):
    place = own.home / "project" / "deep"
    place.mkdir(parents=True)
    named = own.home / "project" / ".wigeon.toml"
    named.write_text('profile = "own"\n')
    run = lambda *arguments, **env: subprocess.run([BINARY, *arguments], cwd=place, env=environment(own.home, **env), capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert json.loads(run("whoami", "--json").stdout)["profile"] == "own"
    assert run("whoami", WIGEON_PROFILE="lab").returncode == 4
    named.write_text('profile = "own"\nca_file = "evil.pem"\n')
    refused = run("whoami")
    assert refused.returncode == 1 and "unknown field `ca_file`" in refused.stderr
    named.write_text('profile = "not-installed"\n')
    assert "there is no profile `not-installed`" in run("whoami").stderr
    named.unlink()
    assert run("whoami").returncode == 2


def test_profiles_are_searched(own):
    assert own("profile", "list", "LAB").stdout.startswith("lab ") and len(own("profile", "list").stdout.splitlines()) == 2
    assert own("profile", "list", "our", "own").stdout.startswith("own ")
    assert "No profile has" in own("profile", "list", "nothing").stderr


# ---- profiles of an organisation ---------------------------------------------------------------------------


@pytest.fixture
def organisation(tmp_path_factory):
    """A web server of an organisation, with its profiles; `files` can be changed."""
    files = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            found = files.get(self.path)
            if isinstance(found, tuple):
                self.send_response(302)
                self.send_header("Location", found[0])
                self.end_headers()
                return
            self.send_response(200 if found is not None else 404)
            self.end_headers()
            self.wfile.write(found or b"")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        files["url"] = f"http://127.0.0.1:{server.server_port}"
        yield files
        server.shutdown()


def test_installed_from_an_address_and_updated(organisation, home, server, identity):
    run = runner(home)
    url = organisation["url"] + "/team.toml"
    text = profile(server, identity.issuer)
    organisation["/team.toml"] = text.encode()
    assert "nobody can be asked" in run("profile", "install", url, code=2).stderr
    done = run("profile", "install", url, "--yes")
    # What it trusts is said, whoever agrees.
    assert identity.issuer in done.stderr and server.url in done.stderr and "Installed team" in done.stdout
    assert run("profile", "install", url, "--yes", code=1).stderr.count("there is a profile `team` already") == 1
    assert "up to date" in run("profile", "update").stdout
    organisation["/team.toml"] = text.replace("Our own", "Theirs").encode()
    assert "trusts what it trusted before" in run("profile", "update", "team").stdout
    # A changed endpoint is never taken in silence.
    organisation["/team.toml"] = text.replace(f'sts_endpoint = "{server.url}"', 'sts_endpoint = "https://evil.example"').encode()
    refused = run("profile", "update", "team", code=2)
    assert "https://evil.example" in refused.stderr and "->" in refused.stderr
    assert server.url in run("profile", "export", "team").stdout and "evil" not in run("profile", "export", "team").stdout
    run("profile", "update", "team", "--yes")
    assert "https://evil.example" in run("profile", "export", "team").stdout
    run("profile", "remove", "team")
    assert list((home / ".config/wigeon/profiles").iterdir()) == []


def test_what_is_not_installed(organisation, home, server, identity):
    run = runner(home)
    assert "is not https" in run("profile", "install", "http://profiles.example/team.toml", "--yes", code=1).stderr
    assert "status 404" in run("profile", "install", organisation["url"] + "/missing.toml", "--yes", code=1).stderr
    organisation["/moved.toml"] = ("https://elsewhere.example/x.toml",)
    assert "redirects to `https://elsewhere.example/x.toml`" in run("profile", "install", organisation["url"] + "/moved.toml", "--yes", code=1).stderr
    organisation["/long.toml"] = b"# " + b"x" * (2 << 20)
    assert "longer than" in run("profile", "install", organisation["url"] + "/long.toml", "--yes", code=1).stderr
    organisation["/page.toml"] = b"<html>hello</html>"
    run("profile", "install", organisation["url"] + "/page.toml", "--yes", code=1)
    organisation["/local.toml"] = profile(server, identity.issuer).replace("[properties]", '[properties]\ncredential_process = "rm -rf /"').encode()
    refused = run("profile", "install", organisation["url"] + "/local.toml", "--yes", code=1).stderr
    assert "`credential_process` is `rm -rf /`" in refused and "--allow-local" in refused
    organisation["/token.toml"] = ('token = "command:curl evil.example"\n' + profile(server, identity.issuer)).encode()
    assert "`wigeon.token` is `command:curl evil.example`" in run("profile", "install", organisation["url"] + "/token.toml", "--yes", code=1).stderr
    answers = profile(server, identity.issuer) + '\n[bookmark]\nhostname = "evil.example"\n'
    organisation["/answers.toml"] = answers.encode()
    run("profile", "install", organisation["url"] + "/answers.toml", "--yes")
    assert "evil" not in run("profile", "export", "answers").stdout
    assert not (home / ".config/wigeon/profiles/local.toml").exists()


def test_installed_from_a_repository(organisation, home, server, identity, tmp_path):
    work = tmp_path / "work"
    (work / "profiles").mkdir(parents=True)
    for name in ("research", "archive"):
        (work / "profiles" / f"{name}.toml").write_text(profile(server, identity.issuer).replace("Our own", name))
    (work / "profiles" / "link.toml").symlink_to("/etc/passwd")
    git = lambda *arguments: subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments], cwd=work, check=True, capture_output=True)
    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-q", "-m", "profiles")
    bare = tmp_path / "team.git"
    git("clone", "-q", "--bare", str(work), str(bare))
    subprocess.run(["git", "update-server-info"], cwd=bare, check=True)
    for path in bare.rglob("*"):
        if path.is_file():
            organisation["/team.git/" + str(path.relative_to(bare))] = path.read_bytes()
    # The plain protocol asks with a query, which a server of files does not look at.
    for path in list(organisation):
        if path.endswith("info/refs"):
            organisation[path + "?service=git-upload-pack"] = organisation[path]
    run = runner(home)
    url = organisation["url"] + "/team.git"
    done = run("profile", "install", url, "--path", "profiles/research.toml", "--yes")
    assert "Installed research" in done.stdout, done.stderr
    assert "up to date" in run("profile", "update", "research").stdout
    for path in ("../../etc/passwd", "/etc/passwd", "profiles/link.toml"):
        run("profile", "install", url, "--path", path, "--name", "x", "--yes", code=1)


# ---- completions -------------------------------------------------------------------------------------------


def complete(own, *words, **env):
    done = subprocess.run([BINARY, "--", "wigeon", *words], cwd=own.home, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          env=environment(own.home, COMPLETE="bash", _CLAP_COMPLETE_INDEX=str(len(words)), _CLAP_IFS="\n", **env))
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_completions_know_profiles_buckets_and_keys(own, admin):
    for key in ("data/colors.csv", "data/more.csv"):
        admin.put_object(Bucket="shared", Key=key, Body=b"x")
    assert complete(own, "login", "") [:2] == ["lab", "own"]
    assert complete(own, "exec", "o") == ["own"]
    # Other tests may have buckets there, too.
    assert {"s3://home/", "s3://shared/"} <= set(complete(own, "ls", "s3://", WIGEON_PROFILE="own"))
    assert complete(own, "ls", "s3://sh", WIGEON_PROFILE="own") == ["s3://shared/"]
    assert complete(own, "cat", "own:shared/da") == ["own:shared/data/"]
    assert complete(own, "rm", "own:shared/data/m") == ["own:shared/data/more.csv"]
    # Nobody is asked, and nothing said, where there is no sign-in.
    assert complete(own, "ls", "lab:sh") == []
    assert "own:" in complete(own, "cp", "o")
    for key in ("data/colors.csv", "data/more.csv"):
        admin.delete_object(Bucket="shared", Key=key)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "elvish", "powershell"])
def test_each_shell_gets_its_script(own, shell):
    script = own("completions", shell).stdout
    assert "COMPLETE" in script
    if shell == "bash":
        test = script + "\ncomplete -p wigeon && echo \"$COMP_WORDBREAKS\" | grep -c :"
        done = subprocess.run(["bash", "-c", test], env=environment(own.home), capture_output=True, text=True)
        assert "wigeon" in done.stdout and done.stdout.splitlines()[-1] == "0", done.stderr


# ---- the console -------------------------------------------------------------------------------------------


def test_console_says_plainly_that_there_is_none(own):
    said = own("console", "own", code=1).stderr
    assert "no web console of `http://127.0.0.1" in said and 'console = "https' in said


@pytest.fixture
def federation(server):
    """A sign-in of AWS's consoles, as its documentation has it: a session that works for a token, the token for a page, once."""

    class Handler(http.server.BaseHTTPRequestHandler):
        tokens = {}

        def do_GET(self):
            address = urllib.parse.urlsplit(self.path)
            query = dict(urllib.parse.parse_qsl(address.query))
            if address.path != "/federation":
                return self.answer(200, f"Welcome to {self.path}".encode())
            if query["Action"] == "getSigninToken":
                session = json.loads(query["Session"])
                sts = boto3.client("sts", endpoint_url=server.url, region_name="us-east-1", aws_access_key_id=session["sessionId"],
                                   aws_secret_access_key=session["sessionKey"], aws_session_token=session["sessionToken"])
                if int(query.get("SessionDuration", 900)) > 3600:
                    return self.answer(400, b"The requested SessionDuration exceeds the role's")
                self.tokens["token-1"] = sts.get_caller_identity()["Arn"]
                return self.answer(200, b'{"SigninToken":"token-1"}')
            assert query["Action"] == "login" and query["Issuer"] == "wigeon" and self.tokens.pop(query["SigninToken"], None)
            self.send_response(302)
            self.send_header("Location", query["Destination"])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def answer(self, status, body):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    endpoint = http.server.ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
    threading.Thread(target=endpoint.serve_forever, daemon=True).start()
    endpoint.tokens = Handler.tokens
    endpoint.url = f"http://127.0.0.1:{endpoint.server_port}"
    yield endpoint
    endpoint.shutdown()


def with_console(own, place):
    profile = own.home / ".config/wigeon/profiles/own.toml"
    before = profile.read_text()
    text, properties = before.split("[", 1) if before.startswith("[") else (before[:before.index("\n[") + 1], before[before.index("\n[") + 1:])
    profile.write_text(f'{text}console = "{place}"\n{properties}')
    return lambda: profile.write_text(before)


def test_console_opens_with_the_session(own, federation):
    undo = with_console(own, f"federation:{federation.url}/federation")
    try:
        address = own("console", "own", "--print").stdout.strip()
        assert ":assumed-role/person/" in federation.tokens["token-1"], "the session worked"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        assert opener.open(address).read() == b"Welcome to /"
        with pytest.raises(OSError):
            opener.open(address)
        # In a browser: the address goes there, and nowhere else.
        opened = own.home / "opened"
        (own.home / "console-browser").write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}.new && mv {opened}.new {opened}\n')
        (own.home / "console-browser").chmod(0o700)
        done = own("console", "own", "--duration", "1800", env={"BROWSER": str(own.home / "console-browser")})
        assert done.stdout == "" and done.stderr == "The console opens in your browser.\n"
        for _ in range(100):
            if opened.exists():
                break
            time.sleep(0.05)
        assert opener.open(opened.read_text()).read() == b"Welcome to /"
        assert own("console", "own", env={"BROWSER": "none"}).stdout.startswith(f"{federation.url}/federation?Action=login&")
        assert "exceeds the role's" in own("console", "own", "--print", "--duration", "43200", code=5).stderr
    finally:
        undo()


def test_console_that_has_a_sign_in_of_its_own(own):
    undo = with_console(own, "https://console.example.org/browser")
    try:
        assert own("console", "own", "--print").stdout == "https://console.example.org/browser\n"
    finally:
        undo()
