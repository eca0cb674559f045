"""Renewal as the provider sees it: a go-between at its token endpoint counts requests, and misbehaves where it is told to.
Provider, STS and store are real, and so are the processes."""

import http.server
import json
import re
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

from conftest import BINARY, Kept, environment, free_port, runner
from test_client_with_wigeon import exchanges, profile, root

PAST = "2020-01-01T00:00:00Z"


class Between:
    """Passes the token endpoint's requests on."""

    def __init__(self, endpoint):
        self.calls, self.down, self.id_tokens, self.life = [], False, True, None
        between = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                between.calls.append(dict(urllib.parse.parse_qsl(body.decode())))
                if between.down:
                    return self.answer(503, b"<h1>down for a while</h1>", "text/html")
                headers = {name: self.headers[name] for name in ("Content-Type", "Authorization") if self.headers[name]}
                opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
                try:
                    with opener.open(urllib.request.Request(endpoint, data=body, headers=headers), timeout=30) as answer:
                        tokens = json.loads(answer.read())
                        if not between.id_tokens:
                            tokens.pop("id_token", None)
                        if between.life:
                            tokens["refresh_expires_in"] = between.life
                        self.answer(200, json.dumps(tokens).encode(), "application/json")
                except urllib.error.HTTPError as refused:
                    self.answer(refused.code, refused.read(), refused.headers.get_content_type())

            def answer(self, status, body, kind):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/token"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def refreshes(self):
        return [call["refresh_token"] for call in self.calls if call["grant_type"] == "refresh_token"]


@pytest.fixture(scope="module")
def admin(server):
    return root(server)


@pytest.fixture
def between(oidc, identity):
    with urllib.request.urlopen(f"{identity.issuer}/.well-known/openid-configuration") as answer:
        document = json.loads(answer.read())
    between = Between(document["token_endpoint"])
    between.authorization = document["authorization_endpoint"]
    yield between
    between.server.shutdown()


def through(between, server, issuer):
    """The profile with the go-between for the provider's token endpoint."""
    text = profile(server, issuer).replace(f'issuer = "{issuer}"\n', f'oauth_authorization_url = "{between.authorization}"\noauth_token_url = "{between.url}"\n')
    assert between.url in text
    return text


@pytest.fixture
def own(home, between, server, identity, admin, browse):
    run = runner(home)
    (home / "own.toml").write_text(through(between, server, identity.issuer))
    run("profile", "import", "own.toml", "--name", "own")
    run("login", "own", env={"BROWSER": str(browse)})
    yield run
    run("agent", "stop")


def in_seconds(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


def age(run, credentials=PAST, token=PAST):
    """As it is a while later."""
    kept = Kept(run.home, "own")
    record = json.loads(kept.read_text())
    record["session"]["credentials"]["expires_at"] = credentials
    record["session"]["obtained_at"] = in_seconds(-3600)
    record["identity"]["expires_at"] = token
    record["failure"] = None
    kept.write_text(json.dumps(record))
    return record


@pytest.mark.parametrize(("count", "with_agent"), [(50, False), (100, False), (100, True)], ids=["50", "100", "100, agent"])
def test_so_many_processes_cost_one_token_request(own, between, server, count, with_agent):
    if with_agent:
        own("agent", "start")
    age(own)
    before = exchanges(server)
    command = [BINARY, "credentials", "--format", "process", "own"]
    together = [subprocess.Popen(command, env=environment(own.home), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                for _ in range(count)]
    answers = [process.communicate(timeout=180) for process in together]
    assert all(process.returncode == 0 for process in together), answers
    assert len({json.loads(out)["AccessKeyId"] for out, _ in answers}) == 1 and {errors for _, errors in answers} == {""}
    assert len(between.refreshes()) == 1 and exchanges(server) == before + 1


def test_refresh_tokens_rotate_and_each_is_used_once(own, between):
    kept = []
    for _ in range(3):
        kept.append(age(own)["refresh_token"])
        own("credentials", "own")
    assert between.refreshes() == kept and len(set(kept)) == 3
    # The provider ends the sign-in where an old one comes again; ours still works.
    age(own)
    own("credentials", "own")


def test_a_provider_that_is_down_is_heard_of_only_when_it_matters(own, between):
    between.down = True
    record = age(own, credentials=in_seconds(200))
    for _ in range(3):
        done = own("credentials", "own")
        assert done.stderr == "" and json.loads(done.stdout)["AccessKeyId"] == record["session"]["credentials"]["access_key_id"]
    assert len(between.refreshes()) == 1, "the next attempt waits"
    age(own)
    for _ in range(3):
        refused = own("credentials", "own", code=6)
    assert len(between.refreshes()) == 2 and "503" in refused.stderr and "not tried again before" in refused.stderr
    between.down = False
    deadline = time.monotonic() + 20
    while subprocess.run([BINARY, "credentials", "own"], env=environment(own.home), capture_output=True, check=False).returncode:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert len(between.refreshes()) == 3


def test_a_provider_that_gives_no_new_id_token(own, between):
    between.id_tokens = False
    # The old one is good for a while: no one has to do anything.
    age(own, token=in_seconds(600))
    own("credentials", "own")
    assert between.refreshes() == []
    age(own)
    needed = 'Sign-in needed for profile "own". Run: wigeon login own\n'
    assert own("credentials", "own", code=4).stderr == needed
    # Why, for those who want to know.
    assert "because: the ID token ended" in own("credentials", "own", "-v", code=4).stderr
    assert "gives no new one" in json.loads(own("credentials", "own", "--json", code=4).stderr)["error"]["causes"][0]


def test_a_refresh_token_that_ends_with_idleness_is_used_in_time(own, between, browse):
    # As Keycloak's, without the scope `offline_access`.
    between.life = 1800
    login = own("login", "own", env={"BROWSER": str(browse), "TZ": "UTC"}).stdout
    assert re.search(r"renews by itself until (\d{4}-\d\d-\d\d )?\d\d:\d\d UTC\.$", login.strip()), login
    own("credentials", "own")
    assert between.refreshes() == []
    kept = Kept(own.home, "own")
    record = json.loads(kept.read_text())
    record["refresh_token_life"] = {"from": in_seconds(-1300), "until": in_seconds(500)}
    kept.write_text(json.dumps(record))
    for _ in range(3):
        own("credentials", "own")
    # The credentials were good for longer, and so was the ID token.
    assert between.refreshes() == [record["refresh_token"]]
    until = json.loads(own("status", "own", "--json").stdout)["renews_until"]
    assert in_seconds(1700) < until < in_seconds(1810)


def test_a_sign_in_that_the_provider_has_ended(own, between):
    kept = Kept(own.home, "own")
    record = age(own)
    record["refresh_token"] = "made-up"
    kept.write_text(json.dumps(record))
    for _ in range(2):
        assert own("credentials", "own", code=4).stderr == 'Sign-in needed for profile "own". Run: wigeon login own\n'
    [why] = json.loads(own("credentials", "own", "--json", code=4).stderr)["error"]["causes"]
    assert "invalid_grant" not in why and between.refreshes() == ["made-up"], "it is not tried again"


def test_several_accounts_at_one_provider(home, own, between, server, identity, browse):
    (home / "other.toml").write_text(through(between, server, identity.issuer))
    own("profile", "import", "other.toml", "--name", "other")
    bob = {"BROWSER": str(browse), "WIGEON_TEST_LOGIN": "bob"}
    assert own("login", "other", env=bob).stdout.startswith("Signed in as bob@example.test (other).")
    who = {document["profile"]: document["user"] for document in json.loads(own("status", "--json").stdout)}
    assert who == {"own": "alice@example.test", "other": "bob@example.test"}
    keys = {json.loads(own("credentials", name).stdout)["AccessKeyId"] for name in ("own", "other")}
    assert len(keys) == 2
    # In one profile, too: the one who signed in last is in use, and the other can be gone back to.
    own("login", "own", env=bob)
    assert own("status", "own").stdout.startswith("Signed in as bob@example.test (own).")
    assert re.match(r"Signed in as alice@example\.test \(own\)\.", own("switch", "alice@example.test", "--profile", "own").stdout)
    assert own("whoami", "own").stdout.startswith("Signed in as alice@example.test")
    assert "alice@example.test, bob@example.test" in own("switch", "carol", "--profile", "own", code=2).stderr
    own("logout", "other")
    own("credentials", "own")
