"""Kubeflow Pipelines' API, by its own client, with errors that a person can act on.

Besides a run's state it is asked for the workflow behind the run, which alone says which pod is
whose, and why one failed: the API's task details give neither (Kubeflow Pipelines 2.17).
"""

import contextlib
import io
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import urllib3
from kfp import client as kfp_client
from kfp import compiler
from kfp_server_api import ApiException  # type: ignore[import-untyped]  # it has no types

from detector.storage.scratch import scratch_folder
from pipelines.submit.errors import NotSignedInError, RunGoneError, ServerLostError, SubmitError
from pipelines.submit.login import REMEDY, Login
from pipelines.submit.run_state import RunState

T = TypeVar("T")

_API, _OLD_API, _LOGS = "/apis/v2beta1", "/apis/v1beta1", "/apis/v1alpha1"
_TIMEOUT_S = (10, 60)
"""To connect, and to wait for an answer."""
_LATER = frozenset({429, 500, 502, 503, 504})
_REFUSED = frozenset({401, 403})
_PORT_FORWARD = (
    "check the URL; from outside of the cluster: `kubectl port-forward "
    "--namespace kubeflow service/ml-pipeline-ui 8080:80`, then http://localhost:8080"
)


class Kubeflow:
    """One Kubeflow Pipelines.

    Args:
        host: URL of the service, such as a port-forward's.
        namespace: the profile's, where there are several.
        ca: certificates that the server's is checked by; None for those of the web.
        login: who asks.

    Raises:
        SubmitError: it does not answer.
        NotSignedInError: it wants to know who asks.
    """

    def __init__(
        self,
        host: str,
        namespace: str | None = None,
        ca: Path | None = None,
        login: Login | None = None,
    ):
        self.host, self.namespace = host.rstrip("/"), namespace
        self._login = login or Login.of_environment()
        if ca is not None and not ca.is_file():
            raise SubmitError(
                "there is no such file of certificates",
                where=str(ca),
                remedy="check --ca, or SSL_CERT_FILE",
            )
        self._kfp: _KfpClient = self._ask(lambda: _KfpClient(self.host, ca, self._login))
        self._ask(self._kfp.get_kfp_healthz)

    def url(self, run_id: str) -> str:
        """Where a browser shows the run."""
        return f"{self.host}/#/runs/details/{run_id}"

    def start(
        self,
        pipeline: Any,
        arguments: Mapping[str, Any],
        experiment: str,
        name: str,
        service_account: str | None = None,
    ) -> str:
        """Start a run; its id.

        Raises:
            SubmitError: the server refused it, or does not answer.
        """
        with scratch_folder("submitted") as folder:
            package = folder / "sweep.yaml"
            compiler.Compiler().compile(pipeline, str(package))
            found = self._ask(
                lambda: self._kfp.create_experiment(experiment, namespace=self.namespace)
            )
            created = self._ask(
                lambda: self._kfp.run_pipeline(
                    experiment_id=found.experiment_id,
                    job_name=name,
                    pipeline_package_path=str(package),
                    params=dict(arguments),
                    service_account=service_account,
                )
            )
        return str(created.run_id)

    def run(self, run_id: str) -> RunState:
        """How far the run is.

        Raises:
            RunGoneError: there is no such run.
            SubmitError: the server does not answer.
        """
        run = self._of_run(run_id, "GET", f"{_API}/runs/{{run_id}}")
        try:
            old = self._of_run(run_id, "GET", f"{_OLD_API}/runs/{{run_id}}")
        except SubmitError:
            old = {}  # A server without its former API says less.
        runtime = old.get("pipeline_runtime") or {}
        manifest = runtime.get("workflow_manifest") or runtime.get("pipeline_manifest") or "{}"
        return RunState.of(run, json.loads(manifest))

    def retry(self, run_id: str) -> None:
        """Have what failed of the run done again.

        Raises:
            SubmitError: the server refused it, or does not answer.
        """
        self._of_run(run_id, "POST", f"{_API}/runs/{{run_id}}:retry")

    def log(self, run_id: str, pod: str) -> str | None:
        """What a pod has printed; None where that can't be had here.

        Where Kubeflow has no profiles, its API has the lines of pods that have ended alone.
        """
        words = {"run_id": run_id, "pod": pod}
        return self._text(f"{_LOGS}/runs/{{run_id}}/nodes/{{pod}}/log", words)

    def ui_log(self, pod: str, namespace: str) -> str | None:
        """`log`, as the server of Kubeflow's pages has it: of pods that run, too."""
        query = [("podname", pod), ("podnamespace", namespace)]
        return self._text("/k8s/pod/logs", {}, query)

    def _text(
        self, path: str, words: Mapping[str, str], query: list[tuple[str, str]] | None = None
    ) -> str | None:
        try:
            answer = self._ask(lambda: self._kfp.call("GET", path, words, query, plain=True))
        except SubmitError:
            return None
        text = answer.data.decode(errors="replace")
        # The API says that it has no lines with a status that says all is well.
        is_none = text.startswith('{"error_message"') or _is_page(answer)
        return None if is_none else text

    def _of_run(self, run_id: str, method: str, path: str) -> dict[str, Any]:
        answer: dict[str, Any] = self._ask(
            lambda: self._kfp.call(method, path, {"run_id": run_id}), run_id
        )
        return answer or {}

    def _ask(self, question: Callable[[], T], run_id: str | None = None) -> T:
        """What is answered, to a new token where the first was not taken."""
        try:
            with self._errors(run_id):
                return question()
        except NotSignedInError:
            if not self._login.renew():
                raise
        with self._errors(run_id):
            return question()

    @contextmanager
    def _errors(self, run_id: str | None) -> Iterator[None]:
        """What the client prints and warns of is left out, and its errors become `SubmitError`s."""
        try:
            with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        except ApiException as error:
            raise self._explain(error, run_id) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            if _is_distrust(error):
                raise self._distrusted(error) from error
            raise ServerLostError(
                f"Kubeflow Pipelines does not answer: {_cause(error)}",
                where=self.host,
                remedy=_PORT_FORWARD,
            ) from error

    def _explain(self, error: ApiException, run_id: str | None) -> SubmitError:
        status, reason = error.status, _reason(error.body)
        answer = f"Kubeflow Pipelines answers {status}: {reason or error.reason}"
        if _is_distrust(error.reason):
            return self._distrusted(error.reason)
        if 300 <= status < 400:
            return self._sent_elsewhere((error.headers or {}).get("Location", ""))
        if status in _REFUSED:
            return NotSignedInError(answer, where=self.host, remedy=REMEDY)
        if status == 404 and run_id is not None and reason:
            return RunGoneError(
                f"there is no run {run_id}, or not any more: {reason}",
                where=self.host,
                remedy="what it had trained is in its store: submitted again with the same "
                "store_url, the run goes on where it was",
            )
        # A proxy whose service is away may say 404, too, in words of its own.
        is_away = status in _LATER or (status == 404 and not reason)
        kind = ServerLostError if is_away else SubmitError
        return kind(answer, where=self.host, remedy=_PORT_FORWARD if status == 404 else None)

    def _sent_elsewhere(self, target: str) -> SubmitError:
        """The error about a redirection. None is followed: the token would go along."""
        here, there = urlsplit(self.host), urlsplit(target)
        if here.scheme == "http" and there.scheme == "https" and here.hostname == there.hostname:
            secure = here._replace(scheme="https", netloc=there.netloc).geturl()
            return SubmitError("it is served by https", where=self.host, remedy=f"--host {secure}")
        return login_page(self.host, f"it sends to {there.netloc or self.host}{there.path}")

    def _distrusted(self, error: object) -> SubmitError:
        return SubmitError(
            f"the server's certificate is not trusted: {_cause(error)}",
            where=self.host,
            remedy="name the file with the certificates of your own authority by --ca, or in "
            "SSL_CERT_FILE",
        )


def login_page(host: str, how: str) -> NotSignedInError:
    """The error about a page where a run was asked for."""
    return NotSignedInError(
        f"a page to sign in at answers in the place of Kubeflow Pipelines: {how}",
        where=host,
        remedy=REMEDY,
    )


class _KfpClient(kfp_client.Client):
    """kfp's client, which follows no redirection, waits for no answer for ever, and knows a page
    from an answer."""

    def __init__(self, host: str, ca: Path | None, login: Login):
        self._login = login
        super().__init__(
            host=host,
            cookies=login.cookies(),
            ssl_ca_cert=str(ca) if ca else None,
            credentials=login if login.has_token else None,
        )
        # One for all of kfp's services.
        rest = self._run_api.api_client.rest_client
        rest.request = _checked(rest.request)

    def _load_config(self, *args: Any, **kwargs: Any) -> Any:
        config = super()._load_config(*args, **kwargs)
        config.retries = urllib3.Retry(total=0, raise_on_redirect=False)
        return config

    def get_kfp_healthz(self, sleep_duration: int = 0) -> Any:  # noqa: ARG002  (kfp's signature)
        """Asked once; kfp asks five times in half a minute, and logs each failure."""
        return self._healthz_api.healthz_service_get_healthz(_request_timeout=_TIMEOUT_S)

    def call(
        self,
        method: str,
        path: str,
        words: Mapping[str, str],
        query: list[tuple[str, str]] | None = None,
        plain: bool = False,
    ) -> Any:
        """What the API answers: JSON, or with `plain` the answer as it is."""
        api = self._run_api.api_client
        api.cookie = self._login.cookies() or api.cookie
        return api.call_api(
            path,
            method,
            path_params=dict(words),
            query_params=query or [],
            header_params={"Accept": "*/*" if plain else "application/json"},
            response_type="object",
            auth_settings=["Bearer"],
            _return_http_data_only=True,
            _preload_content=not plain,
        )


def _checked(request: Callable[..., Any]) -> Callable[..., Any]:
    """`request` of kfp's client, with a time limit; a page is not taken for an answer."""

    def asked(method: str, url: str, **kwargs: Any) -> Any:
        kwargs["_request_timeout"] = kwargs.get("_request_timeout") or _TIMEOUT_S
        answer = request(method, url, **kwargs)
        if kwargs.get("_preload_content", True) and _is_page(answer):
            raise login_page(f"{urlsplit(url).scheme}://{urlsplit(url).netloc}", "it sends HTML")
        return answer

    return asked


def _is_page(answer: Any) -> bool:
    headers = answer.getheaders() if hasattr(answer, "getheaders") else answer.headers
    return "text/html" in (headers.get("Content-Type") or "")


def _is_distrust(error: object) -> bool:
    """Whether a certificate could not be checked."""
    return "CERTIFICATE_VERIFY_FAILED" in str(error)


def _cause(error: object) -> str:
    """An error of urllib3 in a few words: what is behind it, without names of Python's objects."""
    reason = getattr(error, "reason", None)
    text = str(reason if isinstance(reason, BaseException) else error)
    return text.partition(">: ")[2] or text.partition("): ")[2] or text


def _reason(body: object) -> str:
    """The message in an answer of the API, empty where there is none."""
    try:
        return str(json.loads(body)["message"])  # type: ignore[arg-type]  # None, too, has none
    except (TypeError, ValueError, KeyError):
        return ""
