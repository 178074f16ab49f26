"""SeaweedFS: a real server that speaks S3, on loopback, in a folder of its own."""

import asyncio
import json
import os
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from signal import SIGKILL
from typing import Any, Self, cast

import httpx2
import obstore
from obstore.store import S3Store

from dev import ports, probe
from dev.child import Program
from dev.errors import CannotStart
from dev.server import TIMEOUT, EmbeddedServer
from domain.faults import FaultLog
from storage.objects import ObjectStorage

OWNER, READER = ("yout", "the-secret-of-the-owner"), ("reader", "the-secret-of-the-reader")
BUCKET = "outputs"
PREFIX = "some/prefix"
REGION = "us-east-1"
_RIGHTS = {OWNER: ["Admin", "Read", "Write", "List"], READER: ["Read", "List"]}
_PARTS = ("master", "volume", "filer", "s3")
_OFF = ("-admin.ui=false", "-webdav=false", "-s3.iam=false", "-s3.port.iceberg=0", "-s3.port.lance=0")


class Seaweed(EmbeddedServer):
    """One process with every part of the store. It never makes a bucket by itself, as Amazon's does not."""

    name = "SeaweedFS"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, None)
        self._ports = {part: (ports.free(), ports.free()) for part in _PARTS}
        self._admin = (ports.free(), ports.free())

    @classmethod
    @contextmanager
    def running(cls, folder: Path) -> Iterator[Self]:
        """With its bucket made."""
        with cls(folder) as server:
            yield server

    @property
    def endpoint(self) -> str:
        return f"http://{ports.LOOPBACK}:{self._ports['s3'][0]}"

    @property
    def url(self) -> str:
        return f"s3://{BUCKET}/{PREFIX}"

    def options(self, key: tuple[str, str] = OWNER) -> dict[str, str]:
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_ENDPOINT")
        return dict(zip(names, (*key, REGION, self.endpoint), strict=True))

    def storage(
        self, bucket: str = BUCKET, key: tuple[str, str] = OWNER, faults: FaultLog | None = None
    ) -> ObjectStorage:
        return ObjectStorage.from_url(f"s3://{bucket}/{PREFIX}", self.options(key), faults=faults)

    async def start(self) -> None:
        rights = [
            {"name": key[0], "credentials": [{"accessKey": key[0], "secretKey": key[1]}], "actions": actions}
            for key, actions in _RIGHTS.items()
        ]
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "rights.json").write_text(json.dumps({"identities": rights}))
        (self.folder / "data").mkdir(exist_ok=True)
        child = await self._launch(self._program())
        deadline = asyncio.get_running_loop().time() + TIMEOUT
        while await probe.status(f"{self.endpoint}/healthz") != 200:
            if child.code is not None or asyncio.get_running_loop().time() > deadline:
                raise CannotStart(f"SeaweedFS does not start ({self.log})")
            await asyncio.sleep(0.05)
        await self._make_bucket()

    async def stop(self, hurry: asyncio.Event | None = None) -> None:
        await super().stop(hurry)
        self._remove_sockets()

    def _remove_sockets(self) -> None:
        for number in (number for pair in (*self._ports.values(), self._admin) for number in pair):
            for left in Path("/tmp").glob(f"seaweedfs-*-{number}.sock"):  # where it puts them, always
                left.unlink(missing_ok=True)

    def _program(self) -> Program:
        listening = [
            f"-{part}.port{kind}={number}"
            for part, pair in {**self._ports, "admin": self._admin}.items()
            for kind, number in zip(("", ".grpc"), pair, strict=True)
        ]
        command = (
            *(str(Path(sysconfig.get_path("scripts"), "weed")), "-logtostderr", "mini", "-dir=data", *_OFF),
            *(f"-ip={ports.LOOPBACK}", f"-ip.bind={ports.LOOPBACK}", *listening),
            *("-s3.config=rights.json", "-s3.autoCreateBucket=false", "-master.telemetry=false"),
        )
        environment = {"PATH": os.defpath, "HOME": str(self.folder), "TMPDIR": str(self.folder)}
        program = Program(name=self.name, command=command, environment=environment, folder=self.folder)
        return replace(program, ending=((SIGKILL, TIMEOUT),))  # it takes half a minute to end by itself

    async def _make_bucket(self) -> None:
        """Make it if it is missing."""
        store = S3Store(BUCKET, config=cast("Any", self.options()), client_options={"allow_http": True})
        link = await obstore.sign_async(store, "PUT", "", timedelta(minutes=1))
        async with httpx2.AsyncClient(timeout=60) as client:
            answer = await client.put(link)
        if answer.status_code not in (200, 409):
            raise CannotStart(f"SeaweedFS makes no bucket: {answer.status_code} ({self.log})")
