"""Put the shipped policy into the wheel: `rules.yaml` of the root becomes `policy/rules/shipped.yaml`.

Only standard wheels carry the copy. An editable install has none, so that an edit of the root file counts at once:
the loader looks for the copy first, and then for `rules.yaml` beside the `policy` package.
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = "rules.yaml"
TARGET = "policy/rules/shipped.yaml"


class ShippedRules(BuildHookInterface):  # type: ignore[type-arg]  # its parameter is the builder's configuration
    """Adds the shipped policy to a standard wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the file to hatchling; `version` is `standard` or `editable`."""
        if version != "standard":
            return
        source = Path(self.root, SOURCE)
        if not source.is_file():
            raise FileNotFoundError(f"`{source}` is missing: a wheel without the shipped policy decides nothing")
        build_data["force_include"][str(source)] = TARGET
