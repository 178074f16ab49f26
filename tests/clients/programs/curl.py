"""Stands in for curl on a machine without it, as far as the documents use it; -f by itself, as `--fail-with-body`."""

import argparse
import http.cookiejar
import shutil
import sys
import urllib.error
import urllib.request
from pathlib import Path

FAILED = 22
"""The exit code of curl for an error of the server."""

parser = argparse.ArgumentParser()
parser.add_argument("url")
for flag in ("-s", "-f", "-N", "--fail-with-body"):
    parser.add_argument(flag, action="store_true")
parser.add_argument("-H", dest="headers", action="append", default=[])
parser.add_argument("-d", "--data-binary", dest="data")
parser.add_argument("-o", dest="output", type=Path)
parser.add_argument("-b", dest="cookies")
parser.add_argument("-c", dest="jar")
parser.add_argument("-X", dest="method")
given = parser.parse_args()
headers = dict(header.split(": ", 1) for header in given.headers)
data = None if given.data is None else given.data.encode()
if data is not None and data.startswith(b"@"):
    data = Path(given.data[1:]).read_bytes()
cookies = http.cookiejar.MozillaCookieJar()
if given.cookies:
    cookies.load(given.cookies, ignore_discard=True)
request = urllib.request.Request(given.url, data, headers, method=given.method)
opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(cookies))
code = 0
try:
    answer = opener.open(request)
except urllib.error.HTTPError as refused:
    answer, code = refused, FAILED
with answer:
    if given.output:
        given.output.write_bytes(answer.read())
    else:
        shutil.copyfileobj(answer, sys.stdout.buffer)
if given.jar:
    cookies.save(given.jar, ignore_discard=True)
sys.exit(code)
