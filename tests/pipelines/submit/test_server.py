"""Kubeflow Pipelines' API, and what stands before it: who asks, sign-in pages, certificates."""

import datetime
import ipaddress
import ssl
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pipelines.submit.errors import NotSignedInError, ServerLostError, SubmitError
from pipelines.submit.login import Login
from pipelines.submit.server import Kubeflow
from tests.http_server import Page, Redirect
from tests.pipelines.kubeflow import kubeflow, recorded

SIGN_IN = "<html><body><form action='/dex/auth'>Log in to Your Account</form></body></html>"


def test_a_server_that_asks_who_it_is_gets_the_token() -> None:
    with kubeflow(recorded("disrupted"), token="secret") as server:
        with pytest.raises(NotSignedInError, match=r"answers 401: who are you\?\n.*DETSWEEP_KFP_"):
            Kubeflow(server.url, login=Login({}))
        client = Kubeflow(server.url, login=Login({"DETSWEEP_KFP_TOKEN": "secret"}))
        assert client.run("r0").state == "RUNNING"
    assert "secret" not in repr(client)


def test_a_token_that_has_ended_is_read_again_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n", encoding="utf-8")
    with kubeflow(recorded("disrupted"), token="first") as server:
        client = Kubeflow(server.url, login=Login({"DETSWEEP_KFP_TOKEN_FILE": str(file)}))
        server.token = "second"
        with pytest.raises(NotSignedInError, match="answers 401"):
            client.run("r0")
        file.write_text("second\n", encoding="utf-8")
        assert client.run("r0").state == "RUNNING"


def test_a_token_that_has_ended_is_asked_for_again_by_its_command(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first", encoding="utf-8")
    command = f"{sys.executable} -c \"print(open('{file}').read())\""
    with kubeflow(recorded("disrupted"), token="first") as server:
        client = Kubeflow(server.url, login=Login({"DETSWEEP_KFP_TOKEN_COMMAND": command}))
        file.write_text("second", encoding="utf-8")
        client.run("r0")
        assert server.tokens[-1] == "Bearer first"  # The command is not run for each question.
        server.token = "second"
        client.run("r0")
        assert server.tokens[-1] == "Bearer second"


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"DETSWEEP_KFP_TOKEN_COMMAND": "false"}, "_COMMAND: it printed no token: exit code 1"),
        ({"DETSWEEP_KFP_TOKEN_COMMAND": "true"}, "_COMMAND: it printed nothing"),
        ({"DETSWEEP_KFP_TOKEN_COMMAND": "no-such-program"}, "_COMMAND: it can't be run"),
        ({"DETSWEEP_KFP_TOKEN_FILE": "/no/such/file"}, "/no/such/file: cannot be read"),
        ({"DETSWEEP_KFP_COOKIES_FILE": "/no/such/file"}, "/no/such/file: cannot be read"),
    ],
)
def test_a_source_without_a_token_is_an_error(environ: dict[str, str], said: str) -> None:
    with kubeflow() as server, pytest.raises(NotSignedInError, match=said):
        Kubeflow(server.url, login=Login(environ))


def test_cookies_go_along_and_come_from_their_file_again(tmp_path: Path) -> None:
    file = tmp_path / "cookies"
    file.write_text("session=1", encoding="utf-8")
    with kubeflow(recorded("disrupted")) as server:
        client = Kubeflow(server.url, login=Login({"DETSWEEP_KFP_COOKIES_FILE": str(file)}))
        file.write_text("session=2", encoding="utf-8")
        client.run("r0")
    assert server.cookies[0] == "session=1"
    assert server.cookies[-1] == "session=2"


@pytest.mark.parametrize(
    "page",
    [
        Page(SIGN_IN),
        Redirect("https://id.example/dex/auth?client=kubeflow"),
        Redirect("/oauth2/in"),
    ],
    ids=["page", "elsewhere", "here"],
)
def test_a_page_to_sign_in_at_is_no_run(page: Page | Redirect) -> None:
    said = "a page to sign in at answers in the place of Kubeflow Pipelines(.|\n)*DETSWEEP_KFP_COOK"
    with kubeflow(page=page) as server, pytest.raises(NotSignedInError, match=said):
        Kubeflow(server.url, login=Login({"DETSWEEP_KFP_TOKEN": "ended"}))
    # Nobody followed it with the token.
    assert len(server.tokens) <= 2


def test_a_session_that_ends_while_a_run_is_followed_is_an_error() -> None:
    with kubeflow(recorded("disrupted")) as server:
        client = Kubeflow(server.url, login=Login({}))
        client.run("r0")
        server.page = Page(SIGN_IN)
        with pytest.raises(NotSignedInError, match="a page to sign in at"):
            client.run("r0")


def test_a_server_that_is_served_by_https_is_named_so() -> None:
    said = r"it is served by https\n.*--host https://127\.0\.0\.1"
    page = Redirect("https://127.0.0.1/pipeline/apis")
    with kubeflow(page=page) as server, pytest.raises(SubmitError, match=said):
        Kubeflow(server.url, login=Login({}))


def test_nobody_at_the_url_is_an_error_with_a_remedy() -> None:
    with kubeflow() as server:
        pass
    with pytest.raises(ServerLostError, match=r"does not answer(.|\n)*kubectl port-forward"):
        Kubeflow(server.url, login=Login({}))


def authority(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's own certificate, and the file by which it can be trusted."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    begin = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=30))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "ca.pem", folder / "key.pem"
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return context, public


def test_an_authority_of_ones_own_is_trusted_when_it_is_named(tmp_path: Path) -> None:
    tls, ca = authority(tmp_path)
    with kubeflow(recorded("disrupted"), tls=tls) as server:
        with pytest.raises(SubmitError, match=r"certificate is not trusted(.|\n)*--ca") as error:
            Kubeflow(server.url, login=Login({}))
        assert not isinstance(error.value, ServerLostError)  # Waiting would not help.
        assert Kubeflow(server.url, ca=ca, login=Login({})).run("r0").state == "RUNNING"


def test_a_file_of_certificates_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SubmitError, match="no such file of certificates"):
        Kubeflow("https://127.0.0.1:1", ca=tmp_path / "none.pem", login=Login({}))
