"""The directory through `aws iam` and boto3, and what its changes do to sessions."""

import json
import subprocess
import time

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from conftest import ACCOUNT, BINARY, Server, environment

READ = "arn:aws:s3:::shared/*"


def client(service, server, credentials=None):
    keys = credentials or server.root
    return boto3.client(
        service, endpoint_url=server.url, region_name="us-east-1", config=Config(retries={"max_attempts": 1}), **keys
    )


def refused(call, **parameters):
    with pytest.raises(ClientError) as error:
        call(**parameters)
    response = error.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def allow(*actions, resource="*", condition=None, effect="Allow"):
    statement = {"Effect": effect, "Action": list(actions), "Resource": resource}
    if condition:
        statement["Condition"] = condition
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def trust(identity, audience="s3-cli"):
    name = identity.issuer.split("://", 1)[1]
    return json.dumps({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{name}"},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {f"{name}:aud": audience}},
        }],
    })


def exchange(server, role, token):
    sts = client("sts", server, {"aws_access_key_id": "none", "aws_secret_access_key": "none"})
    answer = sts.assume_role_with_web_identity(
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/{role}", RoleSessionName="e2e", WebIdentityToken=token
    )
    credentials = answer["Credentials"]
    return {
        "aws_access_key_id": credentials["AccessKeyId"],
        "aws_secret_access_key": credentials["SecretAccessKey"],
        "aws_session_token": credentials["SessionToken"],
    }


class StoredServer(Server):
    """Its directory is a database: nothing but the root key is configured."""

    def __init__(self, folder, identity, directory="", **more):
        self.directory = directory
        super().__init__(folder, identity, **more)

    def start(self):
        config = (self.folder / "serve.toml").read_text()
        (self.folder / "serve.toml").write_text(config.replace('directory = "directory.toml"\n', self.directory))
        super().start()


@pytest.fixture(scope="module")
def stored(tmp_path_factory, identity):
    server = StoredServer(tmp_path_factory.mktemp("stored"), identity)
    s3 = client("s3", server)
    s3.create_bucket(Bucket="shared")
    s3.put_object(Bucket="shared", Key="readme.txt", Body=b"for everyone\n")
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="module")
def iam(stored):
    return client("iam", stored)


@pytest.fixture(scope="module")
def provider(iam, identity):
    made = iam.create_open_id_connect_provider(
        Url=identity.issuer, ClientIDList=["s3-cli"], ThumbprintList=["a" * 40], Tags=[{"Key": "team", "Value": "é 1"}]
    )
    return made["OpenIDConnectProviderArn"]


@pytest.fixture
def person(iam, provider, identity):
    """A role that may read, and goes with its test."""
    iam.create_role(RoleName="person", AssumeRolePolicyDocument=trust(identity))
    iam.put_role_policy(RoleName="person", PolicyName="read", PolicyDocument=allow("s3:GetObject", resource=READ))
    yield "person"
    try:
        for name in iam.list_role_policies(RoleName="person")["PolicyNames"]:
            iam.delete_role_policy(RoleName="person", PolicyName=name)
        for policy in iam.list_attached_role_policies(RoleName="person")["AttachedPolicies"]:
            iam.detach_role_policy(RoleName="person", PolicyArn=policy["PolicyArn"])
        iam.delete_role(RoleName="person")
    except iam.exceptions.NoSuchEntityException:
        pass


# ---- what changes do to sessions ----------------------------------------------------------------------------


def test_a_changed_policy_acts_on_the_next_request(stored, iam, identity, person):
    s3 = client("s3", stored, exchange(stored, person, identity.token()))
    assert s3.get_object(Bucket="shared", Key="readme.txt")["Body"].read() == b"for everyone\n"
    iam.put_role_policy(RoleName=person, PolicyName="read", PolicyDocument=allow("s3:ListBucket"))
    assert refused(s3.get_object, Bucket="shared", Key="readme.txt") == ("AccessDenied", 403)
    managed = iam.create_policy(PolicyName="managed-read", PolicyDocument=allow("s3:GetObject"))["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=person, PolicyArn=managed)
    s3.get_object(Bucket="shared", Key="readme.txt")
    iam.create_policy_version(PolicyArn=managed, PolicyDocument=allow("s3:ListBucket"), SetAsDefault=True)
    assert refused(s3.get_object, Bucket="shared", Key="readme.txt") == ("AccessDenied", 403)
    iam.set_default_policy_version(PolicyArn=managed, VersionId="v1")
    s3.get_object(Bucket="shared", Key="readme.txt")
    # A permissions boundary limits at once.
    bound = iam.create_policy(PolicyName="bound", PolicyDocument=allow("s3:ListBucket"))["Policy"]["Arn"]
    iam.put_role_permissions_boundary(RoleName=person, PermissionsBoundary=bound)
    assert refused(s3.get_object, Bucket="shared", Key="readme.txt") == ("AccessDenied", 403)
    assert iam.get_role(RoleName=person)["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"] == bound
    assert refused(iam.delete_policy, PolicyArn=bound) == ("DeleteConflict", 409)
    iam.delete_role_permissions_boundary(RoleName=person)
    s3.get_object(Bucket="shared", Key="readme.txt")
    iam.detach_role_policy(RoleName=person, PolicyArn=managed)
    iam.delete_policy_version(PolicyArn=managed, VersionId="v2")
    for arn in (managed, bound):
        iam.delete_policy(PolicyArn=arn)


def test_a_deleted_role_takes_its_sessions_with_it(stored, iam, identity, person):
    keys = exchange(stored, person, identity.token())
    s3 = client("s3", stored, keys)
    s3.get_object(Bucket="shared", Key="readme.txt")
    iam.delete_role_policy(RoleName=person, PolicyName="read")
    iam.delete_role(RoleName=person)
    assert refused(s3.get_object, Bucket="shared", Key="readme.txt") == ("ExpiredToken", 400)
    # Another role of the same name is another role.
    iam.create_role(RoleName=person, AssumeRolePolicyDocument=trust(identity))
    iam.put_role_policy(RoleName=person, PolicyName="read", PolicyDocument=allow("s3:GetObject", resource=READ))
    assert refused(s3.get_object, Bucket="shared", Key="readme.txt") == ("ExpiredToken", 400)


def test_when_a_role_was_last_used(stored, iam, identity, person):
    assert iam.get_role(RoleName=person)["Role"]["RoleLastUsed"] == {}
    session = exchange(stored, person, identity.token())
    assert iam.get_role(RoleName=person)["Role"]["RoleLastUsed"] == {}, "an exchange is not yet a use"
    assert client("s3", stored, session).get_object(Bucket="shared", Key="readme.txt")
    last = iam.get_role(RoleName=person)["Role"]["RoleLastUsed"]
    assert last["Region"] == "us-east-1" and abs(time.time() - last["LastUsedDate"].timestamp()) < 60
    # As at AWS a list leaves it out.
    listed = [role for role in iam.list_roles()["Roles"] if role["RoleName"] == person]
    assert listed and "RoleLastUsed" not in listed[0]
    # Another role of that name was never used.
    iam.delete_role_policy(RoleName=person, PolicyName="read")
    iam.delete_role(RoleName=person)
    iam.create_role(RoleName=person, AssumeRolePolicyDocument=trust(identity))
    assert iam.get_role(RoleName=person)["Role"]["RoleLastUsed"] == {}


def test_a_changed_trust_policy_acts_on_the_next_exchange(stored, iam, identity, person):
    token = identity.token()
    exchange(stored, person, token)
    iam.update_assume_role_policy(RoleName=person, PolicyDocument=trust(identity, "another-app"))
    assert refused(lambda: exchange(stored, person, token)) == ("AccessDenied", 403)


def extension(server, action, **parameters):
    """A Wigeon action, which no AWS tool knows: signed with botocore's own signer."""
    import urllib.parse
    import urllib.request
    import urllib.error

    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    body = urllib.parse.urlencode({"Action": action, "Version": "2010-05-08", **parameters})
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    request = AWSRequest("POST", f"{server.url}/", data=body, headers=headers)
    keys = Credentials(server.root["aws_access_key_id"], server.root["aws_secret_access_key"])
    SigV4Auth(keys, "iam", "us-east-1").add_auth(request)
    sent = urllib.request.Request(f"{server.url}/", data=body.encode(), headers=dict(request.headers), method="POST")
    try:
        with urllib.request.urlopen(sent) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_one_session_is_revoked(stored, iam, identity, person):
    first, second = (exchange(stored, person, identity.token()) for _ in range(2))
    status, body = extension(stored, "RevokeSession", AccessKeyId=first["aws_access_key_id"])
    assert status == 200 and "RevokeSessionResponse" in body, body
    assert refused(client("s3", stored, first).get_object, Bucket="shared", Key="readme.txt") == ("ExpiredToken", 400)
    assert refused(client("sts", stored, first).get_caller_identity) == ("InvalidClientTokenId", 403)
    client("s3", stored, second).get_object(Bucket="shared", Key="readme.txt")
    status, body = extension(stored, "RevokeSession", AccessKeyId="AKIAWIGEONROOTKEY000")
    assert status == 400 and "InvalidInput" in body
    # It is still revoked after a restart.
    stored.stop()
    stored.start()
    assert refused(client("s3", stored, first).get_object, Bucket="shared", Key="readme.txt") == ("ExpiredToken", 400)
    client("s3", stored, second).get_object(Bucket="shared", Key="readme.txt")


@pytest.mark.parametrize("kind", ["role", "provider"])
def test_sessions_of_a_role_or_provider_are_revoked(stored, iam, provider, identity, person, kind):
    keys = exchange(stored, person, identity.token())
    client("s3", stored, keys).get_object(Bucket="shared", Key="readme.txt")
    if kind == "role":
        status, body = extension(stored, "RevokeRoleSessions", RoleName=person)
    else:
        status, body = extension(stored, "RevokeOpenIDConnectProviderSessions", OpenIDConnectProviderArn=provider)
    assert status == 200, body
    assert refused(client("s3", stored, keys).get_object, Bucket="shared", Key="readme.txt") == ("ExpiredToken", 400)
    time.sleep(1.1)
    keys = exchange(stored, person, identity.token())
    client("s3", stored, keys).get_object(Bucket="shared", Key="readme.txt")
    status, body = extension(stored, "RevokeRoleSessions", RoleName=person, IssuedBefore="2999-01-01T00:00:00Z")
    assert status == 400 and "future" in body


def test_revocation_by_awss_convention(stored, iam, identity, person):
    keys = exchange(stored, person, identity.token())
    s3 = client("s3", stored, keys)
    s3.get_object(Bucket="shared", Key="readme.txt")
    time.sleep(1.1)
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    older = {"DateLessThan": {"aws:TokenIssueTime": now}}
    deny = allow("*", condition=older, effect="Deny")
    iam.put_role_policy(RoleName=person, PolicyName="AWSRevokeOlderSessions", PolicyDocument=deny)
    assert refused(s3.get_object, Bucket="shared", Key="readme.txt") == ("AccessDenied", 403)
    s3 = client("s3", stored, exchange(stored, person, identity.token()))
    s3.get_object(Bucket="shared", Key="readme.txt")


# ---- who may administer -------------------------------------------------------------------------------------


def test_a_session_administers_what_its_policies_allow(stored, iam, identity, person):
    delegated = allow("iam:GetRole", "iam:TagRole", resource=f"arn:aws:iam::{ACCOUNT}:role/person")
    iam.put_role_policy(RoleName=person, PolicyName="delegated", PolicyDocument=delegated)
    session = client("iam", stored, exchange(stored, person, identity.token()))
    assert session.get_role(RoleName=person)["Role"]["RoleName"] == person
    session.tag_role(RoleName=person, Tags=[{"Key": "a", "Value": "b"}])
    assert refused(session.list_roles) == ("AccessDenied", 403)
    assert refused(session.get_role, RoleName="other") == ("AccessDenied", 403)
    with pytest.raises(ClientError) as error:
        session.put_role_policy(RoleName=person, PolicyName="all", PolicyDocument=allow("*"))
    message = error.value.response["Error"]["Message"]
    assert "assumed-role/person/e2e is not authorized to perform: iam:PutRolePolicy on resource" in message
    iam.attach_role_policy(RoleName=person, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    session.list_roles()
    nobody = {"aws_access_key_id": "AKIANOBODYNOBODYNOBO", "aws_secret_access_key": "x"}
    assert refused(client("iam", stored, nobody).list_roles) == ("InvalidClientTokenId", 403)
    wrong = {**stored.root, "aws_secret_access_key": "wrong"}
    assert refused(client("iam", stored, wrong).list_roles) == ("SignatureDoesNotMatch", 403)


def test_users_groups_and_access_keys(stored, iam):
    user = iam.create_user(UserName="Robot", Path="/ci/", Tags=[{"Key": "team", "Value": "ci"}])["User"]
    assert user["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/ci/Robot" and user["UserId"].startswith("AIDA")
    assert refused(iam.create_user, UserName="robot") == ("EntityAlreadyExists", 409)
    key = iam.create_access_key(UserName="Robot")["AccessKey"]
    assert key["AccessKeyId"].startswith("AKIA") and len(key["SecretAccessKey"]) == 40
    keys = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    unused = iam.get_access_key_last_used(AccessKeyId=key["AccessKeyId"])
    assert unused["UserName"] == "Robot" and unused["AccessKeyLastUsed"] == {"ServiceName": "N/A", "Region": "N/A"}
    caller = client("sts", stored, keys).get_caller_identity()
    assert (caller["Arn"], caller["UserId"]) == (user["Arn"], user["UserId"])
    used = iam.get_access_key_last_used(AccessKeyId=key["AccessKeyId"])["AccessKeyLastUsed"]
    assert (used["ServiceName"], used["Region"]) == ("sts", "us-east-1")
    assert abs(used["LastUsedDate"].timestamp() - time.time()) < 60
    s3 = client("s3", stored, keys)
    assert refused(s3.get_object, Bucket="shared", Key="readme.txt") == ("AccessDenied", 403)
    # By a group, and by a policy on the user's own name.
    iam.create_group(GroupName="readers")
    by_tag = {"StringEquals": {"aws:PrincipalTag/team": "ci", "aws:username": "Robot"}}
    iam.put_group_policy(GroupName="readers", PolicyName="read", PolicyDocument=allow("s3:GetObject", condition=by_tag))
    iam.add_user_to_group(GroupName="readers", UserName="Robot")
    s3.get_object(Bucket="shared", Key="readme.txt")
    assert [user["UserName"] for user in iam.get_group(GroupName="readers")["Users"]] == ["Robot"]
    assert [group["GroupName"] for group in iam.list_groups_for_user(UserName="Robot")["Groups"]] == ["readers"]
    # A user may be let do things with itself.
    own = f"arn:aws:iam::{ACCOUNT}:user/ci/${{aws:username}}"
    iam.put_user_policy(UserName="Robot", PolicyName="own", PolicyDocument=allow("iam:*AccessKey*", "iam:GetUser", resource=own))
    mine = client("iam", stored, keys)
    assert mine.get_user()["User"]["UserName"] == "Robot"
    second = mine.create_access_key()["AccessKey"]["AccessKeyId"]
    assert refused(mine.create_access_key) == ("LimitExceeded", 409)
    assert {entry["AccessKeyId"] for entry in mine.list_access_keys()["AccessKeyMetadata"]} == {key["AccessKeyId"], second}
    assert refused(mine.create_user, UserName="other") == ("AccessDenied", 403)
    iam.update_access_key(UserName="Robot", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    assert refused(s3.get_object, Bucket="shared", Key="readme.txt") == ("InvalidAccessKeyId", 403)
    iam.update_access_key(UserName="Robot", AccessKeyId=key["AccessKeyId"], Status="Active")
    iam.update_user(UserName="Robot", NewUserName="Machine")
    assert client("sts", stored, keys).get_caller_identity()["Arn"].endswith(":user/ci/Machine")
    # The secret is nowhere in clear.
    for file in (stored.folder / "data").glob("directory.sqlite*"):
        assert key["SecretAccessKey"].encode() not in file.read_bytes()
    # Deletion, in the only order that works.
    assert refused(iam.delete_user, UserName="Machine") == ("DeleteConflict", 409)
    for each in (key["AccessKeyId"], second):
        iam.delete_access_key(UserName="Machine", AccessKeyId=each)
    assert refused(client("sts", stored, keys).get_caller_identity) == ("InvalidClientTokenId", 403)
    assert refused(iam.delete_user, UserName="Machine") == ("DeleteConflict", 409)
    iam.delete_user_policy(UserName="Machine", PolicyName="own")
    assert refused(iam.delete_group, GroupName="readers") == ("DeleteConflict", 409)
    iam.remove_user_from_group(GroupName="readers", UserName="Machine")
    iam.delete_user(UserName="Machine")
    iam.delete_group_policy(GroupName="readers", PolicyName="read")
    iam.delete_group(GroupName="readers")
    assert refused(iam.get_user, UserName="Machine") == ("NoSuchEntity", 404)


# ---- the answers themselves ----------------------------------------------------------------------------------


def test_pages(iam, identity, provider):
    names = [f"page-{index:02}" for index in range(23)]
    for name in names:
        iam.create_role(RoleName=name, Path="/pages/", AssumeRolePolicyDocument=trust(identity))
    pages = list(iam.get_paginator("list_roles").paginate(PathPrefix="/pages/", PaginationConfig={"PageSize": 5}))
    assert [len(page["Roles"]) for page in pages] == [5, 5, 5, 5, 3]
    assert [role["RoleName"] for page in pages for role in page["Roles"]] == names
    first = iam.list_roles(PathPrefix="/pages/", MaxItems=5)
    assert first["IsTruncated"] and "AssumeRolePolicyDocument" in first["Roles"][0]
    iam.delete_role(RoleName=names[4])
    second = iam.list_roles(PathPrefix="/pages/", MaxItems=5, Marker=first["Marker"])
    assert second["Roles"][0]["RoleName"] == names[5], "a deleted marker loses nothing"
    for name in names[:4] + names[5:]:
        iam.delete_role(RoleName=name)
    assert iam.list_roles(PathPrefix="/pages/")["Roles"] == []


def test_error_codes(iam, identity, person, provider):
    arn = f"arn:aws:iam::{ACCOUNT}:policy/none"
    document = trust(identity)
    assert refused(iam.get_role, RoleName="none") == ("NoSuchEntity", 404)
    assert refused(iam.create_role, RoleName="PERSON", AssumeRolePolicyDocument=document) == ("EntityAlreadyExists", 409)
    assert refused(iam.create_role, RoleName="x", AssumeRolePolicyDocument="{}") == ("MalformedPolicyDocument", 400)
    assert refused(iam.create_role, RoleName="a b", AssumeRolePolicyDocument=document) == ("ValidationError", 400)
    assert refused(iam.create_role, RoleName="x", AssumeRolePolicyDocument=document, MaxSessionDuration=43201) == ("ValidationError", 400)
    assert refused(iam.create_role, RoleName="x", AssumeRolePolicyDocument=document, PermissionsBoundary=arn) == ("NoSuchEntity", 404)
    assert refused(iam.delete_role, RoleName=person) == ("DeleteConflict", 409)
    assert refused(iam.put_role_policy, RoleName=person, PolicyName="p", PolicyDocument=document) == ("MalformedPolicyDocument", 400)
    long = allow("s3:GetObject", resource=[f"arn:aws:s3:::bucket-{index}/*" for index in range(400)])
    assert refused(iam.put_role_policy, RoleName=person, PolicyName="p", PolicyDocument=long) == ("LimitExceeded", 409)
    assert refused(iam.get_role_policy, RoleName=person, PolicyName="none") == ("NoSuchEntity", 404)
    assert refused(iam.attach_role_policy, RoleName=person, PolicyArn=arn) == ("NoSuchEntity", 404)
    assert refused(iam.detach_role_policy, RoleName=person, PolicyArn=arn) == ("NoSuchEntity", 404)
    assert refused(iam.get_policy, PolicyArn=arn) == ("NoSuchEntity", 404)
    assert refused(iam.get_policy, PolicyArn="not-an-arn-but-long-enough") == ("InvalidInput", 400)
    twice = [{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}]
    assert refused(iam.tag_role, RoleName=person, Tags=twice) == ("InvalidInput", 400)
    for half in (range(30), range(30, 50)):
        iam.tag_role(RoleName=person, Tags=[{"Key": f"k{index}", "Value": ""} for index in half])
    assert refused(iam.tag_role, RoleName=person, Tags=[{"Key": "one more", "Value": ""}]) == ("LimitExceeded", 409)
    assert refused(iam.create_open_id_connect_provider, Url=identity.issuer) == ("EntityAlreadyExists", 409)
    assert refused(iam.create_open_id_connect_provider, Url="http://idp.example") == ("InvalidInput", 400)
    assert refused(iam.create_open_id_connect_provider, Url="https://x.example", ThumbprintList=["z" * 40]) == ("InvalidInput", 400)
    none = provider.replace("oidc-provider/", "oidc-provider/none.")
    assert refused(iam.get_open_id_connect_provider, OpenIDConnectProviderArn=none) == ("NoSuchEntity", 404)
    assert refused(iam.list_roles, MaxItems=5, Marker="\u00ff") == ("ValidationError", 400)
    assert refused(iam.list_virtual_mfa_devices) == ("InvalidAction", 400)
    built_in = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    assert refused(iam.create_policy_version, PolicyArn=built_in, PolicyDocument=allow("*")) == ("UnmodifiableEntity", 400)


def test_policy_versions(iam):
    arn = iam.create_policy(PolicyName="versions", Path="/a/", PolicyDocument=allow("s3:a"), Description="d")["Policy"]["Arn"]
    assert arn == f"arn:aws:iam::{ACCOUNT}:policy/a/versions"
    for letter in "bcde":
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=allow(f"s3:{letter}"), SetAsDefault=letter == "c")
    assert refused(iam.create_policy_version, PolicyArn=arn, PolicyDocument=allow("s3:f")) == ("LimitExceeded", 409)
    versions = iam.list_policy_versions(PolicyArn=arn)["Versions"]
    assert [version["VersionId"] for version in versions] == ["v5", "v4", "v3", "v2", "v1"]
    assert [version["VersionId"] for version in versions if version["IsDefaultVersion"]] == ["v3"]
    got = iam.get_policy_version(PolicyArn=arn, VersionId="v4")["PolicyVersion"]
    assert got["Document"]["Statement"][0]["Action"] == ["s3:d"]
    assert refused(iam.delete_policy_version, PolicyArn=arn, VersionId="v3") == ("DeleteConflict", 409)
    assert refused(iam.delete_policy, PolicyArn=arn) == ("DeleteConflict", 409)
    iam.delete_policy_version(PolicyArn=arn, VersionId="v5")
    made = iam.create_policy_version(PolicyArn=arn, PolicyDocument=allow("s3:f"))["PolicyVersion"]
    assert made["VersionId"] == "v6", "a number does not come again"
    for version in ("v1", "v2", "v4", "v6"):
        iam.delete_policy_version(PolicyArn=arn, VersionId=version)
    assert [policy["Arn"] for policy in iam.list_policies(Scope="Local", PathPrefix="/a/")["Policies"]] == [arn]
    iam.delete_policy(PolicyArn=arn)


def test_the_aws_cli(stored, home, provider):
    env = environment(home, AWS_ENDPOINT_URL=stored.url, **{name.upper(): value for name, value in stored.root.items()})

    def aws(*arguments, code=0):
        done = subprocess.run(["aws", "iam", *arguments], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert done.returncode == code, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout) if done.stdout.strip() else done.stderr

    got = aws("get-open-id-connect-provider", "--open-id-connect-provider-arn", provider)
    assert got["ClientIDList"] == ["s3-cli"] and got["Tags"] == [{"Key": "team", "Value": "é 1"}]
    assert provider in [entry["Arn"] for entry in aws("list-open-id-connect-providers")["OpenIDConnectProviderList"]]
    assert aws("get-account-summary")["SummaryMap"]["Providers"] == 1
    assert aws("list-account-aliases")["AccountAliases"] == []
    assert aws("get-user")["User"]["Arn"].endswith(":root")
    assert "NoSuchEntity" in aws("get-role", "--role-name", "none", code=255)


def test_a_file_is_read_only_here(server):
    """The other server's directory is a file: it can be read through the API, and not be changed."""
    iam = client("iam", server)
    role = iam.get_role(RoleName="person")["Role"]
    assert role["AssumeRolePolicyDocument"]["Version"] == "2012-10-17"
    assert iam.list_role_policies(RoleName="person")["PolicyNames"] == ["buckets"]
    assert refused(iam.delete_role_policy, RoleName="person", PolicyName="buckets") == ("AccessDenied", 403)
    assert refused(iam.create_group, GroupName="g") == ("AccessDenied", 403)


def test_simulation(stored, iam, identity, person):
    role = iam.get_role(RoleName=person)["Role"]["Arn"]

    def decisions(**parameters):
        results = iam.simulate_principal_policy(PolicySourceArn=role, **parameters)["EvaluationResults"]
        return {(result["EvalActionName"], result["EvalResourceName"]): result["EvalDecision"] for result in results}

    readme, other = "arn:aws:s3:::shared/readme.txt", "arn:aws:s3:::other/x"
    tried = decisions(ActionNames=["s3:GetObject", "s3:PutObject"], ResourceArns=[readme, other])
    assert tried[("s3:GetObject", readme)] == "allowed"
    assert set(tried.values()) == {"allowed", "implicitDeny"} and len(tried) == 4
    deny = allow("s3:GetObject", effect="Deny", condition={"StringEquals": {"aws:username": "x"}})
    one = {"ActionNames": ["s3:GetObject"], "ResourceArns": [readme], "PolicyInputList": [deny]}
    result = iam.simulate_principal_policy(PolicySourceArn=role, **one)["EvaluationResults"][0]
    assert (result["EvalDecision"], result["MissingContextValues"]) == ("allowed", ["aws:username"])
    assert result["MatchedStatements"][0]["SourcePolicyId"] == "read"
    entry = [{"ContextKeyName": "aws:username", "ContextKeyType": "string", "ContextKeyValues": ["x"]}]
    assert decisions(**one, ContextEntries=entry) == {("s3:GetObject", readme): "explicitDeny"}
    assert decisions(ActionNames=["s3:GetObject"], ResourceArns=[readme], PermissionsBoundaryPolicyInputList=[allow("s3:PutObject")]) == {("s3:GetObject", readme): "implicitDeny"}
    custom = iam.simulate_custom_policy(PolicyInputList=[allow("s3:*")], ActionNames=["s3:GetObject", "iam:GetRole"])
    assert [result["EvalDecision"] for result in custom["EvaluationResults"]] == ["allowed", "implicitDeny"]
    keys = iam.get_context_keys_for_custom_policy(PolicyInputList=[deny])["ContextKeyNames"]
    assert keys == ["aws:username"]
    assert refused(iam.simulate_custom_policy, PolicyInputList=["{}"], ActionNames=["s3:GetObject"]) == ("InvalidInput", 400)
    assert refused(iam.simulate_principal_policy, PolicySourceArn=role + "x", ActionNames=["s3:GetObject"]) == ("NoSuchEntity", 404)


# ---- Terraform ------------------------------------------------------------------------------------------------


def test_the_calls_of_terraforms_aws_provider(iam, identity, provider):
    """Creation, the reads after it, the plan's refresh, updates and destruction, in the order and with the
    parameters of terraform-provider-aws for the five resources that it is used with here."""
    tags = [{"Key": "managed", "Value": "terraform"}]

    # aws_iam_openid_connect_provider
    oidc = iam.create_open_id_connect_provider(Url="https://tf.example/realms/x", ClientIDList=["a"], ThumbprintList=[], Tags=tags)
    oidc = oidc["OpenIDConnectProviderArn"]
    got = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=oidc)
    assert (got["Url"], got["ClientIDList"], got["ThumbprintList"], got["Tags"]) == ("tf.example/realms/x", ["a"], [], tags)
    iam.update_open_id_connect_provider_thumbprint(OpenIDConnectProviderArn=oidc, ThumbprintList=["b" * 40])
    iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=oidc, ClientID="b")
    iam.remove_client_id_from_open_id_connect_provider(OpenIDConnectProviderArn=oidc, ClientID="a")
    iam.untag_open_id_connect_provider(OpenIDConnectProviderArn=oidc, TagKeys=["managed"])
    iam.tag_open_id_connect_provider(OpenIDConnectProviderArn=oidc, Tags=[{"Key": "x", "Value": "y"}])
    got = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=oidc)
    assert (got["ClientIDList"], got["ThumbprintList"], got["Tags"]) == (["b"], ["b" * 40], [{"Key": "x", "Value": "y"}])

    # aws_iam_policy
    policy = iam.create_policy(PolicyName="tf", Path="/", Description="by terraform", PolicyDocument=allow("s3:GetObject"), Tags=tags)
    policy = policy["Policy"]["Arn"]
    got = iam.get_policy(PolicyArn=policy)["Policy"]
    assert (got["DefaultVersionId"], got["Description"], got["Tags"]) == ("v1", "by terraform", tags)
    version = iam.get_policy_version(PolicyArn=policy, VersionId=got["DefaultVersionId"])["PolicyVersion"]
    assert version["Document"] == json.loads(allow("s3:GetObject"))

    # aws_iam_role
    role = iam.create_role(
        RoleName="tf", Path="/", AssumeRolePolicyDocument=trust(identity), MaxSessionDuration=7200, Description="d", Tags=tags
    )["Role"]
    got = iam.get_role(RoleName="tf")["Role"]
    assert (got["Arn"], got["RoleId"], got["MaxSessionDuration"], got["Tags"]) == (role["Arn"], role["RoleId"], 7200, tags)
    assert got["AssumeRolePolicyDocument"] == json.loads(trust(identity))
    assert iam.list_role_policies(RoleName="tf")["PolicyNames"] == []
    assert iam.list_attached_role_policies(RoleName="tf")["AttachedPolicies"] == []

    # aws_iam_role_policy, aws_iam_role_policy_attachment
    iam.put_role_policy(RoleName="tf", PolicyName="inline", PolicyDocument=allow("s3:ListBucket"))
    assert iam.get_role_policy(RoleName="tf", PolicyName="inline")["PolicyDocument"] == json.loads(allow("s3:ListBucket"))
    iam.attach_role_policy(RoleName="tf", PolicyArn=policy)
    iam.attach_role_policy(RoleName="tf", PolicyArn=policy)
    attached = iam.list_attached_role_policies(RoleName="tf")["AttachedPolicies"]
    assert attached == [{"PolicyName": "tf", "PolicyArn": policy}]

    # updates
    iam.update_assume_role_policy(RoleName="tf", PolicyDocument=trust(identity, "b"))
    iam.update_role(RoleName="tf", MaxSessionDuration=3600)
    iam.update_role_description(RoleName="tf", Description="e")
    iam.untag_role(RoleName="tf", TagKeys=["managed"])
    iam.tag_role(RoleName="tf", Tags=[{"Key": "x", "Value": "y"}])
    got = iam.get_role(RoleName="tf")["Role"]
    assert (got["MaxSessionDuration"], got["Description"], got["Tags"]) == (3600, "e", [{"Key": "x", "Value": "y"}])
    assert len(iam.list_policy_versions(PolicyArn=policy)["Versions"]) == 1
    iam.create_policy_version(PolicyArn=policy, PolicyDocument=allow("s3:PutObject"), SetAsDefault=True)
    iam.tag_policy(PolicyArn=policy, Tags=[{"Key": "x", "Value": "y"}])
    assert {tag["Key"] for tag in iam.list_policy_tags(PolicyArn=policy)["Tags"]} == {"managed", "x"}

    # destruction
    iam.detach_role_policy(RoleName="tf", PolicyArn=policy)
    assert refused(iam.detach_role_policy, RoleName="tf", PolicyArn=policy) == ("NoSuchEntity", 404)
    iam.delete_role_policy(RoleName="tf", PolicyName="inline")
    assert refused(iam.get_role_policy, RoleName="tf", PolicyName="inline") == ("NoSuchEntity", 404)
    assert iam.list_instance_profiles_for_role(RoleName="tf")["InstanceProfiles"] == []
    iam.delete_role(RoleName="tf")
    assert refused(iam.get_role, RoleName="tf") == ("NoSuchEntity", 404)
    for version in iam.list_policy_versions(PolicyArn=policy)["Versions"]:
        if not version["IsDefaultVersion"]:
            iam.delete_policy_version(PolicyArn=policy, VersionId=version["VersionId"])
    iam.delete_policy(PolicyArn=policy)
    assert refused(iam.get_policy, PolicyArn=policy) == ("NoSuchEntity", 404)
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=oidc)
    assert refused(iam.get_open_id_connect_provider, OpenIDConnectProviderArn=oidc) == ("NoSuchEntity", 404)


# ---- revocation by command, and the other ways in --------------------------------------------------------------


def wigeon(server, *arguments, keys=None):
    keys = keys or server.root
    variables = {"AWS_ACCESS_KEY_ID": keys["aws_access_key_id"], "AWS_SECRET_ACCESS_KEY": keys["aws_secret_access_key"]}
    if "aws_session_token" in keys:
        variables["AWS_SESSION_TOKEN"] = keys["aws_session_token"]
    command = [BINARY, "--json", "revoke", "--endpoint", server.url, *arguments]
    return subprocess.run(command, env=environment(server.folder, **variables), capture_output=True, text=True)


def test_sessions_are_revoked_by_command(stored, iam, provider, identity, person):
    """By the root key, and by a session of a role that may."""
    whoami = lambda keys: client("sts", stored, keys).get_caller_identity()
    first, second, third = (exchange(stored, person, identity.token()) for _ in range(3))
    assert wigeon(stored, "session", first["aws_access_key_id"]).returncode == 0
    assert refused(whoami, keys=first) == ("InvalidClientTokenId", 403)
    # Nobody else may: exit code 5.
    assert wigeon(stored, "session", second["aws_access_key_id"], keys=third).returncode == 5
    iam.put_role_policy(RoleName=person, PolicyName="revoke", PolicyDocument=allow("iam:RevokeSession", "iam:ListRevocations"))
    assert wigeon(stored, "session", second["aws_access_key_id"], keys=third).returncode == 0
    assert refused(whoami, keys=second) == ("InvalidClientTokenId", 403)
    listed = json.loads(wigeon(stored, "list", keys=third).stdout)
    named = {row["name"] for row in listed if row["kind"] == "session"}
    assert {first["aws_access_key_id"], second["aws_access_key_id"]} <= named
    # A time before the session began ends nothing; now ends all.
    assert wigeon(stored, "role", person, "--before", "2020-01-01T00:00:00Z").returncode == 0
    whoami(third)
    assert wigeon(stored, "role", person).returncode == 0
    assert refused(whoami, keys=third) == ("InvalidClientTokenId", 403)
    time.sleep(1.1)
    fourth = exchange(stored, person, identity.token())
    done = wigeon(stored, "provider", identity.issuer)
    assert done.returncode == 0 and provider in done.stdout, done.stderr
    assert refused(whoami, keys=fourth) == ("InvalidClientTokenId", 403)
    rows = json.loads(wigeon(stored, "list").stdout)
    assert {"role", "provider"} <= {row["kind"] for row in rows}
    # What is not there, a time that is none, and no server.
    assert wigeon(stored, "role", "nobody").returncode == 1
    assert wigeon(stored, "role", person, "--before", "soon").returncode == 2
    time.sleep(1.1)


def test_a_chain_with_an_external_id(stored, iam, identity, person):
    trusting = json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/{person}"}, "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": "x-1"}}}]})
    iam.create_role(RoleName="partner", AssumeRolePolicyDocument=trusting, MaxSessionDuration=7200)
    sts = client("sts", stored, exchange(stored, person, identity.token()))
    asked = {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/partner", "RoleSessionName": "chain"}
    assert refused(sts.assume_role, **asked) == ("AccessDenied", 403)
    assert refused(sts.assume_role, ExternalId="x-2", **asked) == ("AccessDenied", 403)
    assert refused(sts.assume_role, ExternalId="x-1", DurationSeconds=3601, **asked) == ("ValidationError", 400)
    chained = sts.assume_role(ExternalId="x-1", **asked)["Credentials"]
    keys = {"aws_access_key_id": chained["AccessKeyId"], "aws_secret_access_key": chained["SecretAccessKey"],
            "aws_session_token": chained["SessionToken"]}
    arn = client("sts", stored, keys).get_caller_identity()["Arn"]
    assert arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/partner/chain"
    # It ends with the role that it came through.
    iam.put_role_policy(RoleName=person, PolicyName="x", PolicyDocument=allow("s3:ListBucket"))
    assert wigeon(stored, "role", person).returncode == 0
    assert refused(client("sts", stored, keys).get_caller_identity) == ("InvalidClientTokenId", 403)
    iam.delete_role(RoleName="partner")
    time.sleep(1.1)


def test_cephs_ways_in_a_database(tmp_path, identity):
    """What was written for Ceph RGW: no account in ARNs, `app_id`, a provider without client ids."""
    server = StoredServer(tmp_path, identity, "directory = { ceph = true }\n")
    try:
        iam, name = client("iam", server), identity.issuer.split("://", 1)[1]
        made = iam.create_open_id_connect_provider(Url=identity.issuer, ThumbprintList=["a" * 40])
        assert made["OpenIDConnectProviderArn"] == f"arn:aws:iam:::oidc-provider/{name}"
        trusting = json.dumps({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"Federated": [made["OpenIDConnectProviderArn"]]},
            "Action": ["sts:AssumeRoleWithWebIdentity"], "Condition": {"StringEquals": {f"{name}:app_id": "s3-cli"}}}]})
        role = iam.create_role(RoleName="person", AssumeRolePolicyDocument=trusting)["Role"]
        assert role["Arn"] == "arn:aws:iam:::role/person"
        policy = iam.create_policy(PolicyName="read", PolicyDocument=allow("s3:GetObject", resource=READ))["Policy"]
        assert policy["Arn"] == "arn:aws:iam:::policy/read"
        iam.attach_role_policy(RoleName="person", PolicyArn=policy["Arn"])
        s3 = client("s3", server)
        s3.create_bucket(Bucket="shared")
        s3.put_object(Bucket="shared", Key="readme.txt", Body=b"for everyone\n")

        sts = client("sts", server, {"aws_access_key_id": "none", "aws_secret_access_key": "none"})
        asked = {"RoleSessionName": "e2e", "WebIdentityToken": identity.token()}
        answer = sts.assume_role_with_web_identity(RoleArn=role["Arn"], **asked)
        assert answer["AssumedRoleUser"]["Arn"] == "arn:aws:sts:::assumed-role/person/e2e"
        assert sts.assume_role_with_web_identity(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/person", **asked)
        keys = answer["Credentials"]
        session = {"aws_access_key_id": keys["AccessKeyId"], "aws_secret_access_key": keys["SecretAccessKey"],
                   "aws_session_token": keys["SessionToken"]}
        s3 = client("s3", server, session)
        assert s3.get_object(Bucket="shared", Key="readme.txt")["Body"].read() == b"for everyone\n"
        assert refused(s3.put_object, Bucket="shared", Key="x", Body=b"") == ("AccessDenied", 403)
        assert client("sts", server, session).get_caller_identity()["Arn"] == "arn:aws:sts:::assumed-role/person/e2e"
    finally:
        assert server.stop() == 0
    # What is in it has such ARNs: another server cannot read it otherwise.
    config = tmp_path / "serve.toml"
    config.write_text(config.read_text().replace("ceph = true", "ceph = false"))
    started = subprocess.run([BINARY, "serve", "--config", config], capture_output=True, text=True, timeout=30)
    assert started.returncode == 1 and "was made with `ceph = true`" in started.stderr, started.stderr


def test_users_have_session_tokens(stored, iam):
    iam.create_user(UserName="bob")
    iam.put_user_policy(UserName="bob", PolicyName="all", PolicyDocument=allow("s3:*", "iam:*"))
    made = iam.create_access_key(UserName="bob")["AccessKey"]
    bob = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
    lent = client("sts", stored, bob).get_session_token(DurationSeconds=900)["Credentials"]
    keys = {"aws_access_key_id": lent["AccessKeyId"], "aws_secret_access_key": lent["SecretAccessKey"],
            "aws_session_token": lent["SessionToken"]}
    assert client("sts", stored, keys).get_caller_identity()["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/bob"
    client("s3", stored, keys).list_buckets()
    # They administer nothing, and make no others.
    assert refused(client("iam", stored, keys).create_access_key, UserName="bob") == ("InvalidClientTokenId", 403)
    assert refused(client("sts", stored, keys).get_session_token) == ("AccessDenied", 403)
    iam.update_access_key(UserName="bob", AccessKeyId=made["AccessKeyId"], Status="Inactive")
    assert refused(client("s3", stored, keys).list_buckets) == ("ExpiredToken", 400)
    iam.delete_access_key(UserName="bob", AccessKeyId=made["AccessKeyId"])
    iam.delete_user_policy(UserName="bob", PolicyName="all")
    iam.delete_user(UserName="bob")


def test_login_with_amazon(tmp_path, identity):
    """The service's token information comes from a stand-in that answers as its documents say."""
    import http.server
    import threading
    import urllib.parse

    class Amazon(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            url = urllib.parse.urlsplit(self.path)
            token = urllib.parse.parse_qs(url.query).get("access_token")
            good = url.path == "/auth/o2/tokeninfo" and token == ["Atza|good"]
            body = {"iss": "https://www.amazon.com", "user_id": "amzn1.account.A", "aud": "amzn1.application-oa2-client.1",
                    "app_id": "amzn1.application.1", "exp": 3000, "iat": 1} if good else {"error": "invalid_token"}
            self.send_response(200 if good else 400)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_):
            pass

    amazon = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Amazon)
    threading.Thread(target=amazon.serve_forever, daemon=True).start()
    server = Server(tmp_path, identity)
    try:
        trusting = json.dumps({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"Federated": "www.amazon.com"}, "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {"www.amazon.com:app_id": "amzn1.application.1"}}}]})
        own = allow("s3:*", resource="arn:aws:s3:::amazon/${www.amazon.com:user_id}/*")
        with open(tmp_path / "directory.toml", "a", encoding="utf-8") as directory:
            directory.write(f"""
[[built_in]]
name = "www.amazon.com"
token_information = "http://127.0.0.1:{amazon.server_port}/auth/o2/tokeninfo"

[[role]]
name = "shopper"
trust = '{trusting}'
[[role.policy]]
name = "own"
document = '{own}'
""")
        server.stop()
        server.start()
        client("s3", server).create_bucket(Bucket="amazon")
        sts = client("sts", server, {"aws_access_key_id": "none", "aws_secret_access_key": "none"})
        asked = {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/shopper", "RoleSessionName": "shop", "ProviderId": "www.amazon.com"}
        answer = sts.assume_role_with_web_identity(WebIdentityToken="Atza|good", **asked)
        assert (answer["Provider"], answer["SubjectFromWebIdentityToken"]) == ("www.amazon.com", "amzn1.account.A")
        assert answer["Audience"] == "amzn1.application-oa2-client.1"
        made = answer["Credentials"]
        keys = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"],
                "aws_session_token": made["SessionToken"]}
        s3 = client("s3", server, keys)
        s3.put_object(Bucket="amazon", Key="amzn1.account.A/x", Body=b"x")
        assert refused(s3.put_object, Bucket="amazon", Key="amzn1.account.B/x", Body=b"x") == ("AccessDenied", 403)
        refusal = refused(sts.assume_role_with_web_identity, WebIdentityToken="Atza|bad", **asked)
        assert refusal == ("InvalidIdentityToken", 400)
        assert "Atza" not in (tmp_path / "audit.jsonl").read_text() + (tmp_path / "serve.log").read_text()
    finally:
        server.stop()
        amazon.shutdown()
