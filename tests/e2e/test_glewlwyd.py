"""Another real provider from one end to the other: Glewlwyd, whose subjects are random and whose refreshes give no ID token."""

import json
import re
import socket
import subprocess
import sys
import urllib.parse

import pytest

from conftest import BINARY, Identity, Kept, Peer, Server, environment, free_port, runner
from test_client_with_wigeon import profile, root

# The redirect that is registered there: a port of its own, as many providers want it.
REDIRECT = "http://127.0.0.1:8976/callback"

# Glewlwyd's pages are scripts over its REST API, which this calls; then it follows redirects as a browser does.
BROWSER = """\
import http.cookiejar, json, sys, urllib.parse, urllib.request
address, (user, scopes) = sys.argv[1], {person!r}
opener = urllib.request.build_opener(urllib.request.ProxyHandler({{}}), urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
def call(method, path, document):
    request = urllib.request.Request({root!r} + path, data=json.dumps(document).encode(), method=method, headers={{"Content-Type": "application/json"}})
    opener.open(request, timeout=20).read()
call("POST", "/auth/", {{"username": user, "password": user + "-password"}})
call("PUT", "/auth/grant/s3-cli", {{"scope": scopes}})
print(opener.open(address + ("&" if "?" in address else "?") + "g_continue", timeout=20).read().decode())
"""


@pytest.fixture(scope="module")
def glewlwyd(peers_state):
    peer = Peer("glewlwyd", GLEWLWYD_PORT=str(free_port()))
    peer.issuer = next(value for name, value in peer.values.items() if name.endswith("ISSUER"))
    yield peer
    peer.stop()


@pytest.fixture(scope="module")
def store(glewlwyd, tmp_path_factory):
    identity = Identity.__new__(Identity)
    identity.peer, identity.issuer = glewlwyd, glewlwyd.issuer
    server = Server(tmp_path_factory.mktemp("glewlwyd-server"), identity)
    root(server)
    yield server
    server.stop()


@pytest.fixture
def own(home, store, glewlwyd):
    run = runner(home)
    (home / "own.toml").write_text(f'oauth_redirect_url = "{REDIRECT}"\n' + profile(store, glewlwyd.issuer))
    run("profile", "import", "own.toml", "--name", "own")
    script = home / "browser.py"
    api = re.match(r"https?://[^/]+", glewlwyd.issuer)[0] + "/api"
    script.write_text(BROWSER.format(root=api, person=("alice", "openid email offline_access")))
    (home / "browser").write_text(f'#!/bin/sh\nexec {sys.executable} {script} "$1" >>{home}/browser.log 2>&1\n')
    (home / "browser").chmod(0o700)
    run.browser = str(home / "browser")
    return run


def port_is_free():
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", 8976)) != 0


@pytest.mark.skipif(not port_is_free(), reason="port 8976 is taken")
def test_sign_in_exchange_use_and_the_end(own, store):
    done = own("login", "own", env={"BROWSER": own.browser})
    assert re.match(r"Signed in as alice@\S+ \(own\)\. Role person\. Valid \d+ min, renews by itself\.", done.stdout), done.stdout
    assert "Signed in as alice@" in (own.home / "browser.log").read_text()
    assert "shared" in own("ls", "own:").stdout and own("cat", "own:shared/readme.txt").stdout == "for everyone\n"
    who = json.loads(own("whoami", "own", "--json").stdout)
    assert who["signature_checked"] and who["subject"] not in ("", "alice")
    kept = Kept(own.home, "own")
    record = json.loads(kept.read_text())
    # While the ID token is good, it is exchanged again.
    record["session"]["credentials"]["expires_at"] = "2020-01-01T00:00:00Z"
    kept.write_text(json.dumps(record))
    own("credentials", "own")
    # Then Glewlwyd is asked, and gives an access token alone: a person has to sign in, and is told so.
    record = json.loads(kept.read_text())
    record["session"]["credentials"]["expires_at"] = record["identity"]["expires_at"] = "2020-01-01T00:00:00Z"
    kept.write_text(json.dumps(record))
    assert own("credentials", "own", code=4).stderr == 'Sign-in needed for profile "own". Run: wigeon login own\n'
    assert "gives no new one" in own("credentials", "own", "-v", code=4).stderr
    assert own("logout", "own").stdout.startswith("Signed out (own).")


def test_with_a_code_on_another_device(own):
    login = subprocess.Popen([BINARY, "login", "own", "--device"], env=environment(own.home), stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    address = code = None
    for line in login.stderr:
        if line.strip().startswith("http") and address is None:
            address = line.strip()
        if "enter the code:" in line:
            code = line.split(":")[1].strip()
            break
    query = urllib.parse.urlencode({"code": code})
    subprocess.run([own.browser, f"{address}?{query}"], cwd=own.home, check=True)
    out, errors = login.communicate(timeout=60)
    assert re.match(r"Signed in as alice@\S+ \(own\)\.", out), errors + (own.home / "browser.log").read_text()
    assert "shared" in own("ls", "own:").stdout


@pytest.mark.skipif(not port_is_free(), reason="port 8976 is taken")
def test_doctor_finds_nothing(own):
    own("login", "own", env={"BROWSER": own.browser})
    found = json.loads(own("doctor", "own", "--json").stdout)
    assert found["healthy"], found
