"""Redirects of custom schemes, with the desktop's own tools (xdg-mime, xdg-open) and oidc-provider; and the page on which a
provider is chosen, in Chromium."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import textwrap
import time
import urllib.parse
import urllib.request

import pytest
from playwright.sync_api import sync_playwright

import conftest
from conftest import BINARY, Identity, Peer, Server, environment, forms_until, free_port, runner
from test_client_with_wigeon import profile, root

# oidc-provider wants the scheme of a native client to be a domain name turned round (RFC 8252, section 7.1).
SCHEME = "org.example.wigeon"


@pytest.fixture(scope="module")
def desktop_tools():
    if not all(map(shutil.which, ("xdg-open", "xdg-mime"))) and os.geteuid() == 0 and shutil.which("apt-get"):
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "install", "-y", "-qq", "xdg-utils"], env=env, capture_output=True, check=False)
    if not all(map(shutil.which, ("xdg-open", "xdg-mime"))):
        pytest.skip("there is no xdg-utils here")


@pytest.fixture(scope="module")
def provider(peers_state, tmp_path_factory):
    """oidc-provider, whose clients have a redirect of that scheme as well."""
    peers = tmp_path_factory.mktemp("peers")
    shutil.copytree(conftest.PEERS / "oidc-provider", peers / "oidc-provider")
    shutil.copy(conftest.PEERS / "lib.sh", peers / "lib.sh")
    script = peers / "oidc-provider/server.mjs"
    text = script.read_text()
    assert "const loopback = [" in text
    script.write_text(text.replace("const loopback = [", f"const loopback = ['{SCHEME}:/oauth', "))
    before, conftest.PEERS = conftest.PEERS, peers
    try:
        peer = Peer("oidc-provider", OIDC_PORT=str(free_port()), OIDC_NAME="custom-scheme")
        yield peer
        peer.stop()
    finally:
        conftest.PEERS = before


@pytest.fixture(scope="module")
def store(provider, tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("custom-scheme-server"), Identity(provider))
    root(server)
    yield server
    server.stop()


@pytest.fixture
def person(home, store, provider):
    """A home whose profile has the custom redirect; `person.env` is a desktop of sorts."""
    run = runner(home)
    text = profile(store, provider["OIDC_ISSUER"])
    (home / "own.toml").write_text(f'oauth_redirect_url = "{SCHEME}:/oauth"\n{text}')
    run("profile", "import", "own.toml", "--name", "own")
    # As short as a desktop's: names of sockets are.
    run.runtime = pathlib.Path(tempfile.mkdtemp(prefix="w"))
    run.env = {"XDG_RUNTIME_DIR": str(run.runtime), "DISPLAY": ":99", "XDG_DATA_DIRS": "/usr/share", "XDG_CURRENT_DESKTOP": "none"}
    yield run
    shutil.rmtree(run.runtime)


def default(person):
    query = ["xdg-mime", "query", "default", f"x-scheme-handler/{SCHEME}"]
    return subprocess.run(query, env={**environment(person.home), **person.env}, capture_output=True, text=True, check=False).stdout.strip()


def test_registered_shown_and_taken_back(person, desktop_tools):
    home = person.home
    list_file, entry = home / ".config/mimeapps.list", home / f".local/share/applications/wigeon-{SCHEME}.desktop"
    other = home / ".local/share/applications/duck.desktop"
    other.parent.mkdir(parents=True)
    other.write_text("[Desktop Entry]\nType=Application\nName=Duck\nExec=/bin/true %u\n")
    before = f"[Default Applications]\nx-scheme-handler/{SCHEME}=duck.desktop;\ntext/html=firefox.desktop\n"
    list_file.write_text(before)
    assert default(person) == "duck.desktop"
    shown = person("setup", "desktop", "own", "--print").stdout
    assert f"Exec={BINARY} redirect %u" in shown and not entry.exists() and list_file.read_text() == before
    assert f"+MimeType=x-scheme-handler/{SCHEME};" in person("setup", "desktop", "own", "--diff").stdout and not entry.exists()
    person("setup", "desktop", "own")
    assert entry.exists() and default(person) == entry.name
    if shutil.which("desktop-file-validate"):
        assert subprocess.run(["desktop-file-validate", entry], capture_output=True, text=True, check=False).stdout == ""
    assert "set up already" in person("setup", "desktop", "own").stdout
    person("setup", "desktop", "own", "--undo")
    assert not entry.exists() and list_file.read_text() == before and default(person) == "duck.desktop"


def script(home, text):
    file = home / "browser"
    file.write_text("#!/bin/sh\nexec >>browser.log 2>&1\n" + text)
    file.chmod(0o700)
    return str(file)


def test_a_browser_comes_back_by_way_of_the_desktop(person, desktop_tools, browse, store):
    """The browser is sent to an address that it cannot open; xdg-open starts what is registered for it."""
    person("setup", "desktop", "own")
    home = person.home
    opens = script(home, f'address=$({browse} "$1" | sed -n "1s/^[0-9]* //p")\ncase "$address" in {SCHEME}:*) xdg-open "$address";; *) exit 1;; esac\n')
    done = person("login", "own", env={**person.env, "BROWSER": opens})
    assert done.stdout.startswith("Signed in as alice@example.test (own)."), done.stderr
    assert "paste" not in done.stderr and not list((person.runtime / "wigeon").glob("back-*"))
    assert json.loads(person("credentials", "own").stdout)["Version"] == 1


def waiting(person, **variables):
    return subprocess.Popen([BINARY, "login", "own", "--no-browser"], env={**environment(person.home), **person.env, **variables},
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_only_the_answer_of_this_attempt_is_taken(person, desktop_tools):
    person("setup", "desktop", "own")
    first, second = waiting(person), waiting(person)
    addresses = [next(line.strip() for line in login.stderr if line.strip().startswith("http")) for login in (first, second)]
    back = [forms_until(address, f"{SCHEME}:/oauth", {"login": user, "password": f"{user}-password"}) for address, user in zip(addresses, ("alice", "bob"))]
    state = urllib.parse.parse_qs(urllib.parse.urlsplit(back[0]).query)["state"][0]
    hand = lambda address, code=0: person("redirect", address, env=person.env, code=code)
    assert "Nobody waits" in hand(f"{SCHEME}:/oauth?code=x&state=made-up", code=4).stderr
    assert "no `state`" in hand(f"{SCHEME}:/oauth?code=x", code=1).stderr
    assert state not in "".join(str(file) for file in person.runtime.rglob("*"))
    # Each goes to the one that waits for it, in whichever order.
    assert "Signed in as bob@example.test" in hand(back[1]).stdout
    assert second.communicate(timeout=30)[0].startswith("Signed in as bob@example.test (own).")
    assert "Signed in as alice@example.test" in hand(back[0]).stdout
    assert first.communicate(timeout=30)[0].startswith("Signed in as alice@example.test (own).")
    assert "Nobody waits" in hand(back[0], code=4).stderr


def test_without_a_handler_it_is_pasted(person):
    login = waiting(person)
    address = next(line.strip() for line in login.stderr if line.strip().startswith("http"))
    back = forms_until(address, f"{SCHEME}:/oauth", {"login": "alice", "password": "alice-password"})
    out, errors = login.communicate(back + "\n", timeout=30)
    assert out.startswith("Signed in as alice@example.test (own)."), errors


def test_a_profile_with_a_loopback_redirect_needs_no_handler(home, store, provider):
    run = runner(home)
    (home / "own.toml").write_text(profile(store, provider["OIDC_ISSUER"]))
    run("profile", "import", "own.toml", "--name", "own")
    assert "comes back without a handler" in run("setup", "desktop", "own", code=2).stderr


# ---- a real browser on a real desktop, of which nobody sees anything -------------------------------------------


@pytest.fixture
def display():
    """An X server without a screen."""
    if shutil.which("Xvfb") is None and os.geteuid() == 0 and shutil.which("apt-get"):
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "install", "-y", "-qq", "xvfb"], env=env, capture_output=True, check=False)
    if shutil.which("Xvfb") is None:
        pytest.skip("there is no Xvfb here")
    read, write = os.pipe()
    server = subprocess.Popen(["Xvfb", "-displayfd", str(write), "-screen", "0", "1024x768x24", "-nolisten", "tcp"], pass_fds=[write],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(write)
    with open(read) as lines:
        number = lines.readline().strip()
    assert number, "Xvfb does not start"
    yield f":{number}"
    server.terminate()
    server.wait(timeout=20)


CYBERDUCK = """<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict>
  <key>Protocol</key><string>s3</string>
  <key>Vendor</key><string>custom-scheme</string>
  <key>Description</key><string>As other programs have it</string>
  <key>Default Hostname</key><string>{host}</string>
  <key>Default Port</key><integer>{port}</integer>
  <key>Scheme</key><string>http</string>
  <key>OAuth Authorization Url</key><string>{authorization}</string>
  <key>OAuth Token Url</key><string>{token}</string>
  <key>OAuth Client ID</key><string>{client}</string>
  <key>OAuth Client Secret</key><string/>
  <key>OAuth Redirect Url</key><string>x-cyberduck-action:oauth</string>
  <key>Scopes</key><array><string>openid</string><string>email</string></array>
  <key>STS Endpoint</key><string>http://{host}:{port}/</string>
  <key>Properties</key><array>
    <string>role_arn={role}</string>
    <string>s3.bucket.virtualhost.disable=true</string>
  </array>
</dict></plist>
"""


def test_a_profile_of_cyberducks_scheme_in_a_real_browser(home, chromium, desktop_tools, display):
    """`x-cyberduck-action:oauth` unchanged: Chromium hands the address to xdg-open, that to the handler, that to the sign-in."""
    demo = subprocess.Popen([BINARY, "demo", "--user", "alice"], env=environment(home), cwd=home, stdin=subprocess.DEVNULL,
                            stdout=open(home / "demo.log", "wb"), stderr=subprocess.STDOUT)
    runtime = pathlib.Path(tempfile.mkdtemp(prefix="w"))
    login = None
    try:
        for _ in range(600):
            if "stays up" in (home / "demo.log").read_text():
                break
            assert demo.poll() is None, (home / "demo.log").read_text()
            time.sleep(0.1)
        run = runner(home)
        shown = {line["key"]: line["value"] for line in json.loads(run("profile", "show", "demo", "--json").stdout)["values"]}
        issuer, endpoint = shown["issuer"].rstrip("/"), urllib.parse.urlsplit(shown["endpoint"])
        with urllib.request.urlopen(f"{issuer}/.well-known/openid-configuration") as answer:
            document = json.loads(answer.read())
        (home / "duck.cyberduckprofile").write_text(CYBERDUCK.format(
            host=endpoint.hostname, port=endpoint.port, authorization=document["authorization_endpoint"], token=document["token_endpoint"],
            client=shown["client id"], role=shown["role"]))
        run("profile", "import", "duck.cyberduckprofile", "--name", "duck")
        env = {"XDG_RUNTIME_DIR": str(runtime), "DISPLAY": display, "XDG_DATA_DIRS": "/usr/share", "XDG_CURRENT_DESKTOP": "none"}
        run("setup", "desktop", "duck", env=env)
        script(home, 'printf %s "$1" > address.new && mv address.new address\n')
        login = subprocess.Popen([BINARY, "login", "duck"], env={**environment(home), **env, "BROWSER": str(home / "browser")}, cwd=home,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(200):
            if (home / "address").exists():
                break
            assert login.poll() is None, login.communicate()
            time.sleep(0.05)
        # As somebody has it who once ticked "Always allow" in Chromium's question.
        settings = home / "chromium/Default"
        settings.mkdir(parents=True)
        settings.joinpath("Preferences").write_text(json.dumps({"protocol_handler": {"allowed_origin_protocol_pairs": {issuer: {"x-cyberduck-action": True}}}}))
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch_persistent_context(
                home / "chromium", executable_path=chromium, headless=False, args=["--no-sandbox"], env={**environment(home), **env})
            page = browser.new_page()
            page.goto((home / "address").read_text())
            page.fill("input[name=username]", "bob")
            page.fill("input[name=password]", "bob-password")
            page.click("button[type=submit]", no_wait_after=True)
            out, errors = login.communicate(timeout=60)
            browser.close()
        assert out.startswith("Signed in as bob@example.org (duck)."), errors
        assert json.loads(run("credentials", "duck").stdout)["Version"] == 1
    finally:
        for process in (login, demo):
            if process is not None and process.poll() is None:
                process.terminate()
                process.wait(timeout=40)
        shutil.rmtree(runtime)


# ---- several providers -------------------------------------------------------------------------------------


@pytest.fixture
def choice(home, server, identity, provider):
    """Two providers, of which the server knows the second."""
    root(server)
    run = runner(home)
    text = profile(server, identity.issuer).replace(f'issuer = "{identity.issuer}"\n', "")
    (home / "own.toml").write_text(text + textwrap.dedent(f"""
        [providers.first]
        title = "First & foremost"
        issuer = "{provider["OIDC_ISSUER"]}"
        [providers.second]
        title = "Second"
        issuer = "{identity.issuer}"
        """))
    run("profile", "import", "own.toml", "--name", "own")
    return run


def test_a_provider_is_named_and_remembered(choice, browse, identity):
    env = {"BROWSER": str(browse)}
    assert "There are first, second" in choice("login", "own", "--no-browser", code=2).stderr
    assert "first, second" in choice("login", "own", "--provider", "third", code=1).stderr
    assert choice("login", "own", "--provider", "second", env=env).stdout.startswith("Signed in as alice@example.test (own).")
    assert choice("login", "own", env=env).stdout.startswith("Signed in"), "it is asked for once"
    assert identity.issuer in choice("profile", "show", "own").stdout
    # The other one is not known to the server, which says so; and back.
    assert choice("login", "own", "--provider", "first", env=env, code=None).returncode != 0
    choice("login", "own", "--provider", "second", env=env)


def test_a_provider_is_chosen_in_a_real_browser(choice, chromium, home):
    (home / "browser").write_text('#!/bin/sh\nprintf %s "$1" > address.new && mv address.new address\n')
    (home / "browser").chmod(0o700)
    login = subprocess.Popen([BINARY, "login", "own"], env=environment(home, BROWSER=str(home / "browser")), cwd=home, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _ in range(200):
        if (home / "address").exists():
            break
        assert login.poll() is None
        time.sleep(0.05)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto((home / "address").read_text())
        assert page.locator("li").all_inner_texts()[0].startswith("First & foremost")
        page.get_by_role("link", name="Second").click()
        page.fill("input[name=login]", "bob")
        page.fill("input[name=password]", "bob-password")
        page.click("button[type=submit]")
        # The provider asks for consent, on a page of its own.
        for _ in range(3):
            if page.url.startswith("http://127.0.0.1") and "/callback" in page.url:
                break
            page.click("button[type=submit]")
        page.wait_for_selector("h1")
        assert "Signed in as bob@example.test" in page.inner_text("h1")
        browser.close()
    out, errors = login.communicate(timeout=30)
    assert out.startswith("Signed in as bob@example.test (own)."), errors
