"""The server of `factorlab ui`: that of MLflow, whose page starts at the sweeps.

MLflow finds it by the entry point ``factorlab`` of the group ``mlflow.app``. The page gets defaults
for what the browser has not saved yet: training runs instead of GenAI, the axes of the sweeps as
columns, the newest sweep with its trials. MLflow's assistant, which can run commands on this
machine, is off, and so is its telemetry.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from functools import cache
from typing import TYPE_CHECKING, Any

from sweeps.tracking.presentation import landing, ui_state
from sweeps.tracking.presentation.about import AXES

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

ASSISTANT = "/ajax-api/3.0/mlflow/assistant"
"""Path of the assistant's interface."""

_SETTINGS = {
    "mlflow.workflowType_v1": '"machine_learning"',
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true",
    "mlflow.settings.telemetry.enabled_v1": "false",
    "mlflow.telemetry.info.alert.dismissed_v1": "true",
}
"""Values in the browser's storage, by key, which the user's own choices replace."""

_SCRIPT = """\
<style>[data-assistant-ui]{display:none !important}</style><script>(() => {
  const defaults = %s;
  for (const [key, value] of Object.entries(defaults.settings))
    if (localStorage.getItem(key) === null) localStorage.setItem(key, value);
  for (const [key, state] of Object.entries(defaults.experiments)) {
    const saved = JSON.parse(localStorage.getItem(key) || "null");
    const expanded = {...state.runsExpanded, ...(saved || {}).runsExpanded};
    localStorage.setItem(key, JSON.stringify({...(saved || state), runsExpanded: expanded}));
  }
  if (location.hash === "" && defaults.start) location.replace(defaults.start);
})()</script>"""


class App:
    """An ASGI application around that of MLflow."""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await _mlflow()(scope, receive, send)
        elif ASSISTANT in scope["path"]:  # below any prefix
            await _refuse(send)
        elif scope["path"] == "/" and scope["method"] == "GET":
            script = await asyncio.to_thread(_script)
            await _with_script(scope, receive, send, script.encode())
        else:
            await _mlflow()(scope, receive, send)


app = App()


@cache
def _mlflow() -> Callable[..., Awaitable[None]]:
    """Return MLflow's application. The process that starts the server needs only this module."""
    from mlflow.server.fastapi_app import app as served  # noqa: PLC0415 - seconds

    answer: Callable[..., Awaitable[None]] = served
    return answer


async def _refuse(send: Send) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b"the assistant is off"})


async def _with_script(scope: Message, receive: Receive, send: Send, script: bytes) -> None:
    """Answer with MLflow's page and a script that runs before it."""
    # Without these, the answer is always the whole page.
    asked = ("if-none-match", "if-modified-since", "range", "accept-encoding")
    headers = [(k, v) for k, v in scope["headers"] if k.decode("latin-1") not in asked]
    start: Message = {}
    body = bytearray()

    async def keep(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
            return
        body.extend(message.get("body", b""))
        if not message.get("more_body", False):
            whole = bytes(body).replace(b"<head>", b"<head>" + script, 1)
            replaced = ("content-length", "etag", "last-modified", "cache-control")
            own = [(k, v) for k, v in start["headers"] if k.decode("latin-1") not in replaced]
            own += [(b"content-length", str(len(whole)).encode()), (b"cache-control", b"no-store")]
            await send({**start, "headers": own})
            await send({"type": "http.response.body", "body": whole})

    await _mlflow()({**scope, "headers": headers}, receive, keep)


def _script() -> str:
    """Return the script with the defaults for the experiments as they are now."""
    found = landing.newest_sweeps(_client())
    states = {
        _key(one): ui_state.state(one.tags[AXES].split(), [sweep.info.run_id] if sweep else [])
        for one, sweep in found
    }
    start = landing.start(found)
    defaults = {"settings": _SETTINGS, "experiments": states, "start": start}
    return _SCRIPT % json.dumps(defaults).replace("<", r"\u003c")


@cache
def _client() -> MlflowClient:
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds

    return MlflowClient(os.environ["MLFLOW_BACKEND_STORE_URI"])


def _key(experiment: Experiment) -> str:
    """Return the key of the browser's storage for the state of an experiment's page."""
    ids = json.dumps([experiment.experiment_id])
    return f"MLflowLocalStorage-1.1-ExperimentPage-{ids}-ReactComponentState"
