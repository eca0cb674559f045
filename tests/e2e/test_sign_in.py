"""`wigeon login` and what follows, against a real provider (oidc-provider) and a real STS (Ceph RGW)."""

import html.parser
import http.cookiejar
import json
import re
import subprocess
import urllib.parse
import urllib.request
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.config import Config

from conftest import BINARY, environment, forms_until, rgw_profile


@pytest.fixture
def profile(home, oidc, rgw, rgw_role, wigeon):
    def write(name="lab", client="s3-cli"):
        file = home / f"{name}.cyberduckprofile"
        file.write_text(rgw_profile(rgw, oidc, rgw_role, client))
        wigeon("profile", "import", file, "--name", name)
        return name

    return write


@pytest.fixture
def login(wigeon, browse):
    return lambda *arguments, **more: wigeon("login", *arguments, env={"BROWSER": str(browse)}, **more)


def test_sign_in_exchange_and_use(profile, login, wigeon, rgw):
    profile()
    assert 'Sign-in needed for profile "lab". Run: wigeon login lab' in wigeon("whoami", code=4).stderr
    done = login()
    assert re.fullmatch(r"Signed in as alice@example.test \(lab\)\. Role e2e-person\. Valid (59|60) min, renews by itself\.\n", done.stdout)

    who = json.loads(wigeon("whoami", "--json").stdout)
    assert (who["user"], who["role_name"], who["signature_checked"]) == ("alice@example.test", "e2e-person", True)

    keys = json.loads(wigeon("credentials", "--format", "process").stdout)
    assert keys["Version"] == 1
    s3 = boto3.client("s3", endpoint_url=rgw["RGW_ENDPOINT"], region_name="us-east-1", config=Config(s3={"addressing_style": "path"}),
                      aws_access_key_id=keys["AccessKeyId"], aws_secret_access_key=keys["SecretAccessKey"], aws_session_token=keys["SessionToken"])
    s3.create_bucket(Bucket="e2e-sign-in")
    s3.put_object(Bucket="e2e-sign-in", Key="a", Body=b"hello")
    assert s3.get_object(Bucket="e2e-sign-in", Key="a")["Body"].read() == b"hello"
    s3.delete_object(Bucket="e2e-sign-in", Key="a")
    s3.delete_bucket(Bucket="e2e-sign-in")

    assert json.loads(wigeon("credentials").stdout) == keys, "the same session for every command"
    assert wigeon("logout").stdout == "Signed out (lab). The provider took the tokens back.\n"
    wigeon("credentials", code=4)


def test_without_a_browser_the_address_is_printed(profile, home, browse):
    profile()
    waiting = subprocess.Popen([BINARY, "login", "--no-browser"], env=environment(home), stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    address = next(line.strip() for line in waiting.stderr if line.strip().startswith("http"))
    page = subprocess.run([browse, address], check=True, capture_output=True, text=True).stdout
    out, _ = waiting.communicate(timeout=30)
    assert waiting.returncode == 0 and out.startswith("Signed in as alice@example.test")
    assert page.startswith("200 ") and "Signed in as alice@example.test" in page


def test_the_address_of_another_machines_browser_is_pasted(profile, home):
    profile()
    waiting = subprocess.Popen([BINARY, "login", "--no-browser"], env=environment(home), stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    address = next(line.strip() for line in waiting.stderr if line.strip().startswith("http"))
    redirect = parse_qs(urlsplit(address).query)["redirect_uri"][0]
    back = forms_until(address, redirect, {"login": "alice", "password": "alice-password"})
    assert "code=" in back and "state=" in back
    out, errors = waiting.communicate(f"not an address\n{back}\n", timeout=30)
    assert waiting.returncode == 0 and out.startswith("Signed in as alice@example.test"), errors


def test_a_wrong_audience_is_denied_with_the_reason(profile, login):
    profile("wrong", client="other-app")
    text = login(code=5).stderr
    for part in ("AccessDenied", "`other-app`", "e2e-person", "hint:", "trust policy"):
        assert part in text


def test_nobody_signs_in(profile, wigeon):
    profile()
    done = wigeon("login", "--no-browser", "--timeout", "1", code=4)
    assert "nobody signed in within 1 seconds" in done.stderr.lower()


def approve(address, user, code=None):
    """Signs a person in at a provider's page for codes, and agrees to everything, as a browser elsewhere."""

    class Form(html.parser.HTMLParser):
        def __init__(self, text):
            super().__init__()
            self.action, self.values = None, {}
            self.feed(text)

        def handle_starttag(self, tag, attributes):
            attributes = dict(attributes)
            if tag == "form" and self.action is None:
                self.action = attributes.get("action", "")
            elif tag == "input" and attributes.get("name"):
                self.values[attributes["name"]] = attributes.get("value", "")

    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
    form = None
    for _ in range(12):
        with opener.open(address, data=form) as answer:
            page, address = Form(answer.read().decode()), answer.geturl()
        if page.action is None:
            return
        fill = {"login": user, "password": f"{user}-password", "user_code": page.values.get("user_code") or code}
        page.values.update({name: value for name, value in fill.items() if name in page.values})
        address = urllib.parse.urljoin(address, page.action)
        form = urllib.parse.urlencode(page.values).encode()
    raise AssertionError(f"no end of forms at {address}")


def waiting_login(home, *arguments, **variables):
    return subprocess.Popen([BINARY, "login", *arguments], env=environment(home, **variables), stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("arguments", [[], ["--device"]], ids=["chosen by itself", "asked for"])
def test_on_a_machine_without_a_browser_a_code_is_entered_elsewhere(profile, home, arguments):
    profile()
    waiting = waiting_login(home, *arguments)
    address = next(line.strip() for line in waiting.stderr if "user_code=" in line)
    assert "\x1b" not in address
    approve(address, "bob")
    out, errors = waiting.communicate(timeout=60)
    assert waiting.returncode == 0 and out.startswith("Signed in as bob@example.test (lab)."), errors


def test_a_code_typed_by_hand_and_a_code_that_nobody_enters(profile, home, wigeon):
    profile()
    waiting = waiting_login(home, "--device")
    lines = []
    for line in waiting.stderr:
        lines.append(line)
        if "enter the code:" in line:
            break
    address = next(line.strip() for line in lines if line.strip().startswith("http"))
    approve(address, "alice", code=lines[-1].split(":")[1].strip())
    out, errors = waiting.communicate(timeout=60)
    assert waiting.returncode == 0 and out.startswith("Signed in as alice@example.test (lab)."), errors
    assert "Nobody signed in within 2 seconds" in wigeon("login", "--device", "--timeout", "2", code=4).stderr


def test_a_client_without_codes_is_given_the_address(profile, home):
    """`s3-web` may not begin a sign-in on another device: the way without one is taken by itself."""
    profile("web", client="s3-web")
    toml = home / ".config/wigeon/profiles/web.toml"
    text = re.sub(r'oauth_client_secret = ""', 'oauth_client_secret = "s3-web-secret"', toml.read_text())
    toml.write_text(text)
    waiting = waiting_login(home, "--timeout", "20")
    address = next(line.strip() for line in waiting.stderr if line.strip().startswith("http"))
    assert "response_type=code" in address
    waiting.terminate()
    waiting.communicate(timeout=10)
