"""Studio: start an image, a video or a speech knowing its price, and see what became of it."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import FormData
from starlette.responses import Response

from web import media_form
from web.api import Fault
from web.ids import as_part
from web.media_form import Model, SentFile, Written
from web.shown_jobs import ACTIVE, STEPS, ShownJob
from web.visit import Page, Visit, recognize

KINDS = {"image": ("Image", "studio"), "video": ("Video", "film"), "speech": ("Speech", "wave")}
"""Each with its name and its icon."""
EXAMPLES = {
    "image": (
        "A mountain lake at dawn, mist lifting off the water, soft light",
        "A teapot and a lemon on a table, flat poster shapes, three colours",
        "Floor plan of a lighthouse, drawn as a blueprint",
    ),
    "video": (
        "A paper boat sails through a flooded library, golden light between the shelves",
        "Northern lights move slowly over a ridge, the camera holds still",
        "A tram crosses a wet square at night, reflections of shop windows",
    ),
    "speech": (
        "Welcome to the museum. The tour begins in the hall on your left.",
        "Tomorrow is dry and cold, with sun in the morning and a light wind from the east.",
        "Your train leaves from platform four. Please stand behind the line.",
    ),
}
_REASONS = {
    "pro_required": "needs a plan",
    "insufficient_scope": "your account may not use it",
    "model_not_found": "your account may not use it",
}
_GALLERY = 24
_MAX_RUNNING = 20
_JOBS = "/api/media/jobs/"
_UNAUTHORIZED, _REQUEST_INVALID, _SERVER_ERRORS = 401, 400, 500
_PRICE_STANDS_FOR = "-"
"""The text of a quote for a form that has none yet, if the price does not depend on it."""


@dataclass(frozen=True, slots=True)
class _Order:
    """What somebody asks for, as it was written."""

    kind: str
    model: str = field(repr=False)
    """Empty: the first that there is."""
    written: Written | None = field(default=None, repr=False)
    sent: Mapping[str, Sequence[SentFile]] = field(default_factory=dict, repr=False)
    fault: Fault | None = None
    once: str = field(default_factory=lambda: str(uuid.uuid4()), repr=False)
    example: str | None = field(default=None, repr=False)


async def studio(visit: Visit) -> Response:
    return visit.redirect("/studio/image")


async def kind(which: str, visit: Visit) -> Response:
    """The page of a kind: the form, running jobs, and the gallery."""
    if visit.request.method == "POST":
        async with visit.form_with_files() as form:
            return await _start(which, visit, form)
    query = visit.request.query_params
    examples = {str(number): text for number, text in enumerate(EXAMPLES[which], 1)}
    example = examples.get(query.get("example", ""))
    return await _shown(visit, _Order(which, query.get("model", ""), example=example))


async def _start(which: str, visit: Visit, form: FormData) -> Response:
    fields = media_form.written(form)
    order = _Order(which, fields.get("model", ""), fields)
    model = next((one for one in await _models(visit, which) if one["id"] == order.model), None)
    if model is None:
        return await _shown(visit, order, status=404)
    sent, once = media_form.sent_before(model, form), fields.get("once", "")
    try:
        for role, file in media_form.new_files(model, form):
            sent.setdefault(role, []).append(await _uploaded(visit, role, str(file.filename), await file.read()))
        body = media_form.order(model, fields, sent)
        job = await visit.send("POST", f"/api/media/{which}/", body, headers={"idempotency-key": once})
    except Fault as fault:
        if fault.status == _UNAUTHORIZED:
            raise
        same = once if fault.status >= _SERVER_ERRORS else ""  # whether it was accepted is not known: it is asked again
        again = replace(order, sent=sent, fault=fault, once=same or order.once)
        return await _shown(visit, again, status=fault.status)
    return visit.redirect(f"/studio/{which}?{urlencode({'model': order.model})}#job-{job.body['job_uuid']}")


async def _uploaded(visit: Visit, role: str, name: str, content: bytes) -> SentFile:
    """Send on a file. A fault is one of the field that had it."""
    try:
        upload = await visit.send("POST", "/api/media/uploads/", content)
    except Fault as fault:
        if fault.param != "file":
            raise
        raise Fault(fault.status, fault.message, fault.code, role) from None
    return SentFile(upload.body["id"], name)


async def _models(visit: Visit, which: str) -> list[Model]:
    """Return the models of a kind. Those that only show how it works come last."""
    every = (await visit.get("/api/chat/models/"))["data"]
    return sorted((model for model in every if model["modality"] == which), key=lambda model: "demo" in model["tags"])


async def _shown(visit: Visit, order: _Order, *, status: int = 200) -> Response:
    which = order.kind
    models = await _models(visit, which)
    model = next((one for one in models if one["id"] == order.model and one["enabled"]), None)
    unusable = order.model if model is None else ""
    model = model or next((one for one in models if one["enabled"]), None)
    names = {one["id"]: one["name"] for one in models}
    listed = await _listed(visit, which)
    running, counts = await _running(visit, which, names, listed["data"])
    values: dict[str, object] = {
        "kinds": KINDS,
        "kind": which,
        "counts": counts,
        "models": _named(models),
        "model": model,
        "unusable": unusable,
        "unusable_model": next(((one, why) for one, why in _named(models) if one["id"] == unusable), None),
        "running": running,
        "works": [_job(visit, job, names) for job in listed["data"] if job["status"] not in ACTIVE],
        "next": listed["next"],
        "cursor": visit.request.query_params.get("cursor", ""),
        "examples": EXAMPLES[which],
        "steps": STEPS,
        **(await _form(visit, model, order) if model else {}),
    }
    return visit.render("studio.html", values, status=status)


def _named(models: Sequence[Model]) -> list[tuple[Model, str]]:
    """Return each model with the reason why it cannot be used, if it cannot."""
    return [(model, _REASONS.get(model["disabled_reason"] or "", "not for you")) for model in models]


async def _form(visit: Visit, model: Model, order: _Order) -> dict[str, object]:
    """Return what the form of a model shows."""
    which, text = order.kind, media_form.TEXTS[order.kind]
    controls = media_form.controls(model, order.written)
    fields = order.written or {control.name: control.value for control in controls}
    if order.example is not None:
        fields = {**fields, text: order.example}
        controls = [media_form.with_value(control, fields.get(control.name, "")) for control in controls]
    fault = order.fault
    param = (fault.param or "").partition("[")[0] if fault else ""
    body = media_form.order(model, fields, order.sent)
    files = media_form.files(model, order.sent)
    known = {control.name for control in controls} | {one.name for one in files}
    return {
        "controls": controls,
        "files": files,
        "opened": order.written is not None and _folded_is_used(controls, param),
        "fault": fault,
        "param": param if param in known else "",
        "words": fault.message if fault else "",
        "once": order.once,
        "quote": await _quote(visit, body, text),
        "price_of_text": next((one.priced for one in controls if one.name == text), False),
        "body": body,
        "curl": _curl(
            f"{visit.api.server.public_url}/api/media/{which}/", {**body, text: body[text] or EXAMPLES[which][0]}
        ),
        "more_label": _more_label(
            [one.label for one in controls if one.folded] + [one.label for one in files if one.folded]
        ),
    }


def _curl(url: str, body: Mapping[str, object]) -> str:
    """Write the call that does what the form does. `studio.js` writes it anew as the form changes."""
    written = json.dumps(body, ensure_ascii=False).replace("'", "'\\''")
    lines = (
        f"curl {url}",
        '-H "Authorization: Bearer $YOUT_KEY"',
        '-H "Content-Type: application/json"',
        f"-d '{written}'",
    )
    return " \\\n  ".join(lines)


def _folded_is_used(controls: Sequence[media_form.Control], param: str) -> bool:
    return any(control.folded and (control.value or control.name == param) for control in controls)


def _more_label(labels: Sequence[str]) -> str:
    """Write what is folded, such as `Seed, webhook, 2 more`."""
    named = [label if place == 0 else label.lower() for place, label in enumerate(labels[:2])]
    more = [f"{len(labels) - 2} more"] if len(labels) > 2 else []
    return ", ".join([*named, *more])


async def _quote(visit: Visit, body: Mapping[str, object], text: str) -> Mapping[str, Any] | None:
    """Return the price of a job. None: it has none yet, because a field is missing or wrong."""
    priced = {name: value for name, value in body.items() if name != media_form.WEBHOOK}
    priced[text] = priced.get(text) or _PRICE_STANDS_FOR
    try:
        answer: Mapping[str, Any] = (await visit.send("POST", "/api/billing/quote/", priced)).body
    except Fault as fault:
        if fault.status >= _SERVER_ERRORS:
            raise
        return None
    return answer


async def _running(
    visit: Visit, which: str, names: Mapping[str, str], listed: Sequence[Mapping[str, Any]]
) -> tuple[list[ShownJob], dict[str, int]]:
    """Return the jobs of a kind that have not ended, and how many there are of each kind. `listed`: the newest jobs."""
    if not (visit.account and visit.account.running_jobs) and not any(job["status"] in ACTIVE for job in listed):
        return [], dict.fromkeys(KINDS, 0)
    by_id: dict[str, Mapping[str, Any]] = {}
    for state in ACTIVE:  # a job that begins between the two lists is in both
        page = await visit.get(_JOBS, status=state, limit=_MAX_RUNNING)
        by_id |= {job["job_uuid"]: job for job in page["data"]}
    jobs = sorted(by_id.values(), key=lambda job: str(job["created_at"]), reverse=True)
    counts = {name: sum(job["kind"] == name for job in jobs) for name in KINDS}
    return [_job(visit, job, names) for job in jobs if job["kind"] == which], counts


async def _listed(visit: Visit, which: str) -> Mapping[str, Any]:
    """Return a page of jobs. A cursor that is none is the first page."""
    cursor = visit.request.query_params.get("cursor") or None
    try:
        page: Mapping[str, Any] = await visit.get(_JOBS, kind=which, limit=_GALLERY, cursor=cursor)
    except Fault as fault:
        if fault.status != _REQUEST_INVALID:
            raise
        page = await visit.get(_JOBS, kind=which, limit=_GALLERY)
    return page


def _job(visit: Visit, job: Mapping[str, Any], names: Mapping[str, str]) -> ShownJob:
    return ShownJob(job, visit.now, names.get(job["model"], job["model"]), visit.api.server.public_url)


async def job(visit: Visit) -> Response:
    """One job: how far it is, what it made, and what it cost."""
    one = await visit.get(_path(visit))
    if one["status"] not in ACTIVE and visit.account and visit.account.running_jobs:
        visit = await recognize(visit)  # it may have ended after the account was read: it holds nothing any more
    names = {one["id"]: one["name"] for one in (await visit.get("/api/chat/models/"))["data"]}
    receipts = any(place.startswith("/activity/charges/") for place in visit.places)
    which = one["kind"]
    body = {"model": one["model"], media_form.TEXTS[which]: EXAMPLES[which][0]} if which in KINDS else {}
    values = {
        "curl": _curl(f"{visit.api.server.public_url}/api/media/{which}/", body) if body else "",
        "one": _job(visit, one, names),
        "kinds": KINDS,
        "steps": STEPS,
        "receipts": receipts,
        "wide": "narrow" not in visit.request.query_params,
    }
    return visit.render("studio-job.html", values)


async def cancel(visit: Visit) -> Response:
    """Ask for the end of a job. Its page says what became of it."""
    form = await visit.form()
    job = (await visit.send("POST", f"{_path(visit)}cancel/")).body
    here = f"/studio/{job['kind']}#job-{job['job_uuid']}"
    return visit.redirect(here if form.get("to") == "gallery" else f"/studio/jobs/{job['job_uuid']}")


async def delete_outputs(visit: Visit) -> Response:
    await visit.send("DELETE", f"{_path(visit)}outputs/")
    return visit.redirect(f"/studio/jobs/{as_part(visit.request.path_params['job_id'])}")


def _path(visit: Visit) -> str:
    """Return the path of the job that the page is about. An id that is none has no job either."""
    try:
        return f"{_JOBS}{uuid.UUID(visit.request.path_params['job_id'])}/"
    except ValueError:
        raise Fault(404, "There is no such job.") from None


PAGES = (
    Page("/studio", studio),
    *(Page(f"/studio/{which}", partial(kind, which), ("GET", "POST"), files=True) for which in KINDS),
    Page("/studio/jobs/{job_id}", job),
    Page("/studio/jobs/{job_id}/cancel", cancel, ("POST",)),
    Page("/studio/jobs/{job_id}/outputs/delete", delete_outputs, ("POST",)),
)
