"""`wigeon login` and what follows, against a real provider (oidc-provider) and a real STS (Ceph RGW)."""

import json
import re
import subprocess
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


def test_nothing_secret_is_written_but_in_the_store(profile, login, wigeon, home):
    profile()
    done = login("-vv")
    kept = next(home.glob(".local/state/wigeon/sessions/*/*.json"))
    assert kept.stat().st_mode & 0o777 == 0o600
    record = json.loads(kept.read_text())
    secrets = [record["id_token"], record["refresh_token"], record["access_token"],
               record["session"]["credentials"]["secret_key"], record["session"]["credentials"]["session_token"]]
    said = done.stdout + done.stderr
    done = wigeon("whoami", "-vv")
    said += done.stdout + done.stderr + wigeon("credentials", "-vv").stderr
    for file in home.rglob("*"):
        if file.is_file() and file != kept:
            said += file.read_text()
    assert all(secrets) and not any(secret in said for secret in secrets)
