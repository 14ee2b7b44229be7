#!/usr/bin/env python3
"""Builds the training and evaluation corpora from wheels of PyPI and source packages of Debian.

    python3 scripts/build_corpora.py                     # all five, into corpus/ (0.3 GB of downloads)
    python3 scripts/build_corpora.py eval-python eval-java

corpora.toml says which packages at which versions make which corpus, corpora/NAME.txt.gz which of their files. It
writes corpus/NAME.jsonl.gz, one file a line, and corpus/licenses/PACKAGE/: the licence texts and a SOURCE.txt that says
where the files are from. Every archive and every corpus is held against its sha256, so that what comes out is what the
bundled models were trained on and the bundled data sets were made from, to the byte (before compression, which differs
among zlib's versions). What has been downloaded is kept in corpus/archives; a broken download goes on where it stopped.
Needs Python 3.11 and nothing else.
"""

import argparse
import fnmatch
import gzip
import hashlib
import json
import sys
import tarfile
import tomllib
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Names of licence texts: at the root of a source package, and in a wheel's metadata.
LICENCE_NAMES = ["licen[cs]e*", "notice*", "copying*"]
CHUNK = 1 << 20


def fail(what, fix):
    sys.exit(f"error: {what}\n  fix: {fix}")


def sha256_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# Downloads


def fetch(source, cache):
    """The archive's path in the cache, downloaded if it is not there, its sha256 right."""
    name = urllib.parse.unquote(source["url"].rsplit("/", 1)[1])
    path = cache / name
    if not path.exists():
        part = cache / (name + ".part")
        download(source, part)
        check_archive(part, name, source)
        part.rename(path)
    else:
        check_archive(path, name, source)
    return path


def check_archive(path, name, source):
    found = sha256_of(path)
    if found != source["sha256"]:
        path.unlink()
        fail(
            f"{name} is not the archive that it should be\n  expected sha256: {source['sha256']}\n"
            f"  found sha256:    {found}\n  from: {source['url']}",
            "it was deleted: run again; if it is wrong again, what the server gives has changed",
        )


def download(source, part):
    """Into `part`, going on behind what is there. Debian's pool drops old versions, its snapshot does not."""
    urls = [source["url"]]
    if "sha1" in source:
        urls.append("https://snapshot.debian.org/file/" + source["sha1"])
    failures = []
    for url in urls:
        try:
            return copy_from(url, part)
        except (urllib.error.URLError, OSError) as error:
            failures.append(f"{url}: {error}")
    fail("cannot download " + "\n  nor ".join(failures), "check the network; what is there is kept for the next run")


def copy_from(url, part):
    done = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        answer = urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as error:
        # 416: all of it is there already.
        if error.code == 416 and done:
            return
        raise
    print(f"downloading {url}", file=sys.stderr)
    with answer, open(part, "ab" if answer.status == 206 else "wb") as out:
        expected = answer.headers.get("Content-Length")
        copied = 0
        while chunk := answer.read(CHUNK):
            out.write(chunk)
            copied += len(chunk)
        if expected is not None and copied < int(expected):
            raise OSError(f"broke off after {copied} of {expected} bytes")


# Archives


def members(path):
    """Name and a function that reads it, of each file of a wheel or a source tarball."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            for name in wheel.namelist():
                yield name, lambda name=name: wheel.read(name)
    else:
        with tarfile.open(path) as tar:
            for member in tar:
                if member.isfile():
                    yield member.name, lambda member=member: tar.extractfile(member).read()


def is_licence(path):
    """At the root (in a tarball one folder down), or in a wheel's .dist-info or its licenses/."""
    folders, name = path.split("/")[:-1], path.rsplit("/", 1)[-1].lower()
    metadata = folders[0].endswith(".dist-info") if folders else False
    place = len(folders) == 1 or (metadata and folders[1:] == ["licenses"])
    return place and any(fnmatch.fnmatch(name, pattern) for pattern in LICENCE_NAMES)


def read_package(package, wanted, cache):
    """The wanted files by path, and the licence texts by file name."""
    inside = package.get("inside", "")
    files, licences = {}, {}
    archive = fetch(package["archive"], cache)
    for name, read in members(archive):
        path = name.removeprefix(inside)
        if path in wanted:
            files[path] = read().decode("utf-8")
        elif is_licence(name):
            licences[name.rsplit("/", 1)[-1]] = read()
    missing = sorted(wanted - files.keys())
    if missing:
        fail(f"{archive.name} has no {missing[0]} ({len(missing)} files are missing)", "restore scripts/corpora/")
    if "packaging" in package:
        packaging = fetch(package["packaging"], cache)
        licences |= {"debian-copyright": read() for name, read in members(packaging) if name == "debian/copyright"}
    if not licences:
        fail(f"no licence text was found in {archive.name}", "add what it is called to LICENCE_NAMES")
    return files, licences


# Corpora


def write_licences(package, count, licences, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in licences.items():
        (folder / name).write_bytes(text)
    archives = [package[key] for key in ["archive", "packaging"] if key in package]
    lines = [f"package: {package['name']} {package['version']}"]
    for archive in archives:
        lines += [f"source: {archive['url']}", f"sha256: {archive['sha256']}"]
    note = f" ({package['licence_note']})" if "licence_note" in package else ""
    lines.append(f"licence: {package['licence']}{note}")
    lines.append(f"files: {count} in the corpus {package['corpus']}, unmodified, paths as inside the archive")
    (folder / "SOURCE.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def line(corpus, package, path, content):
    kind, _, language = corpus.partition("-")
    if language == "text":
        return {"path": path, "text": content}
    record = {"repo_name": package["name"], "path": f"{package['name']}/{path}", "language": language}
    if kind == "train":
        record["license"] = package["licence"].lower()
    return record | {"size": len(content.encode()), "content": content}


def build(corpus, packages, out, cache):
    name = corpus["name"]
    with gzip.open(HERE / "corpora" / f"{name}.txt.gz", "rt", encoding="utf-8") as listing:
        chosen = [tuple(entry.rstrip("\n").split("/", 1)) for entry in listing]
    by_package = {}
    for package, path in chosen:
        by_package.setdefault(package, set()).add(path)
    contents = {}
    for package, paths in sorted(by_package.items()):
        files, licences = read_package(packages[package], paths, cache)
        contents[package] = files
        write_licences(packages[package], len(paths), licences, out / "licenses" / package)
    lines = [line(name, packages[p], path, contents[p][path]) for p, path in chosen]
    text = "".join(json.dumps(one) + "\n" for one in lines).encode()
    found = hashlib.sha256(text).hexdigest()
    if found != corpus["sha256"] or len(lines) != corpus["files"]:
        fail(
            f"{name} has {len(lines)} files and sha256 {found}, and should have {corpus['files']} and "
            f"{corpus['sha256']}",
            "restore scripts/corpora.toml and scripts/corpora/",
        )
    write(out / f"{name}.jsonl.gz", text)
    print(f"{name}: {len(lines)} files, {len(text) / 1e6:.1f} MB, sha256 as expected")


def write(path, text):
    """Neither name nor time in the gzip header; whole or not at all."""
    part = path.with_suffix(".part")
    with open(part, "wb") as out, gzip.GzipFile(filename="", fileobj=out, mode="wb", compresslevel=9, mtime=0) as gz:
        gz.write(text)
    part.rename(path)


def main():
    with open(HERE / "corpora.toml", "rb") as file:
        table = tomllib.load(file)
    names = [corpus["name"] for corpus in table["corpus"]]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="*", help="which to build, all by default: " + ", ".join(names))
    parser.add_argument("--out", type=Path, default=HERE.parent / "corpus", help="directory to write, by default corpus")
    parser.add_argument("--cache", type=Path, help="directory of downloads, by default archives in the one to write")
    args = parser.parse_args()
    unknown = sorted(set(args.corpus) - set(names))
    if unknown:
        parser.error(f"no corpus {unknown[0]}: choose from {', '.join(names)}")
    cache = args.cache or args.out / "archives"
    cache.mkdir(parents=True, exist_ok=True)
    packages = {package["name"]: package for package in table["package"]}
    for corpus in table["corpus"]:
        if not args.corpus or corpus["name"] in args.corpus:
            build(corpus, packages, args.out, cache)


if __name__ == "__main__":
    main()
