"""`python -m tests.support.toy_program api|worker|cli …`: a program of ours that knows the toy provider, too."""

import runpy
import sys
from typing import cast

from domain.catalog import Modality
from providers import registry
from tests.support.doubles.toy_media import ToyMedia

if __name__ == "__main__":
    kinds = cast("dict[str, registry.Kind]", registry.KINDS)
    kinds["toy"] = registry.Kind(
        frozenset({Modality.IMAGE}), media=lambda provider, upstream: ToyMedia(provider, upstream.http)
    )
    module, *words = sys.argv[1:]
    sys.argv = [module, *words]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
