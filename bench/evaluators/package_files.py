"""Files of weights that installed packages carry: proven by sha256 and read, while the package's own code is never imported."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from bench.api import UserError
from bench.evaluators.packages import Package
from bench.weights.download import sha256_of


@dataclass(frozen=True)
class PackageFile:
    """A file inside a package of one version."""

    package: Package
    distribution: str  # the package's name on the package index
    version: str  # that has these bytes
    file: str  # from the folder of installed packages on
    sha256: str

    def locate(self) -> Path:
        """The file on this machine; UserError where the package is missing or its file is another one."""
        try:
            path = Path(str(metadata.distribution(self.distribution).locate_file(self.file)))
        except metadata.PackageNotFoundError as error:
            raise UserError(self.package.missing) from error
        found = sha256_of(path)
        if found != self.sha256:
            pinned = f"the pinned {self.sha256[:12]}... of {self.distribution} {self.version}"
            raise UserError(f"{path} has sha256 {found[:12]}..., not {pinned}: {self.package.install}")
        return path
