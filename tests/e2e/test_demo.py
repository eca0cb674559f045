"""`wigeon demo` as a whole, and what it says to try next."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest
from playwright.sync_api import sync_playwright

from conftest import BINARY, environment, listening


class Demo:
    """A demonstration that stays up, and what it has said so far."""

    def __init__(self, home, *arguments, **variables):
        self.home = home
        self.log = home / "demo.log"
        self.environment = environment(home, **variables)
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [BINARY, "demo", *arguments], cwd=home, env=self.environment,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )

    def text(self):
        return self.log.read_text()

    def wait_for(self, text, seconds=60):
        for _ in range(seconds * 10):
            if text in self.text():
                return
            assert self.process.poll() is None, self.text()
            time.sleep(0.1)
        raise AssertionError(f"{text!r} was not said:\n{self.text()}")

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=40)


@pytest.fixture
def demo(home):
    demo = Demo(home, "--user", "alice")
    try:
        demo.wait_for("stays up")
        yield demo
    finally:
        if demo.process.poll() is None:
            demo.process.kill()
            demo.process.wait()


def run(demo, *command, code=0, **variables):
    done = subprocess.run(
        command, env={**demo.environment, **variables}, cwd=demo.home, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == code, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_whole_of_it(demo):
    said = demo.text()
    assert "Signed in as alice@example.org (demo). Role analyst. Valid" in said
    assert "welcome.txt" in said and "Hello from alice." in said
    assert "AccessDenied" in said and "because no identity-based policy allows the s3:PutObject action" in said
    addresses = listening(demo.process.pid)
    assert len(addresses) == 2 and {address for address, _ in addresses} == {"127.0.0.1"}

    # The commands that it prints do what it says.
    (demo.home / "README.md").write_text("mine\n")
    steps = re.findall(rf"^  ({re.escape(str(BINARY))} .*)$", said, re.MULTILINE)
    assert len(steps) == 3, said
    outputs = [run(demo, *step.split()) for step in steps]
    assert "welcome.txt" in outputs[0] and "alice" in outputs[2]
    assert run(demo, BINARY, "--profile", "demo", "cat", "s3://home/alice/README.md") == "mine\n"
    run(demo, BINARY, "--profile", "demo", "cp", "README.md", "s3://home/bob/README.md", code=5)

    # Other tools, as it says.
    config, profile = re.search(r"AWS_CONFIG_FILE=(\S+) AWS_PROFILE=(\S+)", said).groups()
    variables = {"AWS_CONFIG_FILE": config, "AWS_PROFILE": profile}
    del demo.environment["AWS_DEFAULT_REGION"]
    assert "welcome.txt" in run(demo, "aws", "s3", "ls", "s3://shared", **variables)
    program = 'import boto3; print([o["Key"] for o in boto3.client("s3").list_objects_v2(Bucket="shared")["Contents"]])'
    assert run(demo, sys.executable, "-c", program, **variables).strip() == "['data/colors.csv', 'welcome.txt']"
    remote = re.search(r'rclone lsf "(.*)"', said).group(1)
    assert run(demo, "rclone", "lsf", remote, **variables).split() == ["data/", "welcome.txt"]

    assert demo.stop() == 0
    # Started again over the same folder it finds things as they were.
    again = Demo(demo.home, "--user", "alice", "--once")
    assert again.process.wait(timeout=60) == 0, again.text()
    assert "AccessDenied" in again.text()


def test_an_unknown_user_is_told(home):
    demo = Demo(home, "--user", "mallory", "--once")
    assert demo.process.wait(timeout=60) != 0
    assert "did not let `mallory` in" in demo.text()


def test_a_person_in_a_real_browser(home, chromium):
    """The address goes to the browser that `BROWSER` names; a person types into the form."""
    opened = home / "opened"
    opener = home / "opener"
    opener.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}.new && mv {opened}.new {opened}\n')
    opener.chmod(0o755)
    demo = Demo(home, "--once", BROWSER=str(opener))
    try:
        for _ in range(300):
            if opened.exists():
                break
            assert demo.process.poll() is None, demo.text()
            time.sleep(0.1)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=chromium,
                args=["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                      "--disable-background-networking", "--disable-component-update", "--disable-sync"],
            )
            page = browser.new_page()
            page.goto(opened.read_text())
            page.fill("input[name=username]", "bob")
            page.fill("input[name=password]", "wrong")
            page.click("button[value=allow]")
            page.wait_for_selector("[role=alert]")
            page.fill("input[name=password]", "bob-password")
            page.click("button[value=allow]")
            page.wait_for_url("http://127.0.0.1:*/callback**")
            assert "bob@example.org" in page.inner_text("body")
            assert "code=" not in page.content()
            screenshot = os.environ.get("WIGEON_SCREENSHOTS")
            if screenshot:
                page.screenshot(path=f"{screenshot}/signed-in.png")
            browser.close()
        assert demo.process.wait(timeout=60) == 0, demo.text()
        assert "Signed in as bob@example.org (demo)" in demo.text()
        assert "s3://home/bob/hello.txt" in demo.text()
    finally:
        if demo.process.poll() is None:
            demo.process.kill()
            demo.process.wait()
