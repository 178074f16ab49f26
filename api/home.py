"""`GET /`: a small page that says what this is, until the web app has one."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

router = APIRouter()
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Yout</title>
<h1>Yout</h1>
<p>An OpenAI-compatible API. The base URL for a client ends in <code>/v1</code>.</p>
<ul>
<li><a href="/docs">Documentation</a> and its <a href="/openapi.json">OpenAPI document</a></li>
<li><a href="/readyz">Whether it is ready</a></li>
</ul>
</html>
"""


@router.get("/", include_in_schema=False)
async def home() -> HTMLResponse:
    return HTMLResponse(_PAGE)
