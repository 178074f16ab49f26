"""Settings of every process."""

from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

import environment
from settings.fields import Seconds


class ProcessSettings(BaseModel):
    state_dir: Path = Path(environment.DEFAULT_STATE_DIR)
    shutdown_timeout: Seconds = timedelta(seconds=25)
    """How long a process that has been stopped lets running calls and activities finish."""
    log_format: Literal["console", "json"] = "console"
