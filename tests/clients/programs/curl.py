"""Stands in for curl on a machine without it, as far as docs/clients.md uses it: -s, -f, -N, -H, -d, -o and a URL."""

import argparse
import shutil
import sys
import urllib.request
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("url")
for flag in ("-s", "-f", "-N"):
    parser.add_argument(flag, action="store_true")
parser.add_argument("-H", dest="headers", action="append", default=[])
parser.add_argument("-d", dest="data")
parser.add_argument("-o", dest="output", type=Path)
given = parser.parse_args()
headers = dict(header.split(": ", 1) for header in given.headers)
request = urllib.request.Request(given.url, given.data.encode() if given.data else None, headers)
with urllib.request.urlopen(request) as answer:
    if given.output:
        given.output.write_bytes(answer.read())
    else:
        shutil.copyfileobj(answer, sys.stdout.buffer)
